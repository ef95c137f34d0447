"""Reproduce a training run: read its training set again, rebuild it from bronze, train it again."""

import hashlib
from collections.abc import Callable

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.delta.content_hash import content_hash
from lakehouse.delta.table import current_version, table_exists
from lakehouse.engine.session import spark_session
from lakehouse.progress import Progress, silent
from lakehouse.settings import PROJECT_ROOT
from ml.data.training_set import read_spark
from ml.provenance.code_archive import archive
from ml.provenance.differences import (
    Difference,
    ReproductionReport,
    code_changes,
    compare_content,
    environment_changes,
    value_changes,
)
from ml.provenance.environment import environment
from ml.provenance.logged_run import TrainingRun
from ml.provenance.manifest import Content, Manifest
from ml.provenance.verify import is_gone, is_unreadable_file, pin_differences, touched_files
from ml.reproduction.rebuild import rebuild_differences, rebuilt
from ml.reproduction.retrain import train_run_again
from ml.tracking.runs import ARCHIVE


def read(spark: SparkSession, run: TrainingRun, progress: Progress = silent) -> ReproductionReport:
    """Read the pinned version of a run's training set and compare it with what was logged."""
    manifest = run.manifest
    progress(f"reading {manifest.training_set.table} as known on {manifest.as_of}")
    return _report(run, "read", compare(spark, manifest), _changes(spark, run))


def rebuild(
    spark: SparkSession,
    run: TrainingRun,
    *,
    train: bool = False,
    keep: bool = False,
    threads: int | None = None,
    progress: Progress = silent,
    on_report: Callable[[ReproductionReport], None] = lambda _: None,
) -> ReproductionReport:
    """Build a run's training set from pinned bronze with its own code, and compare it with what was logged.

    Works after VACUUM and drop of every derived table, and whatever became of this checkout's models.

    Args:
        train: train on what was rebuilt, too, and compare the model.
        keep: leave the schema `rebuild_<run>` there.
        threads: of the training, instead of the run's number.
        on_report: given the report before anything is cleaned up, which may fail after hours of work.

    Raises:
        LakehouseError: dbt failed, or another process rebuilds this run.
    """
    manifest = run.manifest
    changes = _changes(spark, run, threads)
    level = "retrain" if train else "rebuild"
    gone = [*_archive_differences(run), *_source_differences(spark, manifest, progress)]
    if gone:
        report = _report(run, level, tuple(gone), changes)
        on_report(report)
        return report
    schema = f"rebuild_{run.run_id[:12]}"
    with rebuilt(spark, manifest, run.archive, schema, keep=keep, progress=progress) as found:
        progress(f"hashing {found.table}")
        differences, trained_by = rebuild_differences(spark_session(), manifest, found), None
        if train:
            again = train_run_again(spark_session(), run, found, changes, threads, progress)
            differences, trained_by = (*differences, *again.differences), again.trained_by
        if differences:
            # A session of its own age: Spark closes one that was unused for the hour that a training takes.
            changes += touched_files(spark_session(), (pin for pin in manifest.upstream if pin.is_source))
        report = _report(run, level, differences, changes, schema if keep else None, trained_by)
        on_report(report)
    return report


def retrain(
    spark: SparkSession,
    run: TrainingRun,
    *,
    threads: int | None = None,
    progress: Progress = silent,
) -> ReproductionReport:
    """Train a run's model again on the pinned version of its training set, and compare weights and metrics.

    Args:
        threads: of torch, instead of the run's number.
    """
    manifest = run.manifest
    changes = _changes(spark, run, threads)
    progress(f"reading {manifest.training_set.table} as known on {manifest.as_of}")
    differences, trained_by = (*_archive_differences(run), *compare(spark, manifest)), None
    if not any(each.kind in ("archive", "table", "log", "file") for each in differences):
        again = train_run_again(spark, run, manifest.pinned, changes, threads, progress)
        differences, trained_by = (*differences, *again.differences), again.trained_by
    return _report(run, "retrain", differences, changes, trained_by=trained_by)


def compare(spark: SparkSession, manifest: Manifest) -> tuple[Difference, ...]:
    """What differs between a manifest and the version that it pins."""
    pin = manifest.training_set
    differences = pin_differences(spark, pin)
    if is_gone(differences):
        return differences
    try:
        content = content_hash(read_spark(spark, manifest.pinned), manifest.columns.entity)
    except PySparkException as error:
        # A file that is missing or damaged is a finding; anything else is a failure of this command.
        if not is_unreadable_file(error):
            raise
        unreadable = Difference("file", pin.name, "readable", str(error).partition(" SQLSTATE")[0])
        return (*differences, unreadable)
    return (*differences, *compare_content(manifest.content, Content.of(content)))


def _archive_differences(run: TrainingRun) -> tuple[Difference, ...]:
    found = hashlib.sha256(run.archive).hexdigest()
    logged = run.manifest.code.archive_sha256
    return (Difference("archive", ARCHIVE, logged, found),) if found != logged else ()


def _code_changes(run: TrainingRun) -> tuple[Difference, ...]:
    """Other files than were archived; an archive that is not the logged one is not looked into."""
    altered = tuple(
        Difference("code", each.name, each.before, each.after) for each in _archive_differences(run)
    )
    return altered or code_changes(run.archive, archive(PROJECT_ROOT))


def _source_differences(
    spark: SparkSession, manifest: Manifest, progress: Progress
) -> tuple[Difference, ...]:
    sources = [pin for pin in manifest.upstream if pin.is_source]
    progress(f"looking for the files of {len(sources)} sources")
    return tuple(found for pin in sources for found in pin_differences(spark, pin))


def _changes(spark: SparkSession, run: TrainingRun, threads: int | None = None) -> tuple[Difference, ...]:
    """What is not as it was when the run was made."""
    manifest = run.manifest
    sources = [pin for pin in manifest.upstream if pin.is_source and table_exists(spark, pin.name)]
    return (
        *value_changes(
            "source",
            {pin.name: f"version {pin.version}" for pin in sources},
            {pin.name: f"version {current_version(spark, pin.name).version}" for pin in sources},
        ),
        *_code_changes(run),
        *environment_changes(
            manifest.environment, environment(spark, threads or manifest.spec.training.threads)
        ),
    )


def _report(
    run: TrainingRun,
    level: str,
    differences: tuple[Difference, ...],
    changes: tuple[Difference, ...],
    schema: str | None = None,
    trained_by: str | None = None,
) -> ReproductionReport:
    return ReproductionReport(
        run_id=run.run_id,
        level=level,
        table=run.manifest.training_set.table,
        row_count=run.manifest.content.row_count,
        content_hash=run.manifest.content.rows,
        identical=not differences,
        differences=differences,
        changes=changes,
        schema=schema,
        trained_by=trained_by,
    )
