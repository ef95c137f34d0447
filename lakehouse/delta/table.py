"""Delta tables by name, id and version: what a pin is made of."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, Row, SparkSession

from lakehouse.engine.server import is_ours
from lakehouse.engine.state import exclusive
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings

DELETED_FILE_RETENTION = "delta.deletedFileRetentionDuration"
RETENTION = "interval 36500 days"


@dataclass(frozen=True, order=True)
class TableVersion:
    """One version of one table; the id tells a table from another one made later under the same name.

    Args:
        name: `schema.table`.
        table_id: Delta's `metaData.id`, a UUID.
        version: the number of the commit, from 0.
    """

    name: str
    table_id: str
    version: int

    def __str__(self) -> str:
        return f"{self.name}@v{self.version}"


def _detail(spark: SparkSession, name: str) -> Row:
    return spark.sql(f"describe detail {name}").select("id", "location", "format").collect()[0]


def local_folder(name: str) -> Path | None:
    """The folder of a table in our engine's warehouse; None where it has none, or another server is used.

    What stands in Delta's log is read from there in milliseconds, without a statement of Spark.
    """
    remote = os.environ.get("SPARK_REMOTE")
    # Before there is a session, nobody has named another server.
    if remote and not is_ours(remote):
        return None
    schema, _, table = name.partition(".")
    folder = settings().tables_dir / f"{schema}.db" / table
    # An engine that died while it made the table leaves a log without a commit: that is no table yet.
    return folder if any((folder / "_delta_log").glob("*.json")) else None


def table_exists(spark: SparkSession, name: str) -> bool:
    """Whether `schema.table` is in the metastore, as a table or a view."""
    return local_folder(name) is not None or spark.catalog.tableExists(name)


def location(spark: SparkSession, name: str) -> Path:
    """The folder of a table that lies on a local disk.

    Raises:
        LakehouseError: the table is missing, or lies in an object store.
    """
    folder = local_folder(name)
    if folder is not None:
        return folder
    uri = str(_require(spark, name)["location"])
    parsed = urlparse(uri)
    if parsed.scheme not in ("", "file"):
        raise LakehouseError(f"table {name} lies at {uri}, not on this machine's disk")
    return Path(unquote(parsed.path))


def _require(spark: SparkSession, name: str) -> Row:
    if not table_exists(spark, name):
        raise LakehouseError(f"table {name} does not exist", "build it first, or look at its name")
    detail = _detail(spark, name)
    if detail["format"] != "delta":
        raise LakehouseError(f"{name} is a {detail['format']} table, not a Delta one")
    return detail


def table_id(spark: SparkSession, name: str) -> str:
    """Delta's id of the table that has this name now.

    Raises:
        LakehouseError: there is no Delta table of this name.
    """
    folder = local_folder(name)
    if folder is not None:
        return str(DeltaTable(folder, without_files=True).metadata().id)
    return str(_require(spark, name)["id"])


def current_version(spark: SparkSession, name: str) -> TableVersion:
    """The newest version of a table, read from the end of its log.

    Raises:
        LakehouseError: there is no Delta table of this name.
    """
    folder = local_folder(name)
    if folder is not None:
        table = DeltaTable(folder, without_files=True)
        return TableVersion(name, str(table.metadata().id), table.version())
    identity = table_id(spark, name)
    latest = spark.sql(f"describe history {name} limit 1").select("version").collect()[0]
    return TableVersion(name, identity, int(latest["version"]))


def at_version(spark: SparkSession, name: str, version: int) -> TableVersion:
    """A version of a table by its number, with the id that the table had then."""
    return TableVersion(name, id_at(spark, TableVersion(name, "", version)), version)


def local_commits(name: str, limit: int | None = None) -> list[dict[str, Any]] | None:
    """The latest commits of a table in our engine's warehouse, newest first, as `describe history` has them.

    Returns:
        version, timestamp (of the commit's writer, UTC text), operation and userMetadata of each; None where
        the table has no folder here, or is a clone, so that Spark has to be asked.
    """
    folder = local_folder(name)
    if folder is None:
        return None
    try:
        commits = DeltaTable(folder).history(limit)
    except DeltaError:
        # The first commit of a shallow clone has read version -1, which delta-rs refuses.
        return None
    return [
        {
            "version": commit["version"],
            "timestamp": f"{datetime.fromtimestamp(commit['timestamp'] / 1000, UTC):%Y-%m-%d %H:%M:%S.%f}",
            "operation": commit["operation"],
            "userMetadata": commit.get("userMetadata"),
        }
        for commit in commits
    ]


def file_names(spark: SparkSession, version: TableVersion) -> set[str]:
    """The names of the data files that a version of a table is made of.

    Raises:
        LookupError: the log no longer reaches back to that version.
    """
    try:
        folder = local_folder(version.name)
        if folder is not None:
            files = DeltaTable(folder, version=version.version).file_uris()
        else:
            files = spark.sql(f"select * from {version.name} version as of {version.version}").inputFiles()
    except (DeltaError, AnalysisException) as error:
        raise LookupError(f"{version}: {error}") from error
    return {file.rpartition("/")[2] for file in files}


def read_at(spark: SparkSession, pinned: TableVersion) -> DataFrame:
    """The rows of a table at a pinned version.

    Raises:
        LakehouseError: the table is gone, or was dropped and recreated since (another id).
    """
    check_identity(spark, pinned)
    return spark.sql(f"select * from {pinned.name} version as of {pinned.version}")


def check_identity(spark: SparkSession, pinned: TableVersion) -> None:
    """Refuse a table that only has the name of the pinned one.

    Raises:
        LakehouseError: the table is gone, or another one lies there, which never was the pinned one.
    """
    found = id_at(spark, pinned)
    if found != pinned.table_id:
        raise LakehouseError(
            f"table {pinned.name} was dropped and recreated: pinned {pinned.table_id}, found {found}",
            "its old versions are gone with it; rebuild them from the pinned bronze",
        )


def id_at(spark: SparkSession, pinned: TableVersion) -> str:
    """The id that a table had at the pinned version, or has now where its log does not reach back to that.

    `create or replace` gives a table another id, but keeps its log and with it the older versions.

    Raises:
        LakehouseError: there is no Delta table of this name, or it lies in an object store under another id.
    """
    current = table_id(spark, pinned.name)
    if current == pinned.table_id:
        return current
    try:
        older = DeltaTable(location(spark, pinned.name), version=pinned.version, without_files=True)
        return str(older.metadata().id)
    except DeltaError:
        return current


def table_properties(constraints: dict[str, str] | None = None) -> dict[str, str]:
    """The properties that every table of ours is created with.

    Nothing ends by age: the log is never cut, and the only VACUUM is ours, which knows what is needed. So
    retention is practically for ever; it stands twice, as Delta refuses an older version without both.
    Deletion vectors and column mapping are off, as the Arrow reader of the training path cannot read them.

    Args:
        constraints: name to SQL condition; a violating row then fails before the commit.
    """
    return {
        "delta.logRetentionDuration": RETENTION,
        DELETED_FILE_RETENTION: RETENTION,
        "delta.enableExpiredLogCleanup": "false",
        "delta.enableDeletionVectors": "false",
        **{f"delta.constraints.{name}": sql for name, sql in (constraints or {}).items()},
    }


def create_table(
    spark: SparkSession,
    name: str,
    columns: Sequence[tuple[str, str]],
    *,
    cluster_by: Sequence[str] = (),
    comment: str = "",
    constraints: dict[str, str] | None = None,
    properties: dict[str, str] | None = None,
) -> None:
    """Create an empty Delta table (and its schema), all its properties in one statement, if it is missing.

    Args:
        name: `schema.table`.
        columns: name and SQL type (with `not null` and `comment …` where they hold) of each column.
        cluster_by: columns of liquid clustering.
        constraints: see `table_properties`.
        properties: Delta's properties beside those of every table.
    """
    schema, _, _ = name.partition(".")
    fields = ", ".join(f"`{column}` {sql_type}" for column, sql_type in columns)
    clustering = f"cluster by ({', '.join(cluster_by)}) " if cluster_by else ""
    all_properties = table_properties(constraints) | (properties or {})
    listed = ", ".join(f"{sql_text(key)} = {sql_text(value)}" for key, value in all_properties.items())
    # `if not exists` does not hold between two who create at once: the second finds half a table.
    with exclusive(settings().engine_dir / "create.lock"):
        spark.sql(f"create schema if not exists {schema}")
        spark.sql(
            f"create table if not exists {name} ({fields}) using delta {clustering}"
            f"comment {sql_text(comment)} tblproperties ({listed})"
        )


_CONFLICTS = ("DELTA_CONCURRENT_", "DELTA_METADATA_CHANGED", "DELTA_PROTOCOL_CHANGED")


def is_conflict(error: PySparkException) -> bool:
    """Whether a write failed because another writer came first: it can be tried again."""
    return str(error.getCondition()).startswith(_CONFLICTS)


def sql_text(text: str) -> str:
    """A SQL string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
