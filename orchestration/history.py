"""Dagster's history, kept bounded: old runs go with their events, but for those that say how things stand."""

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster import DagsterEventType, DagsterRunStatus

# A query names so many events at most.
_AT_ONCE = 500
_RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]


def prune(instance: dg.DagsterInstance, days: int, now: datetime | None = None) -> int:
    """Delete the runs that ended long ago, and all their events.

    A deleted run takes along what it said of its assets. So those stay that hold the newest materialization
    of a partition, or the newest result of a check: nothing goes that the graph shows as it is now.

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
    return len(deleted)


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
