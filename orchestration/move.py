"""Dagster's history from the warehouse's SQLite files into the database of the settings."""

import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import sqlalchemy as sa
import yaml
from dagster._core.instance.utils import RUNLESS_RUN_ID

from lakehouse.errors import LakehouseError
from lakehouse.settings import settings
from lakehouse.table_copy import copy_rows
from orchestration.instance import embedded_storage, open_instance

# File below Dagster's folder → its tables that are copied; those of events are made anew from the events, and
# what daemons note about themselves belongs to the database that they write to.
_TABLES = {
    "schedules/schedules.db": ("jobs", "instigators", "job_ticks", "asset_daemon_asset_evaluations"),
    "history/runs/index.db": ("dynamic_partitions",),
    "history/runs.db": ("snapshots", "runs", "run_tags", "bulk_actions", "backfill_tags"),
}


def move() -> dict[str, int]:
    """Copy runs, their events, ticks and settings of sensors and schedules.

    Events first, run by run in the order of the runs; the runs come last, in one transaction: where this is
    killed before, the next call begins again.

    Returns:
        rows of each table, and `events`; none where there was no history.

    Raises:
        LakehouseError: the settings name no database, or one that holds runs.
    """
    database = settings().dagster_database
    if database is None:
        raise LakehouseError(
            "Dagster's history can only be moved into PostgreSQL, and the settings name no database",
            "set LAKEHOUSE_DAGSTER_DATABASE=postgresql://USER:PASSWORD@HOST/DATABASE",
        )
    home = settings().dagster_home
    if not (home / "history" / "runs.db").is_file():
        return {}
    with _embedded(home) as old, open_instance() as new:
        if new.get_runs_count():
            raise LakehouseError("Dagster's database holds runs already", "name an empty database")
        new.event_log_storage.wipe()
        events = _moved_events(old, new)
        engine = sa.create_engine(database)
        try:
            with engine.begin() as target:
                counts = {}
                for name, tables in _TABLES.items():
                    counts |= _copied(home / name, target, tables)
        finally:
            engine.dispose()
    return {"events": events, **counts}


@contextmanager
def _embedded(home: Path) -> Generator[dg.DagsterInstance]:
    """The instance whose history lies in the warehouse."""
    with tempfile.TemporaryDirectory(prefix="lakehouse-dagster-") as folder:
        (Path(folder) / "dagster.yaml").write_text(
            yaml.safe_dump({**embedded_storage(home), "telemetry": {"enabled": False}})
        )
        with dg.DagsterInstance.from_config(folder) as instance:
            yield instance


def _moved_events(old: dg.DagsterInstance, new: dg.DagsterInstance) -> int:
    """Store each event again: the new database finds by them what it knows of assets and checks."""
    records = old.get_run_records(order_by="id", ascending=True)
    count = 0
    # Those that a person reports in the UI belong to no run.
    for run_id in (RUNLESS_RUN_ID, *(record.dagster_run.run_id for record in records)):
        for entry in old.all_logs(run_id):
            new.event_log_storage.store_event(entry)
            count += 1
    return count


def _copied(file: Path, target: sa.Connection, tables: Sequence[str]) -> dict[str, int]:
    if not file.is_file():
        return {}
    engine = sa.create_engine(f"sqlite:///{file}")
    try:
        with engine.connect() as source:
            return copy_rows(source, target, tables)
    finally:
        engine.dispose()
