"""What Delta's tables say of the days, read from their files where they lie on this machine.

A sensor asks each minute: asked through Spark, the engine would never stop for want of work.
"""

import os
from collections import defaultdict
from collections.abc import Collection
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from lakehouse.delta import gate_results
from lakehouse.delta.table import local_folder, table_exists
from lakehouse.engine.session import spark_session
from lakehouse.ingest.land import DELIVERIES
from lakehouse.ingest.source import Delivery, load_sources
from lakehouse.settings import settings

_LEDGER = f"bronze.{DELIVERIES}"


def pending_deliveries() -> list[Delivery]:
    """What lies in the landing zone and is not in the ledger."""
    held = {(row["source"], row["_batch_id"]) for row in _rows(_LEDGER, ("source", "_batch_id"))}
    return [
        delivery
        for source in load_sources().values()
        for delivery in source.deliveries(settings().landing_dir)
        if (source.name, delivery.batch_id) not in held
    ]


def delivered_days() -> set[date]:
    """The days that something landed for; a snapshot is of no day."""
    daily = {name for name, source in load_sources().items() if source.arrives != "snapshot"}
    return {row["day"] for row in _rows(_LEDGER, ("source", "day")) if row["source"] in daily}


def gate_results_by_day(tables: Collection[str]) -> dict[date, set[str]]:
    """The days that a check looked at in any of these tables, each with the tables that fail on it."""
    columns = ("table_name", "table_id", "day", "passed", "override_by", "checked_at")
    rows = [row for row in _rows(gate_results.TABLE, columns) if row["table_name"] in tables]
    rows.sort(key=lambda row: row["checked_at"])
    # Results of a table that was dropped and recreated since do not count.
    identity = {row["table_name"]: row["table_id"] for row in rows}
    latest = {
        (row["table_name"], row["day"]): row
        for row in rows
        if row["day"] is not None and row["table_id"] == identity[row["table_name"]]
    }
    found: defaultdict[date, set[str]] = defaultdict(set)
    for (table, day), row in latest.items():
        failing = found[day]
        if not row["passed"] and row["override_by"] is None:
            failing.add(table)
    return dict(found)


def days_in(table: str, column: str) -> set[date]:
    """The days that a table has rows of; none where there is no such table."""
    return {row[column] for row in _rows(table, (column,))}


def _rows(table: str, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Some columns of a table's newest version, each combination once; none where there is no such table."""
    folder = local_folder(table)
    if folder is not None:
        newest = DeltaTable(folder, without_files=True)
        return _rows_at(folder, str(newest.metadata().id), newest.version(), columns)
    if not os.environ.get("SPARK_REMOTE") or not table_exists(spark_session(), table):
        return []
    return spark_session().table(table).select(*columns).distinct().toArrow().to_pylist()


# A version says the same each time, and most minutes bring none. A table that was recreated has another id.
@lru_cache(maxsize=16)
def _rows_at(folder: Path, _table_id: str, version: int, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    rows = DeltaTable(folder, version=version).to_pyarrow_table(columns=list(columns))
    return rows.group_by(list(columns)).aggregate([]).to_pylist()
