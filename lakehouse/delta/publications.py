"""What readers are told of: releases of checked table versions, and the views of the `published` schema."""

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from lakehouse.delta.state_table import SEQUENCE, StateTable, latest
from lakehouse.delta.table import TableVersion, check_identity, id_at, table_exists
from lakehouse.engine.state import exclusive
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings

TABLE = "lakehouse.publications"
SCHEMA = "published"

_STATE = StateTable(
    name=TABLE,
    columns=(
        ("release_id", "string not null", pa.string()),
        ("table_name", "string not null", pa.string()),
        ("table_id", "string not null", pa.string()),
        ("version", "bigint not null", pa.int64()),
        ("gate", "string not null", pa.string()),
        ("run_id", "string not null", pa.string()),
        ("published_at", "timestamp not null", pa.timestamp("us", "UTC")),
    ),
    at="published_at",
    comment="One row per table and release; the latest is what readers see.",
)
# What a view shows is kept in its properties, so that a stale one is noticed without parsing its SQL.
_SHOWN_VERSION = "lakehouse.version"
_SHOWN_ID = "lakehouse.table_id"


def publish(
    spark: SparkSession,
    versions: Sequence[TableVersion],
    gate: str,
    run_id: str,
    now: datetime | None = None,
) -> str:
    """Tell readers of these versions, all at once: one commit to `lakehouse.publications`, then their views.

    The commit is the release. Views that a crash left behind are replaced by the next call of any function
    here but `releases`. Publishing what is published already commits nothing.

    Args:
        now: the time that people are shown; nothing is ordered by it.

    Returns:
        the release's id: the new one, or the one in force.

    Raises:
        LakehouseError: nothing was given, two tables would share a view, or one was dropped and recreated.
    """
    if not versions:
        raise LakehouseError(f"the gate {gate} has nothing to publish", "name at least one table version")
    before = _releases(spark)
    for version in versions:
        check_identity(spark, version)
    _refuse_shared_views(spark, versions, before)
    if all(name in before and before[name][0] == version for name, version in _by_name(versions).items()):
        restore_views(spark)
        return before[versions[0].name][1]
    release_id = str(uuid.uuid4())
    published_at = now or datetime.now(UTC)
    _STATE.append(
        spark,
        [
            {
                "release_id": release_id,
                "table_name": version.name,
                "table_id": version.table_id,
                "version": version.version,
                "gate": gate,
                "run_id": run_id,
                "published_at": published_at,
            }
            for version in versions
        ],
    )
    restore_views(spark)
    return release_id


def releases(spark: SparkSession) -> dict[str, TableVersion]:
    """The version in force of each table that was ever published, by name; no view is looked at or touched.

    A table that was dropped, or recreated, since stands here too: it was published. `read_at` refuses it.
    """
    return {name: version for name, (version, _) in _releases(spark).items()}


@dataclass(frozen=True)
class Release:
    """A table's version as it was released.

    Args:
        sequence: the release's place among all; the order of releases, whatever any clock says.
        published_at: UTC, for people.
    """

    table: TableVersion
    release_id: str
    sequence: int
    published_at: datetime


def release_in_force(spark: SparkSession, name: str) -> Release | None:
    """The release that made a version of `schema.table` the published one; None where it never was."""
    columns = ("table_name", "table_id", "version", "release_id", "published_at", SEQUENCE)
    rows = _STATE.read(spark, tables=[name], columns=columns)
    for row in latest(rows, "table_name"):
        at = row["published_at"]
        return Release(TableVersion(*_named(row)), row["release_id"], int(row[SEQUENCE]), at)
    return None


def released_with(spark: SparkSession, version: TableVersion) -> dict[str, TableVersion]:
    """What was in force, by name, when a version was released for the first time; nothing if it never was."""
    rows = _STATE.read(spark, columns=("table_name", "table_id", "version", "release_id")).to_pylist()
    wanted = (version.name, version.table_id, version.version)
    of_version = (row["release_id"] for row in rows if _named(row) == wanted)
    first = next(of_version, None)
    if first is None:
        return {}
    end = max(position for position, row in enumerate(rows) if row["release_id"] == first)
    return {row["table_name"]: TableVersion(*_named(row)) for row in rows[: end + 1]}


