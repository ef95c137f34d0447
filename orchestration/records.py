"""What Delta's tables say of the days, read from their files where they lie on this machine.

A sensor asks each minute: asked through Spark, the engine would never stop for want of work.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakehouse.delta import gate_results
from lakehouse.delta.gate_results import TableState
from lakehouse.delta.table import TableVersion, local_folder, table_exists
from lakehouse.engine.server import tables_are_here
from lakehouse.engine.session import spark_session
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.delivery import Delivery
from lakehouse.ingest.ledger import Entry, pending, read_entries
from lakehouse.ingest.listing import Listed
from lakehouse.settings import settings


def pending_deliveries(listed: Listed) -> list[Delivery]:
    """What of the deliveries that lie there is whole, and is not in the ledger."""
    return pending(settings().landing_dir, read_entries(spark=_foreign_spark()), listed=listed)


def ledger_entries() -> list[Entry]:
    """All that the ledger of deliveries says."""
    return read_entries(spark=_foreign_spark())


def delivered_days() -> set[date]:
    """The days that something landed for; a snapshot is of no day."""
    daily = {name for name, source in load_sources().items() if source.arrives != "snapshot"}
    entries = read_entries(spark=_foreign_spark())
    return {entry.day for entry in entries if entry.kind == "delivery" and entry.source in daily}


def gate_results_by_day(tables: Collection[str]) -> dict[date, set[str]]:
    """The days that a check looked at in any of these tables, each with the tables that fail on it."""
    found: defaultdict[date, set[str]] = defaultdict(set)
    for table, state in gate_states(tables).items():
        for day, row in state.days.items():
            if day is not None:
                failing = found[day]
                if not row.holds:
                    failing.add(table)
    return dict(found)


def gate_states(tables: Collection[str]) -> dict[str, TableState]:
    """Where each of these tables stands of which a check was ever started."""
    spark = _foreign_spark()
    if spark is None and local_folder(gate_results.TABLE) is None:
        return {}
    # A table on this machine is read without a session.
    return gate_results.states(spark, tables)  # pyright: ignore[reportArgumentType]


def newest_versions(tables: Collection[str]) -> dict[str, TableVersion]:
    """The newest version of each of these tables that lies on this machine."""
    found: dict[str, TableVersion] = {}
    for name in tables:
        folder = local_folder(name)
        if folder is not None:
            table = DeltaTable(folder, without_files=True)
            found[name] = TableVersion(name, str(table.metadata().id), table.version())
    return found


def rows_where(table: str, columns: Collection[str], condition: tuple[str, str, Any]) -> list[dict[str, Any]]:
    """Some columns of a table's rows; none where the table is not on this machine.

    Args:
        condition: column, operator, value; the rows have to be few.
    """
    folder = local_folder(table)
    if folder is None:
        return []
    return DeltaTable(folder).to_pyarrow_table(columns=list(columns), filters=[condition]).to_pylist()


def values_of_day(table: str, column: str, day: date, wanted: str) -> list[Any]:
    """The values of a column in a table's rows of a day; none where the table is not on this machine."""
    folder = local_folder(table)
    if folder is None:
        return []
    rows = DeltaTable(folder).to_pyarrow_table(columns=[wanted], filters=[(column, "=", day)])
    return rows.column(wanted).to_pylist()


def days_in(table: str, column: str) -> set[date]:
    """The days that a table has rows of; none where there is no such table."""
    folder = local_folder(table)
    if folder is not None:
        newest = DeltaTable(folder, without_files=True)
        return _days_at(folder, str(newest.metadata().id), newest.version(), column)
    spark = _foreign_spark()
    if spark is None or not table_exists(spark, table):
        return set()
    return {row[column] for row in spark.table(table).select(column).distinct().toArrow().to_pylist()}


# A version says the same each time, and most minutes bring none. A table that was recreated has another id.
@lru_cache(maxsize=16)
def _days_at(folder: Path, _table_id: str, version: int, column: str) -> set[date]:
    rows = DeltaTable(folder, version=version).to_pyarrow_table(columns=[column])
    return set(rows.column(column).unique().to_pylist())


def _foreign_spark() -> SparkSession | None:
    """A session where the tables lie elsewhere; None where they lie on this machine."""
    return None if tables_are_here() else spark_session()
