"""Build a run's training set again: the archived dbt project, on bronze as it was pinned."""

import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from lakehouse.dbt import time_travel
from lakehouse.delta.content_hash import content_hash, hashable
from lakehouse.delta.row_diff import row_diff
from lakehouse.delta.table import current_version, read_at, table_exists
from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress, silent
from ml.data.training_set import TrainingSet, read_spark
from ml.provenance.code_archive import unpack
from ml.provenance.differences import Difference, compare_content
from ml.provenance.manifest import Content, Manifest, PinnedTable
from ml.provenance.verify import is_gone, is_unreadable_file, pin_differences

_Found = TypeVar("_Found")


@contextmanager
def rebuilt(
    spark: SparkSession,
    manifest: Manifest,
    archive: bytes,
    schema: str,
    *,
    keep: bool = False,
    progress: Progress = silent,
) -> Generator[TrainingSet]:
    """The training set, built from the pinned sources in a schema of its own, which goes away afterwards.

    This is the protocol: dbt runs the archived project on the running engine, against views on the pinned
    versions, told of nothing but schemas (`bronze_schema`, `predictions_schema`, and the target's).

    Args:
        archive: the run's `code.tar.gz`.
        schema: a schema that does not exist yet.
        keep: leave the schema there.

    Raises:
        LakehouseError: the schema exists, the run logged no sources, or dbt failed.
    """
    sources = [pin.table for pin in manifest.upstream if pin.is_source]
    if not sources:
        raise LakehouseError(
            f"the manifest of {manifest.training_set.table} names no sources", "it can be read, not rebuilt"
        )
    model = manifest.training_set.name.rpartition(".")[2]
    with tempfile.TemporaryDirectory(prefix="lakehouse-rebuild-") as folder:
        project = unpack(archive, Path(folder))
        with time_travel.temporary_build(
            spark,
            schema,
            [f"+{model}"],
            sources,
            keep=keep,
            bronze=sources[0].name.partition(".")[0],
            # Not the target's own schema: a source's is never built into.
            variables={"predictions_schema": f"{schema}_bronze"},
            project=project,
            progress=progress,
        ):
            table = current_version(spark, f"{schema}.{model}")
            yield TrainingSet(table, manifest.columns, manifest.as_of, manifest.as_of_at)


def rebuild_differences(
    spark: SparkSession, manifest: Manifest, found: TrainingSet
) -> tuple[Difference, ...]:
    """What differs between the logged content and a training set built anew, and in which table it began.

    Entities and tables upstream can be compared only as far as their pinned versions can still be read.
    """
    key = manifest.columns.entity
    rows = read_spark(spark, found)
    differences = compare_content(manifest.content, Content.of(content_hash(rows, key)))
    if not differences:
        return ()
    samples = _if_readable(
        spark,
        manifest.training_set,
        lambda: row_diff(read_spark(spark, manifest.pinned), rows, key).samples,
    )
    schema = found.table.name.partition(".")[0]
    return (
        *(
            Difference(each.kind, each.name, each.before, each.after, samples=_samples(each, samples or {}))
            for each in differences
        ),
        *_tables_that_differ(spark, manifest, schema),
    )


def _samples(difference: Difference, samples: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    if difference.kind == "row count":
        return samples.get("(added)", ()) + samples.get("(removed)", ())
    return samples.get(difference.name, ())


def _tables_that_differ(spark: SparkSession, manifest: Manifest, schema: str) -> list[Difference]:
    """The tables between the sources and the training set that were built as something else."""
    differences: list[Difference] = []
    for pin in manifest.upstream:
        name = f"{schema}.{pin.name.rpartition('.')[2]}"
        if pin.is_source or not table_exists(spark, name):
            continue
        logged = _if_readable(spark, pin, lambda pinned=pin.table: _content(read_at(spark, pinned)))
        if logged is not None and logged != (found := _content(spark.table(name))):
            differences.append(Difference("table", pin.name, logged, found))
    return differences


def _content(rows: DataFrame) -> str:
    return content_hash(rows.select(*hashable(rows))).rows


def _if_readable(spark: SparkSession, pin: PinnedTable, look: Callable[[], _Found]) -> _Found | None:
    """What is found in a pinned version; None where its rows are gone by now, after a VACUUM or a drop."""
    if is_gone(pin_differences(spark, pin)):
        return None
    try:
        return look()
    except PySparkException as error:
        if not is_unreadable_file(error):
            raise
        return None