def _named(row: Mapping[str, Any]) -> tuple[str, str, int]:
    return row["table_name"], row["table_id"], int(row["version"])


def published_version(spark: SparkSession, name: str) -> TableVersion:
    """The version of `schema.table` that readers are told of, its view restored if a crash left it behind.

    Raises:
        LakehouseError: it was never published, or was dropped and recreated since.
    """
    found = restore_views(spark).get(name)
    if found is None:
        raise LakehouseError(
            f"{name} has not been published", "run `lakehouse check` and `lakehouse release`"
        )
    check_identity(spark, found)
    return found


def published_versions(spark: SparkSession) -> list[TableVersion]:
    """All that readers were told of, by name, their views restored if a crash left some behind.

    See `releases`.
    """
    return sorted(restore_views(spark).values())


def view_name(name: str) -> str:
    """The view by which readers know a table.

    >>> view_name("features.flight_features")
    'published.flight_features'
    """
    return f"{SCHEMA}.{name.rpartition('.')[2]}"


def restore_views(spark: SparkSession) -> dict[str, TableVersion]:
    """Make each view show the version in force; one that does, or whose table is gone, is left alone.

    One process at a time, by the releases as they are then: none sets a view back to what it read earlier.

    Returns:
        the version in force of each table, by name.
    """
    with exclusive(settings().engine_dir / "views.lock"):
        found = releases(spark)
        if found:
            spark.sql(f"create schema if not exists {SCHEMA}")
        shown = _shown(spark) if found else {}
        for version in found.values():
            is_stale = shown.get(view_name(version.name)) != (version.table_id, version.version)
            if is_stale and _stands(spark, version):
                spark.sql(
                    f"create or replace view {view_name(version.name)} "
                    f"comment '{version.name}, the version that passed its gate' "
                    f"tblproperties ('{_SHOWN_ID}' = '{version.table_id}', "
                    f"'{_SHOWN_VERSION}' = '{version.version}') "
                    f"as select * from {version.name} version as of {version.version}"
                )
    return found


def _stands(spark: SparkSession, version: TableVersion) -> bool:
    return table_exists(spark, version.name) and id_at(spark, version) == version.table_id


def _shown(spark: SparkSession) -> dict[str, tuple[str, int]]:
    """Table id and version that each view shows."""
    rows = spark.sql(f"show table extended in {SCHEMA} like '*'").select("tableName", "information").collect()
    found: dict[str, tuple[str, int]] = {}
    for row in rows:
        shown_id = re.search(rf"{re.escape(_SHOWN_ID)}=([0-9a-fA-F-]+)", row["information"])
        version = re.search(rf"{re.escape(_SHOWN_VERSION)}=(\d+)", row["information"])
        if shown_id is not None and version is not None:
            found[f"{SCHEMA}.{row['tableName']}"] = (shown_id[1], int(version[1]))
    return found


def _by_name(versions: Sequence[TableVersion]) -> dict[str, TableVersion]:
    return {version.name: version for version in versions}


def _releases(spark: SparkSession) -> dict[str, tuple[TableVersion, str]]:
    """The version of each table in force, and the release that made it so."""
    rows = _STATE.read(spark, columns=("table_name", "table_id", "version", "release_id"))
    return {
        row["table_name"]: (
            TableVersion(row["table_name"], row["table_id"], int(row["version"])),
            row["release_id"],
        )
        for row in latest(rows, "table_name")
    }


def _refuse_shared_views(
    spark: SparkSession, versions: Sequence[TableVersion], before: Iterable[str]
) -> None:
    """Two tables of one name in different schemas would replace each other's view."""
    names = _by_name(versions)
    if len(names) != len(versions):
        raise LakehouseError("a release names a table twice", "publish one version of each table")
    owners = {view_name(name): name for name in before if name not in names}
    for name in names:
        owner = owners.setdefault(view_name(name), name)
        if owner != name and table_exists(spark, owner):
            raise LakehouseError(
                f"{owner} and {name} would both be published as {view_name(name)}",
                "give one of the two tables another name",
            )
