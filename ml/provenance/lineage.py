"""The versions of the tables that a training set was built from."""

from pyspark.sql import SparkSession

from lakehouse.dbt.manifest import DbtModels
from lakehouse.dbt.notes import versions_read
from lakehouse.dbt.time_travel import version_as_of, version_time
from lakehouse.delta.place import log_folder
from lakehouse.delta.publications import released_with
from lakehouse.delta.table import TableVersion, at_version, table_exists
from ml.data.parquet import file_list_hash
from ml.provenance.manifest import PinnedTable


def pin(spark: SparkSession, table: TableVersion, pinned_by: str, is_source: bool = False) -> PinnedTable:
    """A version with the hash of its list of files."""
    return PinnedTable(
        name=table.name,
        table_id=table.table_id,
        version=table.version,
        file_list_hash=file_list_hash(log_folder(spark, table.name, table.version), table.version),
        pinned_by=pinned_by,
        is_source=is_source,
    )


def pin_upstream(
    spark: SparkSession, model: str, built: TableVersion, models: DbtModels
) -> tuple[PinnedTable, ...]:
    """Pin the tables that a published version of a model's table was built from.

    Each at the version that the builds noted to have read; where no note tells, at the one that was published
    when `built` was, or else at the newest one when `built` was committed.

    Args:
        built: the published training set.
        models: upstream tables that don't exist are left out (a model that was never built, such as one that
            is switched off).
    """
    read = _read_by(spark, built, models)
    released = released_with(spark, built)
    committed_at = version_time(spark, built)
    sources = models.sources()

    def pinned(name: str) -> PinnedTable:
        if name in read:
            return pin(spark, at_version(spark, name, read[name]), "read", name in sources)
        if name in released:
            return pin(spark, released[name], "published", name in sources)
        return pin(spark, version_as_of(spark, name, committed_at), "as of", name in sources)

    return tuple(pinned(name) for name in models.upstream(model) if table_exists(spark, name))


def _read_by(spark: SparkSession, built: TableVersion, models: DbtModels) -> dict[str, int]:
    """The version of each table upstream that the notes of the builds name, from model to model.

    What is read twice counts at the newer version: a reader that still notes the older one found no row of
    its own changed in between.
    """
    found: dict[str, int] = {}
    waiting = [built]
    while waiting:
        for read, number in versions_read(spark, waiting.pop()).items():
            name = models.table_read(read)
            if name is not None and found.get(name, -1) < number:
                found[name] = number
                waiting.append(TableVersion(name, "", number))
    return found
