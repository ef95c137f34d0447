"""Dagster's history, kept bounded: old runs go with their events, but for those that say how things stand."""

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import sqlalchemy as sa
from dagster import DagsterEventType, DagsterRunStatus
from dagster._core.instance.utils import RUNLESS_RUN_ID
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

# A query names so many events at most.
_AT_ONCE = 500
_RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TOLD = (DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_OBSERVATION)
_CHECKED = DagsterEventType.ASSET_CHECK_EVALUATION
_EVENTS = SqlEventLogStorageTable
_ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]


def prune(instance: dg.DagsterInstance, days: int, now: datetime | None = None) -> int:
    """Delete the runs that ended long ago, and all their events.

    A deleted run takes along what it said of its assets. So those stay that hold the newest materialization
    of a partition, or the newest result of a check: nothing goes that the graph shows as it is now.

    What belongs to no run, such as an observation of the landing zone, goes by the same rule.

    Args:
        days: for so long every run stays.

    Returns:
        how many were deleted.
    """
    before = (now or datetime.now(UTC)) - timedelta(days=days)
    old = {run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=_ENDED, updated_before=before))}
    deleted = sorted(old - set(_telling(instance))) if old else []
    for run_id in deleted:
        instance.delete_run(run_id)
    _sweep(instance, before)
    # An ephemeral instance's is another type.
    storage = instance.event_log_storage
    if isinstance(storage, SqlEventLogStorage):
        # Dagster's own columns have no zone.
        until = before.astimezone(UTC).replace(tzinfo=None)
        with storage.index_connection() as database:
            _prune_runless(database, until)
            _prune_runless_checks(database, until)
        if isinstance(storage, SqliteEventLogStorage):
            # It keeps each event twice, here for who asks by run.
            with storage.run_connection(RUNLESS_RUN_ID) as database:
                _prune_runless(database, until)
                database.execute(sa.delete(_EVENTS).where(_of(_CHECKED), _EVENTS.c.timestamp < until))
    return len(deleted)


def _of(*types: DagsterEventType) -> sa.ColumnElement[bool]:
    named = _EVENTS.c.dagster_event_type.in_([each.value for each in types])
    return sa.and_(_EVENTS.c.run_id == RUNLESS_RUN_ID, named)


def _prune_runless_checks(database: sa.Connection, until: datetime) -> None:
    """Delete old results of checks of no run; the newest of each check stays."""
    checks = AssetCheckExecutionsTable
    of_none = checks.c.run_id == RUNLESS_RUN_ID
    newest = (
        sa.select(sa.func.max(checks.c.id))
        .where(of_none)
        .group_by(checks.c.asset_key, checks.c.check_name, checks.c.partition)
    )
    is_old = sa.and_(of_none, checks.c.evaluation_event_timestamp < until, checks.c.id.not_in(newest))
    told = sa.select(checks.c.evaluation_event_storage_id).where(is_old)
    database.execute(sa.delete(_EVENTS).where(_of(_CHECKED), _EVENTS.c.id.in_(told)))
    database.execute(sa.delete(checks).where(checks.c.id.in_(sa.select(checks.c.id).where(is_old))))


def _prune_runless(database: sa.Connection, until: datetime) -> None:
    """Delete old materializations and observations of no run; the newest of each partition stays."""
    events, tags = _EVENTS, AssetEventTagsTable
    told = _of(*_TOLD)
    newest = (
        sa.select(sa.func.max(events.c.id))
        .where(told)
        .group_by(events.c.asset_key, events.c.partition, events.c.dagster_event_type)
    )
    old = sa.select(events.c.id).where(told, events.c.timestamp < until, events.c.id.not_in(newest))
    database.execute(sa.delete(tags).where(tags.c.event_id.in_(old)))
    database.execute(sa.delete(events).where(events.c.id.in_(old)))


def _sweep(instance: dg.DagsterInstance, before: datetime) -> None:
    """Remove the files of runs that are gone: Dagster deletes rows, and leaves each run's own database.

    By what lies there, not by what was just deleted: whoever was killed in between left files of a run that
    nobody knows any more. A run that has just begun may not be known yet, so old files alone are looked at.
    """
    root = Path(instance.root_directory)
    for path in [*(root / "history" / "runs").glob("*.db*"), *(root / "storage").glob("*")]:
        run_id = path.name.partition(".db")[0]
        old = datetime.fromtimestamp(path.stat().st_mtime, UTC) < before
        if not _RUN_ID.fullmatch(run_id) or not old or instance.has_run(run_id):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _telling(instance: dg.DagsterInstance) -> Iterator[str]:
    """The runs that say how assets and checks stand now."""
    for key in instance.all_asset_keys():
        latest = instance.get_latest_materialization_event(key)
        if latest is not None:
            yield latest.run_id
        events = instance.event_log_storage.get_latest_storage_id_by_partition(
            key, DagsterEventType.ASSET_MATERIALIZATION
        )
        newest = sorted(events.values())
        for first in range(0, len(newest), _AT_ONCE):
            asked = dg.AssetRecordsFilter(key, storage_ids=newest[first : first + _AT_ONCE])
            found = instance.fetch_materializations(asked, limit=_AT_ONCE)
            yield from (record.run_id for record in found.records)
    yield from _of_checks(instance)


def _of_checks(instance: dg.DagsterInstance) -> Iterator[str]:
    from orchestration.definitions import defs

    checks = sorted(defs.resolve_asset_graph().asset_check_keys)
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(checks)
    yield from (record.run_id for record in latest.values())
