"""dbt models as past versions of their inputs would have made them, in a schema of their own."""

import json
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.dbt.project import DbtResult, run_dbt
from lakehouse.delta.owned_schemas import drop_schemas, owned_schemas
from lakehouse.delta.schema_locks import leftovers
from lakehouse.delta.table import TableVersion, at_version, check_identity, current_version, sql_text
from lakehouse.engine.state import exclusive
from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress, silent
from lakehouse.settings import PROJECT_ROOT

__all__ = [
    "PastBuild",
    "build",
    "complete_pins",
    "drop",
    "leftovers",
    "sources_read",
    "temporary_build",
    "version_as_of",
    "version_time",
]


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
    history = spark.sql(f"describe history {name}")
    newest, first = history.agg(
        F.max(F.when(F.col("timestamp") <= F.lit(instant), F.col("version"))), F.min("timestamp")
    ).collect()[0]
    if newest is None:
        raise LakehouseError(
            f"{name} has no version of {instant.isoformat()}: its first one is of {_utc(first).isoformat()}",
            "what counts is when this warehouse committed, not the day of the data: give a later time, or "
            "pin a version by its number",
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
    return _utc(rows[0]["timestamp"])


def _utc(collected: datetime) -> datetime:
    return collected.astimezone(UTC)


def complete_pins(
    spark: SparkSession,
    pins: Sequence[TableVersion],
    as_of: datetime | None = None,
    bronze: str = "bronze",
    needed: Collection[str] | None = None,
) -> tuple[TableVersion, ...]:
    """Pins, and one for each bronze table that they leave out.

    Args:
        as_of: the instant whose bronze is meant where no pin says otherwise; now by default.
        bronze: the schema of the sources.
        needed: names of the sources that the build reads, all by default: another one that did not exist then
            is left out.

    Raises:
        LakehouseError: a bronze table that is needed did not exist then.
    """
    pinned = {pin.name: pin for pin in pins}
    for row in spark.sql(f"show tables in {bronze}").collect():
        source = f"{bronze}.{row['tableName']}"
        if source in pinned or row["isTemporary"]:
            continue
        try:
            found = version_as_of(spark, source, as_of) if as_of else current_version(spark, source)
        except LakehouseError:
            if needed is None or row["tableName"] in needed:
                raise
            continue
        pinned[source] = found
    return tuple(pinned.values())


def sources_read(select: Sequence[str], project: Path = PROJECT_ROOT) -> set[str]:
    """The names of the sources that a build of a selection reads.

    Args:
        select: dbt's selection.

    Raises:
        LakehouseError: dbt does not know such a selection, or it selects no model.
    """
    folder = project / "target" / "time_travel"
    # Two that ask at once must not read each other's half of a manifest.
    with exclusive(folder / "manifest.lock"):
        listed = run_dbt(
            ["--quiet", "ls", "--select", *select, "--output", "json", "--output-keys", "unique_id"],
            target="dev",
            project=project,
            target_path=folder,
        )
        nodes = json.loads((folder / "manifest.json").read_text())["nodes"]
    chosen = {json.loads(line)["unique_id"] for line in listed.output.splitlines() if line.startswith("{")}
    models = [name for name in chosen if nodes.get(name, {}).get("resource_type") in _BUILT]
    if not models:
        raise _selects_nothing(select)
    return {name.rpartition(".")[2] for name in _source_ids(models, nodes)}


def _selects_nothing(select: Sequence[str]) -> LakehouseError:
    return LakehouseError(
        f"{' '.join(select)} selects no model", "`dbt ls --select …` shows what a selection holds"
    )


# What a build makes of dbt's nodes.
_BUILT = ("model", "seed", "snapshot")


def _source_ids(names: Iterable[str], nodes: Mapping[str, Any]) -> set[str]:
    """The sources that these nodes read by themselves, or through models that are part of their SQL."""
    found: set[str] = set()
    for name in names:
        parents: list[str] = nodes[name]["depends_on"].get("nodes", [])
        found |= {parent for parent in parents if parent.startswith("source.")}
        inlined = [
            parent
            for parent in parents
            if nodes.get(parent, {}).get("config", {}).get("materialized") == "ephemeral"
        ]
        found |= _source_ids(inlined, nodes)
    return found


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
    progress: Progress = silent,
) -> PastBuild:
    """Build models from pinned versions of their sources, or of models upstream, into a new schema.

    Nothing is copied: each pinned table is a view on its version. The schema stays until it is dropped.
    Whatever interrupts the build takes away what there is of it; what a killed one left is replaced.

    Args:
        schema: a schema that does not exist yet.
        select: dbt's selection, as `["+flight_features"]`.
        pins: every bronze table that is read, and models that are not to be built but read as they were.
        bronze: the schema of the sources.
        variables: of dbt, beside the one that names the schema of the sources.
        project: the dbt project, this checkout's or a past one's.

    Raises:
        LakehouseError: the schema's name is none, it exists, a pinned table was dropped and recreated, or dbt
            failed.
    """
    with temporary_build(
        spark,
        schema,
        select,
        pins,
        keep=True,
        bronze=bronze,
        variables=variables,
        project=project,
        target_path=target_path,
        progress=progress,
    ) as built:
        return built


@contextmanager
def temporary_build(
    spark: SparkSession,
    schema: str,
    select: Sequence[str],
    pins: Sequence[TableVersion],
    *,
    keep: bool = False,
    bronze: str = "bronze",
    variables: Mapping[str, str] | None = None,
    project: Path = PROJECT_ROOT,
    target_path: Path | None = None,
    progress: Progress = silent,
) -> Generator[PastBuild]:
    """What `build` makes, for the time of the block; it goes away however the block ends.

    Args:
        keep: leave it where the block ends well.
    """
    for pin in pins:
        check_identity(spark, pin)
    bronze_schema = f"{schema}_bronze"
    with owned_schemas(spark, [schema, bronze_schema], keep=keep, progress=progress):
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
        if not result.results:
            raise _selects_nothing(select)
        yield PastBuild(schema, bronze_schema, tuple(pins), result)


def drop(spark: SparkSession, schema: str) -> None:
    """Take away what `build` made."""
    drop_schemas(spark, [schema, f"{schema}_bronze"])


def _view_pins(
    spark: SparkSession,
    schema: str,
    bronze_schema: str,
    bronze: str,
    pins: Iterable[TableVersion],
    progress: Progress,
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
