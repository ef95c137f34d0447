"""Versions that must not be lost: held by name in `lakehouse.pins`, or in force in `published`."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
from pyspark.sql import SparkSession

from lakehouse.delta.publications import published_versions, view_name
from lakehouse.delta.retention import missing_files, why_unreadable
from lakehouse.delta.state_table import StateTable, latest
from lakehouse.delta.table import TableVersion, location
from lakehouse.engine.state import exclusive
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings

TABLE = "lakehouse.pins"

_STATE = StateTable(
    name=TABLE,
    columns=(
        ("name", "string not null", pa.string()),
        ("table_name", "string not null", pa.string()),
        ("table_id", "string not null", pa.string()),
        ("version", "bigint not null", pa.int64()),
        ("reason", "string not null", pa.string()),
        ("held_by", "string not null", pa.string()),
        ("created_at", "timestamp not null", pa.timestamp("us", "UTC")),
        ("is_held", "boolean not null", pa.bool_()),
    ),
    at="created_at",
    comment="One row when a name takes or lets go a version; the latest counts.",
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


def pin(
    spark: SparkSession,
    name: str,
    version: TableVersion,
    reason: str,
    held_by: str,
    now: datetime | None = None,
) -> Pin:
    """Hold a version by a name, until `unpin`.

    Args:
        now: the time that people are shown; nothing is ordered by it.

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
        _append(spark, name, version, reason, held_by, now, is_held=True)
        return _held(spark)[name]


def unpin(spark: SparkSession, name: str, held_by: str, now: datetime | None = None) -> Pin:
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
        _append(spark, name, held.version, held.reason, held_by, now, is_held=False)
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
    return {
        row["name"]: Pin(
            row["name"],
            TableVersion(row["table_name"], row["table_id"], int(row["version"])),
            row["reason"],
            row["held_by"],
            row["created_at"].astimezone(UTC),
        )
        for row in latest(_STATE.read(spark), "name")
        if row["is_held"]
    }


def _append(
    spark: SparkSession,
    name: str,
    version: TableVersion,
    reason: str,
    held_by: str,
    now: datetime | None,
    *,
    is_held: bool,
) -> None:
    row = {
        "name": name,
        "table_name": version.name,
        "table_id": version.table_id,
        "version": version.version,
        "reason": reason,
        "held_by": held_by,
        "created_at": now or datetime.now(UTC),
        "is_held": is_held,
    }
    _STATE.append(spark, [row])
