"""After a release: what changed since the last push goes into the online store, from Spark's tasks."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lakehouse.dbt.days import DayRange, dates_between, joined, parse_day
from lakehouse.delta.publications import Release, release_in_force
from lakehouse.delta.table import TableVersion, read_at
from lakehouse.engine.state import exclusive
from lakehouse.engine.worker_code import in_workers
from lakehouse.errors import LakehouseError
from lakehouse.online.changed import changed_days, newest_day
from lakehouse.online.plan import PushPlan, plan_days, plan_newest, window
from lakehouse.online.state import Held, Marker, OnlineWriter, Push, now_ms
from lakehouse.online.tables import OnlineTable
from lakehouse.online.target import Target, target
from lakehouse.online.worker import ANSWER
from lakehouse.progress import Progress, silent
from lakehouse.settings import settings

_HOUR_MS = 3_600_000
# Another push may come between at any moment; then this one looks again at what is there.
_ATTEMPTS = 10


@dataclass(frozen=True)
class PushResult:
    """What a push did.

    Args:
        table: the published version that is online now.
        rows: how many were written; none where nothing changed.
        removed: how many were removed: they are gone from the table, or too old.
        days: that were written, as the store names them.
        seconds: that the push took.
        lag_seconds: from the release until it was online, by this machine's clock; None where it was before.
    """

    table: TableVersion
    release_id: str
    rows: int
    removed: int
    days: tuple[str, ...]
    seconds: float
    lag_seconds: float | None


def push(
    spark: SparkSession,
    table: OnlineTable,
    *,
    asked: DayRange | None = None,
    full: bool = False,
    to: Target | None = None,
    progress: Progress = silent,
) -> PushResult:
    """Bring a table's published version online: the days that changed, within the time to live.

    Killed at any moment, run twice, or beside another push, it ends right: the next push writes again what
    was begun, and an older one never overwrites a newer one's rows. The release is marked last.

    Args:
        asked: days to push as well, however old; they stay until they expire.
        full: write all days again, from Delta alone.
        to: by default the store that the settings name.

    Raises:
        LakehouseError: the table was never published, or holds what cannot be packed.
        OnlineStoreUnavailable: the store does not answer.
    """
    started = time.monotonic()
    if asked is not None and not table.one_row:
        raise LakehouseError(
            f"{table.name} keeps the newest row of each entity, and no days", "leave out --from and --to"
        )
    to = to or target()
    # Two on this machine wait for each other: each would else claim what the other is just writing.
    with exclusive(settings().engine_dir / f"online-{table.name}.lock"), closing(to.writer()) as writer:
        for _ in range(_ATTEMPTS):
            # Looked up each time: what came between may be the push of a newer release.
            work = _Work(spark, table, _release(spark, table), to, writer)
            done = _push(work, asked, full, progress)
            if done is not None:
                return _result(work.release, done, started)
            progress(f"{table.name}: another push came between")
    raise LakehouseError(f"{table.name}: others pushed during all of {_ATTEMPTS} attempts", "push again")


def _release(spark: SparkSession, table: OnlineTable) -> Release:
    found = release_in_force(spark, table.name)
    if found is None:
        raise LakehouseError(
            f"{table.name} has not been published", "run `lakehouse check` and `lakehouse release`"
        )
    return found


def _result(release: Release, done: "_Done", started: float) -> PushResult:
    return PushResult(
        table=release.table,
        release_id=release.release_id,
        rows=done.rows,
        removed=done.removed,
        days=done.days,
        seconds=time.monotonic() - started,
        lag_seconds=(datetime.now(UTC) - release.published_at).total_seconds() if done.days else None,
    )


@dataclass(frozen=True)
class _Work:
    """What one push is about."""

    spark: SparkSession
    table: OnlineTable
    release: Release
    to: Target
    writer: OnlineWriter


@dataclass(frozen=True)
class _Done:
    """What was written and removed, and on which days."""

    rows: int = 0
    removed: int = 0
    days: tuple[str, ...] = ()


def _push(work: _Work, asked: DayRange | None, full: bool, progress: Progress) -> _Done | None:
    """None where another push came between."""
    release, kept = work.release, _window(work)
    held = work.writer.held(work.table.name)
    plan = _plan(work, held, kept, asked, full)
    if plan.is_idle and held.marker is not None and held.marker.release_id == release.release_id:
        return _Done()
    if plan.days:
        progress(f"{release.table}: pushing {', '.join(sorted(plan.days))}")
    ttl_ms = round(settings().online_ttl_hours * _HOUR_MS)
    write = partial(_write, work, plan, kept, ttl_ms)
    done = carry_out(work.writer, release, held, plan, ttl_ms, write)
    return None if done is None else _Done(*done, tuple(sorted(plan.days)))


def carry_out(
    writer: OnlineWriter,
    release: Release,
    held: Held,
    plan: PushPlan,
    ttl_ms: int,
    write: Callable[[str], int],
) -> tuple[int, int] | None:
    """The steps of a push: it may die between any two of them, and others may push meanwhile.

    Args:
        held: what the plan was made by.
        write: writes the rows of the plan's days under a stamp, and returns how many were written.

    Returns:
        how many rows were written and removed; None where another push came between.
    """
    name = release.table.name
    stamp = writer.begin(name, release.sequence, held.claim, plan.claims, ttl_ms)
    if stamp is None:
        return None
    rows = write(stamp) if plan.days else 0
    removed = writer.sweep(name, stamp, plan.claims)
    return (rows, removed) if writer.finish(_marker(release, stamp), plan.days, plan.forgotten) else None


def _window(work: _Work) -> DayRange | None:
    newest = newest_day(work.spark, work.release.table, work.table.day)
    return window(newest, settings().online_ttl_hours)


def _plan(work: _Work, held: Held, kept: DayRange | None, asked: DayRange | None, full: bool) -> PushPlan:
    before = held.marker.table if held.marker is not None else None
    changed = None if full else changed_days(work.spark, before, work.release.table)
    renew_ms = round(settings().online_ttl_hours * _HOUR_MS / 2)
    if work.table.one_row:
        return plan_days(held, changed, kept, now_ms(), renew_ms=renew_ms, asked=asked, full=full)
    return plan_newest(held, changed, kept, now_ms(), renew_ms=renew_ms, full=full)


def _marker(release: Release, stamp: str) -> Marker:
    table = release.table
    pushed_at = datetime.now(UTC).isoformat(timespec="seconds")
    return Marker(release.release_id, table.name, table.table_id, table.version, stamp, pushed_at)


def _write(work: _Work, plan: PushPlan, kept: DayRange | None, ttl_ms: int, stamp: str) -> int:
    """Pack and write the rows of the plan's days in Spark's tasks; returns how many were written."""
    version, table = work.release.table, work.table
    if kept is None and not plan.asked:
        return 0
    rows = online_rows(work.spark, table, version, kept, plan.days)
    if work.to.is_file:
        # One process at a time writes to a file.
        rows = rows.coalesce(1)
    push = Push(
        name=version.name,
        table_id=version.table_id,
        version=version.version,
        release_id=work.release.release_id,
        stamp=stamp,
        entity=table.entity,
        day=table.day if table.one_row else None,
        ttl_ms=ttl_ms,
    )
    write = in_workers("lakehouse.online.worker", "write_rows", push.as_text(), work.to.as_text())
    answers = rows.mapInArrow(write, ANSWER).toArrow().to_pylist()
    for answer in answers:
        if answer["problem"] is not None:
            raise LakehouseError(
                f"{version} is not online: {answer['problem']}", "what is online is as it was, or newer"
            )
    return sum(answer["written"] for answer in answers)


def online_rows(
    spark: SparkSession,
    table: OnlineTable,
    version: TableVersion,
    kept: DayRange | None,
    days: frozenset[str],
) -> DataFrame:
    """The rows of a version that are online on some days: all, or each entity's newest in the window.

    Args:
        kept: the window; see `lakehouse.online.plan.window`.
        days: as the store names them; of a table that keeps the newest rows they say nothing.
    """
    rows = read_at(spark, version)
    if table.one_row:
        # Just these: a row of another day would belong to no day that the store knows of.
        ranges = joined(((day, day) for day in map(parse_day, days)), most=max(1, len(days)))
        return rows.where(dates_between(table.day, ranges))
    if kept is not None:
        rows = rows.where(dates_between(table.day, [kept]))
    newest = F.col(table.event_time).desc_nulls_last(), F.xxhash64(*rows.columns)
    ranked = rows.withColumn(_RANK, F.row_number().over(Window.partitionBy(*table.entity).orderBy(*newest)))
    return ranked.where(F.col(_RANK) == 1).drop(_RANK)


_RANK = "_online_rank"
