"""dbt models as past versions of their inputs would have made them, in a schema of their own."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.dbt.project import DbtResult, run_dbt
from lakehouse.delta.table import TableVersion, at_version, check_identity, current_version, sql_text
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT


@dataclass(frozen=True)
class PastBuild:
    """What was built, and from what.

    Args:
        schema: where the models are; the views that they read are in `bronze_schema`, and beside them where a
            model itself was pinned.
        pins: every table that the build could read, at the version that it saw.
    """

    schema: str
    bronze_schema: str
    pins: tuple[TableVersion, ...]
    dbt: DbtResult


def version_as_of(spark: SparkSession, name: str, instant: datetime) -> TableVersion:
    """The version of a table that was the newest at an instant.

    Args:
        name: `schema.table`.
        instant: with a time zone.

    Raises:
        LakehouseError: there is no such table, or it did not exist then.
    """
    history = spark.sql(f"describe history {name}").where(F.col("timestamp") <= F.lit(instant))
    newest = history.agg(F.max("version").alias("version")).collect()[0]["version"]
    if newest is None:
        raise LakehouseError(
            f"{name} has no version of {instant.isoformat()}", "it was made later: pin a version by number"
        )
    return at_version(spark, name, int(newest))


def version_time(spark: SparkSession, pinned: TableVersion) -> datetime:
    """When a version was committed.

    Raises:
        LakehouseError: the log does not reach back to it.
    """
    history = spark.sql(f"describe history {pinned.name}").where(F.col("version") == pinned.version)
    rows = history.select("timestamp").collect()
    if not rows:
        raise LakehouseError(f"the log of {pinned.name} does not reach back to version {pinned.version}")
    found: datetime = rows[0]["timestamp"]
    return found.astimezone(UTC)


def complete_pins(
    spark: SparkSession, pins: Sequence[TableVersion], as_of: datetime | None = None, bronze: str = "bronze"
) -> tuple[TableVersion, ...]:
    """Pins, and one for each bronze table that they leave out.

    Args:
        as_of: the instant whose bronze is meant where no pin says otherwise; now by default.
        bronze: the schema of the sources.

    Raises:
        LakehouseError: a bronze table did not exist then.
    """
    pinned = {pin.name: pin for pin in pins}
    for row in spark.sql(f"show tables in {bronze}").collect():
        source = f"{bronze}.{row['tableName']}"
        if source not in pinned and not row["isTemporary"]:
            found = version_as_of(spark, source, as_of) if as_of else current_version(spark, source)
            pinned[source] = found
    return tuple(pinned.values())


def build(
    spark: SparkSession,
    schema: str,
    select: Sequence[str],
    pins: Sequence[TableVersion],
    *,
    bronze: str = "bronze",
    variables: Mapping[str, str] | None = None,
    project: Path = PROJECT_ROOT,
    target_path: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> PastBuild:
    """Build models from pinned versions of their sources, or of models upstream, into a new schema.

    Nothing is copied: each pinned table is a view on its version. The schema stays until it is dropped.

    Args:
        schema: a schema that does not exist yet.
        select: dbt's selection, as `["+flight_features"]`.
        pins: every bronze table that is read, and models that are not to be built but read as they were.
        bronze: the schema of the sources.
        variables: of dbt, beside the one that names the schema of the sources.
        project: the dbt project, this checkout's or a past one's.

    Raises:
        LakehouseError: the schema exists, a pinned table was dropped and made anew, or dbt failed.
    """
    bronze_schema = f"{schema}_bronze"
    for name in (schema, bronze_schema):
        if spark.catalog.databaseExists(name):
            raise LakehouseError(f"there is a schema {name} already", "name another one, or drop it")
    for pin in pins:
        check_identity(spark, pin)
    try:
        for name in (schema, bronze_schema):
            spark.sql(f"create schema {name}")
        models = _view_pins(spark, schema, bronze_schema, bronze, pins, progress)
        progress(f"dbt builds {' '.join(select)} into {schema}")
        result = run_dbt(
            [
                *("build", "--select", *select),
                *(("--exclude", *models) if models else ()),
                *("--exclude-resource-type", "test", "unit_test"),
            ],
            variables={"bronze_schema": bronze_schema, **(variables or {})},
            target="dev",
            project=project,
            target_path=target_path,
            environment={"LAKEHOUSE_DBT_SCHEMA": schema},
            progress=progress,
        )
    except LakehouseError:
        # Half a build is nobody's: the same command can be given again.
        drop(spark, schema)
        raise
    return PastBuild(schema, bronze_schema, tuple(pins), result)


def drop(spark: SparkSession, schema: str) -> None:
    """Take away what `build` made."""
    for name in (schema, f"{schema}_bronze"):
        spark.sql(f"drop schema if exists {name} cascade")


def _view_pins(
    spark: SparkSession,
    schema: str,
    bronze_schema: str,
    bronze: str,
    pins: Iterable[TableVersion],
    progress: Callable[[str], None],
) -> list[str]:
    """Make a view on each pinned version; returns the models among them, which are then not built."""
    models: list[str] = []
    for pin in pins:
        owner, _, table = pin.name.partition(".")
        if owner != bronze:
            models.append(table)
        progress(f"{pin} is read")
        spark.sql(
            f"create view {bronze_schema if owner == bronze else schema}.{table} "
            f"comment {sql_text(f'{pin}, table {pin.table_id}')} "
            f"as select * from {pin.name} version as of {pin.version}"
        )
    return models
