"""What keeps a warehouse from growing without bound: small files, what nothing needs, old runs, leftovers."""

from dataclasses import dataclass

import dagster as dg

from lakehouse.delta.compaction import Compacted, compact, crowded
from lakehouse.delta.vacuum import vacuum
from lakehouse.doctor import size_of
from lakehouse.engine.session import spark_session
from lakehouse.production import production
from lakehouse.progress import Progress, silent
from lakehouse.settings import settings
from orchestration.history import prune


@dataclass(frozen=True)
class Maintained:
    """What was done.

    Args:
        compacted: tables whose small files were put together.
        freed_tables: how many tables files were freed of.
        freed_bytes: of Delta's files, of runs' events, and of checkpoints.
        runs: how many of Dagster's runs were deleted.
        checkpoints: how many folders of trainings that nobody resumed were removed.
        problems: what was left, and why.
    """

    compacted: tuple[Compacted, ...]
    freed_tables: int
    freed_bytes: int
    runs: int
    checkpoints: int
    problems: tuple[str, ...]


def maintain(instance: dg.DagsterInstance, progress: Progress = silent) -> Maintained:
    """Put small files together, free what nothing needs, forget old runs and dead trainings.

    Waits for whoever writes to production. Nothing that is needed goes: see docs/pins.md.
    """
    # MLflow takes seconds to import, and whoever only looks at the graph doesn't need it.
    from ml.provenance.needs import model_needs
    from ml.tracking.runs import forget_checkpoints

    with production("maintenance", progress):
        # Not before: whoever was waited for may have dropped a table.
        names = [each.name for each in crowded()]
        progress(f"{len(names)} tables have many small files")
        compacted = compact(spark_session(), names) if names else []
    progress("asking models, pins and publications what they need …")
    needs = model_needs()
    freed = vacuum(spark_session(), needs.needs, untold=needs.untold)
    kept = [settings().dagster_home / name for name in ("history", "storage")]
    before = sum(map(size_of, kept))
    runs = prune(instance, settings().kept_run_days)
    shrunk = max(before - sum(map(size_of, kept)), 0)
    removed = forget_checkpoints(settings().kept_checkpoint_days)
    return Maintained(
        compacted=tuple(compacted),
        freed_tables=sum(1 for each in freed.tables if each.freed),
        freed_bytes=sum(each.freed_bytes for each in freed.tables) + shrunk + sum(removed.values()),
        runs=runs,
        checkpoints=len(removed),
        problems=(
            *(f"{each.name}: {each.problem}" for each in compacted if each.problem),
            *freed.problems,
        ),
    )


@dg.op(description="Puts small files together, frees what nothing needs, forgets old runs.")
def keep_small(context: dg.OpExecutionContext) -> None:
    """See `lakehouse maintain`."""
    done = maintain(context.instance, context.log.info)
    for problem in done.problems:
        context.log.warning(problem)
    context.add_output_metadata(
        {
            "freed_mib": round(done.freed_bytes / 2**20, 1),
            "tables_freed": done.freed_tables,
            "tables_compacted": len(done.compacted),
            "runs_deleted": done.runs,
            "checkpoints_removed": done.checkpoints,
            "left": "\n".join(done.problems) or "nothing",
        }
    )


@dg.job(name="maintenance", description="Keeps the warehouse from growing without bound; docs/dagster.md.")
def maintenance_job() -> None:
    """One step."""
    keep_small()


weekly_maintenance = dg.ScheduleDefinition(
    name="weekly_maintenance",
    job=maintenance_job,
    # While a week's last day has been delivered, and nobody looks.
    cron_schedule="30 3 * * 0",
    default_status=(
        dg.DefaultScheduleStatus.RUNNING if settings().automation else dg.DefaultScheduleStatus.STOPPED
    ),
    description="Each Sunday: small files, what nothing needs, old runs, dead trainings.",
)
