"""Versions that must not be lost: held by name in `lakehouse.pins`, or in force in `published`."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from lakehouse.delta.publications import published_versions, view_name
from lakehouse.delta.retention import missing_files, why_unreadable
from lakehouse.delta.table import TableVersion, create_table, location, table_exists
from lakehouse.engine.state import exclusive
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings

TABLE = "lakehouse.pins"

_COLUMNS = (
    ("name", "string not null"),
    ("table_name", "string not null"),
    ("table_id", "string not null"),
    ("version", "bigint not null"),
    ("reason", "string not null"),
    ("held_by", "string not null"),
    ("created_at", "timestamp not null"),
    ("is_held", "boolean not null"),
)


@dataclass(frozen=True)
class Need:
    """A version that someone needs.

    Args:
        who: as `model arrival_delay version 3`.
        why: as `champion`.
    """

    version: TableVersion
    who: str
    why: str

    def __str__(self) -> str:
        return f"{self.who} ({self.why}) needs {self.version}"


@dataclass(frozen=True)
class Pin:
    """A version held by a name."""

    name: str
    version: TableVersion
    reason: str
    held_by: str
    created_at: datetime


def pins_lock() -> AbstractContextManager[None]:
    """While it is held, no version is pinned or let go, and nothing is vacuumed."""
    return exclusive(settings().engine_dir / "pins.lock")


def pin(spark: SparkSession, name: str, version: TableVersion, reason: str, held_by: str) -> Pin:
    """Hold a version by a name, until `unpin`.

    Raises:
        LakehouseError: name or reason is missing, the name holds a version already, or the version cannot be
            read any more.
    """
    if not name.strip() or not reason.strip():
        raise LakehouseError("a pin needs a name and a reason", "give NAME and --reason WHY")
    folder = location(spark, version.name)
    with pins_lock():
        held = _held(spark).get(name)
        if held is not None:
            raise LakehouseError(
                f"{name} holds {held.version} already", f"`lakehouse unpin {name}`, or another name"
            )
        problem = why_unreadable(folder, version) or missing_files(folder, version)
        if problem is not None:
            raise LakehouseError(
                f"{version} cannot be pinned: {problem}",
                f"`describe history {version.name}` tells what there is",
            )
        if not table_exists(spark, TABLE):
            comment = "One row when a name takes or lets go a version; the latest counts."
            create_table(spark, TABLE, _COLUMNS, comment=comment)
        _append(spark, name, version, reason, held_by, is_held=True)
        return _held(spark)[name]


def unpin(spark: SparkSession, name: str, held_by: str) -> Pin:
    """Let go what a name holds; that it did so stays written down.

    Returns:
        what it held.

    Raises:
        LakehouseError: it holds nothing.
    """
    with pins_lock():
        held = _held(spark).get(name)
        if held is None:
            raise LakehouseError(f"there is no pin {name}", "`lakehouse pins` lists all")
        _append(spark, name, held.version, held.reason, held_by, is_held=False)
        return held


def pins(spark: SparkSession) -> list[Pin]:
    """All versions that are held by name, by name."""
    return sorted(_held(spark).values(), key=lambda held: held.name)


def own_needs(spark: SparkSession) -> list[Need]:
    """What is held by name, and what readers are told of now; earlier releases are not needed."""
    return [
        *(Need(held.version, f"pin {held.name}", f"{held.reason}, {held.held_by}") for held in pins(spark)),
        *(Need(version, view_name(version.name), "published") for version in published_versions(spark)),
    ]


def _held(spark: SparkSession) -> dict[str, Pin]:
    if not table_exists(spark, TABLE):
        return {}
    latest = f"select name, max_by(struct(*), created_at) as latest from {TABLE} group by name"
    rows = spark.sql(f"{latest} having latest.is_held").collect()
    return {
        str(row["name"]): Pin(
            row["name"],
            TableVersion(
                row["latest"]["table_name"], row["latest"]["table_id"], int(row["latest"]["version"])
            ),
            row["latest"]["reason"],
            row["latest"]["held_by"],
            row["latest"]["created_at"].astimezone(UTC),
        )
        for row in rows
    }


def _append(
    spark: SparkSession, name: str, version: TableVersion, reason: str, held_by: str, *, is_held: bool
) -> None:
    now = datetime.now(UTC)
    row = (name, version.name, version.table_id, version.version, reason, held_by, now, is_held)
    schema = ", ".join(f"{column} {sql_type}" for column, sql_type in _COLUMNS)
    spark.createDataFrame([row], schema).coalesce(1).writeTo(TABLE).append()
