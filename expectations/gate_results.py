"""The gates' state: the Delta table `lakehouse.gate_results`, one row a check, table and day."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import lru_cache

import pyarrow as pa
from pyspark.sql import SparkSession

from lakehouse.delta.table import TableVersion, create_table, current_version, table_exists

TABLE = "lakehouse.gate_results"

_COLUMNS = (
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
)


@dataclass(frozen=True)
class GateRow:
    """What a check found for one day of a table; day None is the check as a whole.

    Args:
        failing_rows: the failures as JSON: expectation, count and sample keys.
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

    @property
    def holds(self) -> bool:
        """Whether what follows may go on."""
        return self.passed or self.override_by is not None


@dataclass(frozen=True)
class TableState:
    """Where a table stands.

    Args:
        last: the last check as a whole; its table version is the one that a release publishes.
        stopping: the latest results, of each day and of the check as a whole, that neither passed nor were
            overridden.
    """

    last: GateRow
    stopping: tuple[GateRow, ...]

    @property
    def passed(self) -> bool:
        """Whether no day's latest result stops what follows."""
        return not self.stopping


def append(spark: SparkSession, rows: Sequence[GateRow]) -> None:
    """Write results down, all in one commit."""
    if not table_exists(spark, TABLE):
        create_table(
            spark,
            TABLE,
            [(name, sql_type) for name, sql_type, _ in _COLUMNS],
            comment="What each check found, by table and day; the latest row of a day counts.",
        )
    now = datetime.now(UTC)
    records = [
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
            "checked_at": now,
            "docs_url": row.docs_url,
        }
        for row in rows
    ]
    schema = pa.schema([(name, arrow_type) for name, _, arrow_type in _COLUMNS])
    spark.createDataFrame(pa.Table.from_pylist(records, schema)).coalesce(1).writeTo(TABLE).append()


def states(spark: SparkSession, tables: Iterable[str]) -> dict[str, TableState]:
    """Where each table stands that was ever checked.

    Results of a table that was dropped and made anew since its last check don't count.
    """
    if not table_exists(spark, TABLE):
        return {}
    return _states_at(spark, current_version(spark, TABLE), tuple(tables))


# A version of the table says the same each time: a run asks it at every step.
@lru_cache(maxsize=16)
def _states_at(spark: SparkSession, results: TableVersion, tables: tuple[str, ...]) -> dict[str, TableState]:
    names = ", ".join(f"'{name}'" for name in tables)
    rows = spark.sql(
        f"""
        with ranked as (
            select
                *,
                row_number() over (partition by table_name, table_id, day order by checked_at desc) as nth
            from {TABLE} version as of {results.version}
            where table_name in ({names})
        )
        select * from ranked
        where nth = 1 and (day is null or not (passed or override_by is not null))
        order by checked_at, day
        """
    ).collect()
    parsed = [
        GateRow(
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
        )
        for row in rows
    ]
    last = {row.table.name: row for row in parsed if row.day is None}
    return {
        name: TableState(
            last[name],
            tuple(
                row
                for row in parsed
                if row.table.name == name
                and row.table.table_id == last[name].table.table_id
                and not row.holds
            ),
        )
        for name in last
    }


def overridden(rows: Iterable[GateRow], by: str, reason: str) -> list[GateRow]:
    """The same results, marked as overridden."""
    return [replace(row, override_by=by, override_reason=reason) for row in rows]
