"""The jobs that reproduce a training run and compare two, what they found as metadata."""

from typing import Any

import dagster as dg

from lakehouse.engine.session import spark_session
from orchestration.assets.models import picture


class ReproduceConfig(dg.Config):
    """What to reproduce.

    Args:
        run_id: a training run's, as the model's asset shows it.
        rebuild: build the training set anew, from bronze as pinned; otherwise its pinned version is read.
        retrain: train the model again, too.
    """

    run_id: str
    rebuild: bool = False
    retrain: bool = False


@dg.op(description="Reproduces a training run and says what differs; fails when it is not identical.")
def reproduce_run(context: dg.OpExecutionContext, config: ReproduceConfig) -> None:
    """See `lakehouse reproduce`."""
    # torch and MLflow take seconds to import, and whoever only looks at the graph doesn't need them.
    from ml.provenance.logged_run import logged_run
    from ml.reproduction import reproduce

    spark, say = spark_session(), context.log.info
    run = logged_run(config.run_id)
    if config.rebuild:
        report = reproduce.rebuild(spark, run, train=config.retrain, progress=say)
    elif config.retrain:
        report = reproduce.retrain(spark, run, progress=say)
    else:
        report = reproduce.read(spark, run, say)
    metadata: dict[str, Any] = {
        "result": "identical" if report.identical else "NOT identical",
        "level": report.level,
        "training_set": str(report.table),
        "rows": report.row_count,
        "content_hash": report.content_hash,
        **({"trained_by": report.trained_by} if report.trained_by else {}),
        "differences": _table(
            [(each.kind, each.name, each.before, each.after) for each in report.differences],
            ("what", "name", "logged", "found"),
        ),
        "not_as_it_was": _table(
            [(each.kind, each.name, each.before, each.after) for each in report.changes],
            ("kind", "name", "then", "now"),
        ),
    }
    if not report.identical:
        named = ", ".join(dict.fromkeys(f"{each.kind} {each.name}".strip() for each in report.differences))
        raise dg.Failure(f"run {config.run_id} is not what it was: {named}", metadata=metadata)
    context.add_output_metadata(metadata)


def _table(rows: list[tuple[str, ...]], names: tuple[str, ...]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        [dg.TableRecord(dict(zip(names, row, strict=True))) for row in rows],
        dg.TableSchema([dg.TableColumn(name, "string") for name in names]),
    )


class CompareConfig(dg.Config):
    """What to compare: the ids of two training runs."""

    run_a: str
    run_b: str


@dg.op(description="Compares two training runs: rows, columns, what made them, metrics; with a picture.")
def compare_two_runs(context: dg.OpExecutionContext, config: CompareConfig) -> None:
    """See `lakehouse diff`."""
    from ml.reproduction.diff import diff, log_picture

    found = diff(spark_session(), config.run_a, config.run_b)
    rows = found.rows
    context.add_output_metadata(
        {
            "rows_first": rows.rows_a,
            "rows_second": rows.rows_b,
            "added": rows.rows_added,
            "removed": rows.rows_removed,
            "changed": rows.rows_changed,
            "changed_columns": _table(
                [
                    (name, f"{count:,}", ", ".join(rows.samples[name]))
                    for name, count in rows.changed_columns.items()
                ],
                ("column", "rows", "for example"),
            ),
            "what_made_them": _table(
                [(each.kind, each.name, each.before, each.after) for each in found.changes],
                ("kind", "name", "first", "second"),
            ),
            "picture": picture(log_picture(found).read_bytes()),
        }
    )


@dg.job(name="compare_runs", description="How two training runs differ; see docs/reproduction.md.")
def compare_job() -> None:
    """One step."""
    compare_two_runs()


@dg.job(name="reproduce", description="Reproduce a training run from its id; see docs/reproduction.md.")
def reproduce_job() -> None:
    """One step."""
    reproduce_run()
