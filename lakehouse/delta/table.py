"""Delta tables by name, id and version: where they lie, what their logs say, how they are made."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession

from lakehouse.delta.log import check_log
from lakehouse.delta.place import detail, log_folder
from lakehouse.delta.place import local_folder as local_folder
from lakehouse.delta.place import location as location
from lakehouse.delta.place import table_exists as table_exists
from lakehouse.delta.version import TableVersion
from lakehouse.engine.state import exclusive
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings

DELETED_FILE_RETENTION = "delta.deletedFileRetentionDuration"
RETENTION = "interval 36500 days"


def table_id(spark: SparkSession, name: str) -> str:
    """Delta's id of the table that has this name now.

    Raises:
        LakehouseError: there is no Delta table of this name.
    """
    folder = local_folder(name)
    if folder is not None:
        return str(DeltaTable(folder, without_files=True).metadata().id)
    return detail(spark, name).table_id


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
    """Refuse a table that only has the name of the pinned one, and a version whose log is damaged.

    Raises:
        LakehouseError: the table is gone, or another one lies there, which never was the pinned one; or the
            version has not the files that its writer counted.
    """
    found = id_at(spark, pinned)
    if found != pinned.table_id:
        raise LakehouseError(
            f"table {pinned.name} was dropped and recreated: pinned {pinned.table_id}, found {found}",
            "its old versions are gone with it; rebuild them from the pinned bronze",
        )
    folder = local_folder(pinned.name)
    if folder is not None:
        check_log(folder, pinned.version)


def id_at(spark: SparkSession, pinned: TableVersion) -> str:
    """The id that a table had at the pinned version, or has now where its log does not reach back to that.

    `create or replace` gives a table another id, but keeps its log and with it the older versions.

    Raises:
        LakehouseError: there is no Delta table of this name.
    """
    current = table_id(spark, pinned.name)
    if current == pinned.table_id:
        return current
    try:
        log = log_folder(spark, pinned.name, pinned.version)
        return str(DeltaTable(log, version=pinned.version, without_files=True).metadata().id)
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
    """A SQL string literal; Spark may put a setting or a variable of its environment for a bare `${…}`."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\u0024{")
    return f"'{escaped}'"
