"""How two training runs differ: their training sets, row by row, and all that made their models."""

from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession

from lakehouse.delta.row_diff import RowDiff, row_diff
from lakehouse.errors import LakehouseError
from ml.data.training_set import read_spark
from ml.evaluation import plots
from ml.provenance.differences import Difference, code_changes, environment_changes, value_changes
from ml.provenance.logged_run import logged_run
from ml.provenance.manifest import Manifest
from ml.spec import flat
from ml.tracking.runs import log_pictures


@dataclass(frozen=True)
class RunDiff:
    """How the second run differs from the first.

    Args:
        rows: of their training sets, each as its own run pinned it.
        metrics_a, metrics_b: of their models, each on its own validation month.
        changes: versions of the tables upstream, settings, code, software and machine, metrics.
    """

    run_a: str
    run_b: str
    rows: RowDiff
    metrics_a: dict[str, float]
    metrics_b: dict[str, float]
    changes: tuple[Difference, ...]


def diff(spark: SparkSession, run_a: str, run_b: str) -> RunDiff:
    """Compare two runs.

    Raises:
        LakehouseError: a run has no manifest, a pinned table is gone, or the two have different entities.
    """
    before, after = logged_run(run_a), logged_run(run_b)
    first, second = before.manifest, after.manifest
    key = first.columns.entity
    if key != second.columns.entity:
        raise LakehouseError(
            f"run {run_a} has the entity {', '.join(key)}, run {run_b} {', '.join(second.columns.entity)}",
            "compare runs of one spec",
        )
    return RunDiff(
        run_a=run_a,
        run_b=run_b,
        rows=row_diff(read_spark(spark, first.pinned), read_spark(spark, second.pinned), key),
        metrics_a=before.metrics,
        metrics_b=after.metrics,
        changes=(
            *value_changes("source", _versions(first), _versions(second)),
            *value_changes("setting", _settings(first), _settings(second)),
            *code_changes(before.archive, after.archive),
            *environment_changes(first.environment, second.environment),
            *value_changes("metric", before.metrics, after.metrics),
        ),
    )


def log_picture(found: RunDiff) -> Path:
    """Draw a comparison and store it with the second run; returns where it lies."""
    name = f"diff_from_{found.run_a[:8]}"
    figure = plots.run_diff(found.rows, found.metrics_a, found.metrics_b)
    return log_pictures(found.run_b, {name: figure})[name]


def _versions(manifest: Manifest) -> dict[str, str]:
    return {pin.name: f"version {pin.version}" for pin in manifest.upstream if pin.is_source}


def _settings(manifest: Manifest) -> dict[str, str]:
    return flat(manifest.spec.model_dump(mode="json")) | {"as_of": manifest.as_of.isoformat()}
