"""Which days a check looks at: those asked for, changed, delivered, and known from earlier checks."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from expectations.built import as_built, built
from expectations.fitting import fitting
from expectations.suite import DayOf, Suite
from lakehouse.delta.changes import stretches
from lakehouse.delta.files import file_bounds
from lakehouse.delta.gate_results import GateRow, TableState
from lakehouse.delta.table import TableVersion, file_names
from lakehouse.engine.query import query

# A file of more days is asked for the days of its rows: of a year's file most have not changed.
FEW_DAYS = 7


@dataclass(frozen=True)
class Bounds:
    """How many rows a day must have; None sets no bound."""

    least: int | None
    most: int | None


@dataclass(frozen=True)
class DaysToCheck:
    """What a check looks at.

    Args:
        wanted: the days whose rows are read; None for all rows.
        due: the days that are looked at also where they have no row.
        bounds: how many rows upstream says that a day must have.
        counts_upstream: whether `bounds` says it, or else each due day must have a row.
    """

    wanted: tuple[date, ...] | None
    due: frozenset[date] = frozenset()
    bounds: Mapping[date, Bounds] = field(default_factory=dict[date, Bounds])
    counts_upstream: bool = False

    def missing(self, day: date, rows: int) -> int:
        """How many rows a day lacks."""
        if not self.counts_upstream:
            return 1 if day in self.due and not rows else 0
        least = self.bounds[day].least if day in self.bounds else None
        return max(0, (least or 0) - rows)

    def surplus(self, day: date, rows: int) -> int:
        """How many rows a day has too many."""
        most = self.bounds[day].most if day in self.bounds else None
        return 0 if most is None else max(0, rows - most)


def days_to_check(
    spark: SparkSession,
    suite: Suite,
    version: TableVersion,
    state: TableState | None,
    days: Sequence[date] | None,
    bounds: Mapping[date, Bounds],
) -> DaysToCheck:
    """The days that a check of a version looks at.

    Those asked for; those whose rows came, changed or went since the last check that ended; those that by
    what stands upstream must have more rows than they had when they were last looked at; and where every row
    is looked at, also those that earlier checks knew, so that a day whose rows are gone is seen.

    Args:
        days: the days asked for; None for every row.
        bounds: what upstream says of the table's days, see `upstream_bounds`.
    """
    if suite.day is None:
        return DaysToCheck(None)
    last = state.last if state is not None else None
    is_same = last is not None and last.table.table_id == version.table_id
    known = {day for day in state.days if day is not None} if state is not None and is_same else set[date]()
    noted_rows = state.days if state is not None and is_same else {}
    is_counted = suite.expected_rows is not None
    lacking = lacking_days(bounds, noted_rows)
    changed = None
    if days is not None and last is not None and is_same:
        # A day that upstream says nothing of must not be looked at in vain: it would lack its rows.
        may_be_more = is_counted or suite.may_be_empty
        changed = changed_days(spark, suite.day, last.table, version, may_be_more=may_be_more)
    if changed is None:
        wanted = None
        looked_at = known | set(days or ()) | lacking
    else:
        looked_at = {*(days or ()), *changed, *lacking}
        wanted = tuple(sorted(looked_at))
    until = built(spark, version).until_day
    complete = {day for day in looked_at if is_counted or until is None or day < until}
    return DaysToCheck(
        wanted,
        frozenset() if suite.may_be_empty and not is_counted else frozenset(complete),
        bounds,
        is_counted,
    )


def lacking_days(bounds: Mapping[date, Bounds], noted: Mapping[date | None, GateRow]) -> set[date]:
    """The days that must have more rows, by what stands upstream, than when they were last looked at."""
    return {day for day, bound in bounds.items() if _had(noted, day) < (bound.least or 0)}


def _had(noted: Mapping[date | None, GateRow], day: date) -> float:
    """How many rows a day had when it was last looked at: none where it never was, any where nobody noted."""
    row = noted.get(day)
    if row is None:
        return 0
    return math.inf if row.row_count is None else row.row_count


def changed_days(
    spark: SparkSession, day: DayOf, last: TableVersion, now: TableVersion, *, may_be_more: bool = False
) -> set[date] | None:
    """The days of rows in files that came or went between two versions; None where they can't be told.

    That is where the older version is beyond the log's retention or its files are gone, or a row falls on no
    day.

    Args:
        may_be_more: days between those of a file's rows may be among them: its statistics then say enough.
    """
    if last.version == now.version:
        return set()
    # Where files were only put together, each day is in another one, and none has changed.
    told = stretches(spark, last, now) if last.version < now.version else None
    days: set[date | None] = set()
    try:
        for older, newer in [(last, now)] if told is None else told:
            before, after = file_names(spark, older), file_names(spark, newer)
            days |= _days_in(spark, day, newer, after - before, may_be_more)
            days |= _days_in(spark, day, older, before - after, may_be_more)
    except LookupError:
        return None
    return None if None in days else {each for each in days if each is not None}


def _days_in(
    spark: SparkSession, day: DayOf, version: TableVersion, files: Collection[str], may_be_more: bool
) -> set[date | None]:
    """The days of the rows in some files of a version, as their statistics say, or else the rows.

    Raises:
        LookupError: a file is gone.
    """
    if not files:
        return set()
    by_statistics = _days_by_statistics(day, version, files, FEW_DAYS if may_be_more else 2)
    if by_statistics is not None:
        return set(by_statistics)
    names = ", ".join(f"'{name}'" for name in sorted(files))
    try:
        rows = query(
            spark,
            f"select distinct {day.sql} as day from {version.name} version as of {version.version} "
            f"where _metadata.file_name in ({names})",
        ).collect()
    except PySparkException as error:
        if "FILE_NOT_EXIST" not in str(error) and "TIME_TRAVEL" not in str(error):
            raise
        raise LookupError(f"{version}: {error}") from error
    return {row["day"] for row in rows}


def _days_by_statistics(
    day: DayOf, version: TableVersion, files: Collection[str], most: int
) -> set[date] | None:
    """The first and last day of each file, and those between; None where a file may hold more than `most`.

    Of two days in a row both are surely there.
    """
    if day.stored is None:
        return None
    bounds = file_bounds(version, day.stored.column, files)
    if bounds is None:
        return None
    found: set[date] = set()
    for low, high in bounds:
        first, last = day.stored.day_of(low), day.stored.day_of(high)
        if first is None or last is None or not 0 <= (last - first).days < most:
            return None
        found |= {first + timedelta(days=offset) for offset in range((last - first).days + 1)}
    return found


def upstream_bounds(
    spark: SparkSession, tables: Sequence[tuple[Suite, TableVersion]]
) -> dict[str, dict[date, Bounds]]:
    """How many rows each day of each table must have, by what stands upstream, in one statement for all.

    Returns:
        by the table's name; nothing of a table whose suite does not say it.

    Raises:
        LakehouseError: the SQL of a suite does not fit what stands upstream.
    """
    selects = {
        suite.table: _bounds_sql(suite.table, as_built(suite.expected_rows.sql, built(spark, version)))
        for suite, version in tables
        if suite.expected_rows is not None and suite.day is not None
    }
    if not selects:
        return {}
    try:
        rows = query(spark, "\nunion all\n".join(selects.values())).collect()
    except PySparkException:
        # Which of them is it?
        for table, select in selects.items():
            with fitting(table):
                query(spark, select).collect()
        raise
    found: dict[str, dict[date, Bounds]] = {table: {} for table in selects}
    for row in rows:
        found[row["of_table"]][row["day"]] = Bounds(row["least_rows"], row["most_rows"])
    return found


def _bounds_sql(table: str, sql: str) -> str:
    return (
        f"select '{table}' as of_table, cast(day as date) as day, cast(least_rows as bigint) as least_rows, "
        f"cast(most_rows as bigint) as most_rows from (\n{sql}\n) where day is not null"
    )
