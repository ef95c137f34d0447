"""What Delta's tables say of the days, read from their files where they lie on this machine.

A sensor asks each minute: asked through Spark, the engine would never stop for want of work.
"""

import os
from collections import defaultdict
from collections.abc import Collection
from datetime import date
from functools import lru_cache
from pathlib import Path

from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakehouse.delta import gate_results
from lakehouse.delta.table import local_folder, table_exists
from lakehouse.engine.server import is_ours
from lakehouse.engine.session import spark_session
from lakehouse.ingest.delivery import Delivery
from lakehouse.ingest.ledger import pending, read_entries
from lakehouse.ingest.source import load_sources
from lakehouse.settings import settings


def pending_deliveries() -> list[Delivery]:
    """What lies in the landing zone, is whole, and is not in the ledger."""
    return pending(settings().landing_dir, read_entries(spark=_foreign_spark()))


def delivered_days() -> set[date]:
    """The days that something landed for; a snapshot is of no day."""
    daily = {name for name, source in load_sources().items() if source.arrives != "snapshot"}
    entries = read_entries(spark=_foreign_spark())
    return {entry.day for entry in entries if entry.kind == "delivery" and entry.source in daily}


def gate_results_by_day(tables: Collection[str]) -> dict[date, set[str]]:
    """The days that a check looked at in any of these tables, each with the tables that fail on it."""
    found: defaultdict[date, set[str]] = defaultdict(set)
    spark = _foreign_spark()
    if spark is None and local_folder(gate_results.TABLE) is None:
        return {}
    # A table on this machine is read without a session.
    states = gate_results.states(spark, tables)  # pyright: ignore[reportArgumentType]
    for table, state in states.items():
        for day, row in state.days.items():
            if day is not None:
                failing = found[day]
                if not row.holds:
                    failing.add(table)
    return dict(found)


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
    """A session where the tables lie on a server of the user's own; None where they lie on this machine."""
    remote = os.environ.get("SPARK_REMOTE")
    return spark_session() if remote and not is_ours(remote) else None
