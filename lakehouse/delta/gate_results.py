"""The gates' state: the Delta table `lakehouse.gate_results`, one row per check, table and day.

A check first writes that it has started, which counts as not passed, and then what it found: a check that
died is red. The latest row of a day counts: that of the newest version of the table, and of these the last
one written. So a slow check of an older version hides nothing that is known of a newer one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any, Literal

import pyarrow as pa
from pyspark.sql import SparkSession

from lakehouse.delta.state_table import StateTable
from lakehouse.delta.table import TableVersion

TABLE = "lakehouse.gate_results"

Status = Literal["started", "checked"]

_STATE = StateTable(
    name=TABLE,
    columns=(
        ("table_name", "string not null", pa.string()),
        ("table_id", "string not null", pa.string()),
        ("version", "bigint not null", pa.int64()),
        ("day", "date", pa.date32()),
        ("suite", "string not null", pa.string()),
        ("passed", "boolean not null", pa.bool_()),
        ("failed_expectations", "int not null", pa.int32()),
        ("failing_rows", "string", pa.string()),
        ("override_by", "string", pa.string()),
        ("override_reason", "string", pa.string()),
        ("run_id", "string not null", pa.string()),
        ("checked_at", "timestamp not null", pa.timestamp("us", "UTC")),
        ("docs_url", "string", pa.string()),
        ("status", "string", pa.string()),
        ("rows_hash", "string", pa.string()),
        ("row_count", "bigint", pa.int64()),
    ),
    at="checked_at",
    comment="What each check found, by table and day; the latest row of a day counts.",
)


@dataclass(frozen=True)
class GateRow:
    """What a check found for one day of a table; day None is the check as a whole.

    Args:
        failed_expectations: how many.
        failing_rows: the failures as JSON: expectation, count and sample keys.
        override_by: who let it through although it failed.
        status: `started` until the check has ended.
        rows_hash: a hash of the day's rows, where an override was given for them.
        row_count: how many rows the day had; None where it was not noted.
    """

    table: TableVersion
    day: date | None
    suite: str
    passed: bool
    failed_expectations: int
    failing_rows: str | None
    run_id: str
    docs_url: str | None
    override_by: str | None = None
    override_reason: str | None = None
    status: Status = "checked"
    rows_hash: str | None = None
    row_count: int | None = None

    @property
    def holds(self) -> bool:
        """Whether what follows may go on."""
        return self.status == "checked" and (self.passed or self.override_by is not None)


@dataclass(frozen=True)
class TableState:
    """Where a table stands.

    Args:
        last: the last check as a whole that ended; None where none did.
        unfinished: the check of the newest version, where it has not ended or has died.
        stopping: the latest results, of each day and of the check as a whole, that neither passed nor were
            overridden, oldest version first.
        days: the latest result of each day.
        passed_versions: the versions at which all days had passed or were overridden, in order.
    """

    last: GateRow | None = None
    unfinished: GateRow | None = None
    stopping: tuple[GateRow, ...] = ()
    days: Mapping[date | None, GateRow] = field(default_factory=dict[date | None, GateRow])
    passed_versions: tuple[TableVersion, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no day's latest result stops what follows."""
        return self.last is not None and not self.stopping


def append(spark: SparkSession, rows: Sequence[GateRow], now: datetime | None = None) -> None:
    """Write results down, all in one commit.

    Args:
        now: the time that people are shown; nothing is ordered by it.
    """
    checked_at = now or datetime.now(UTC)
    _STATE.append(
        spark,
        [
            {
                "table_name": row.table.name,
                "table_id": row.table.table_id,
                "version": row.table.version,
                "day": row.day,
                "suite": row.suite,
                "passed": row.passed,
                "failed_expectations": row.failed_expectations,
                "failing_rows": row.failing_rows,
                "override_by": row.override_by,
                "override_reason": row.override_reason,
                "run_id": row.run_id,
                "checked_at": checked_at,
                "docs_url": row.docs_url,
                "status": row.status,
                "rows_hash": row.rows_hash,
                "row_count": row.row_count,
            }
            for row in rows
        ],
    )


def states(spark: SparkSession, tables: Iterable[str]) -> dict[str, TableState]:
    """Where each table stands of which a check was ever started.

    Results of a table that was dropped and recreated since count no more once its successor is checked.
    """
    rows = _STATE.read(spark, sorted(set(tables))).to_pylist()
    by_table: dict[str, list[GateRow]] = {}
    for row in rows:
        by_table.setdefault(row["table_name"], []).append(_parsed(row))
    return {name: state_of(found) for name, found in by_table.items()}


def passed_version(spark: SparkSession, table: str) -> TableVersion | None:
    """The newest version of a table at which its gate passed as a whole: all days, or by override in force.

    A failed or unfinished check of a newer version does not change it.
    """
    state = states(spark, [table]).get(table)
    return state.passed_versions[-1] if state is not None and state.passed_versions else None


def state_of(rows: Sequence[GateRow]) -> TableState:
    """Where a table stands, by its rows in the order in which they were written."""
    # Versions begin again where a table was dropped and recreated: the one that came last counts.
    identity = list(dict.fromkeys(row.table.table_id for row in rows))[-1]
    ordered = sorted((row for row in rows if row.table.table_id == identity), key=_version)
    days: dict[date | None, GateRow] = {}
    stopping: set[date | None] = set()
    passed: list[TableVersion] = []
    last: GateRow | None = None
    for _, of_version in groupby(ordered, key=_version):
        for row in of_version:
            days[row.day] = row
            stopping.discard(row.day)
            if not row.holds:
                stopping.add(row.day)
            if row.day is None and row.status == "checked":
                last = row
        whole = days.get(None)
        if whole is not None and not stopping:
            passed.append(whole.table)
    whole = days.get(None)
    return TableState(
        last=last,
        unfinished=whole if whole is not None and whole.status == "started" else None,
        stopping=tuple(sorted((days[day] for day in stopping), key=_place)),
        days=days,
        passed_versions=tuple(passed),
    )


def overridden(rows: Iterable[GateRow], by: str, reason: str) -> list[GateRow]:
    """The same results, marked as overridden."""
    return [replace(row, override_by=by, override_reason=reason) for row in rows]


def _version(row: GateRow) -> int:
    return row.table.version


def _place(row: GateRow) -> tuple[int, date]:
    return row.table.version, row.day or date.min


def _parsed(row: Mapping[str, Any]) -> GateRow:
    return GateRow(
        table=TableVersion(row["table_name"], row["table_id"], int(row["version"])),
        day=row["day"],
        suite=row["suite"],
        passed=bool(row["passed"]),
        failed_expectations=int(row["failed_expectations"]),
        failing_rows=row["failing_rows"],
        run_id=row["run_id"],
        docs_url=row["docs_url"],
        override_by=row["override_by"],
        override_reason=row["override_reason"],
        status=row["status"] or "checked",
        rows_hash=row["rows_hash"],
        row_count=row["row_count"],
    )
