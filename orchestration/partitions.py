"""The partition of everything daily: one local day; and how a run tells which days it is for."""

from datetime import date, timedelta

import dagster as dg

from lakehouse.ingest.source import load_sources

# The days that the shipped example has deliveries for. Another data set names its own first day here; an open
# end (None) makes a new day each night.
FIRST_DAY = date(2013, 1, 1)
LAST_DAY: date | None = date(2013, 12, 31)

# A range of days is one run, and one statement a table, never a loop of days.
ONE_RUN = dg.BackfillPolicy.single_run()

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
_ONE_DAY_TAG = "dagster/partition"


def _time_zone() -> str:
    """The zone whose calendar days are the partitions: that of the sources' file names."""
    zones = {source.time_zone for source in load_sources().values()}
    if len(zones) != 1:
        raise ValueError(f"sources/*.yml name the zones {sorted(zones)}: days of one zone are one partition")
    return zones.pop()


DAYS = dg.DailyPartitionsDefinition(
    start_date=FIRST_DAY.isoformat(),
    end_date=(LAST_DAY + timedelta(days=1)).isoformat() if LAST_DAY else None,
    timezone=_time_zone(),
)


def days_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> tuple[date, date]:
    """First and last day of a partitioned run, both included."""
    days = days_of_run(context)
    if days is None:
        raise dg.Failure("This asset is partitioned by day: give a day, or a range of days.")
    return days


def days_of_run(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
) -> tuple[date, date] | None:
    """First and last day of a run, also for an asset without partitions; None in a run without days."""
    tags = context.run.tags
    first, last = tags.get(RANGE_START_TAG), tags.get(RANGE_END_TAG)
    if first is None or last is None:
        first = last = tags.get(_ONE_DAY_TAG)
    if first is None or last is None:
        return None
    return date.fromisoformat(first), date.fromisoformat(last)


def range_tags(days: tuple[date, date]) -> dict[str, str]:
    """The tags that make a run one for a range of days."""
    return {RANGE_START_TAG: days[0].isoformat(), RANGE_END_TAG: days[1].isoformat()}


def each_day(days: tuple[date, date]) -> list[date]:
    """The days of a range, both ends included.

    >>> each_day((date(2013, 2, 27), date(2013, 3, 1)))[1:]
    [datetime.date(2013, 2, 28), datetime.date(2013, 3, 1)]
    """
    first, last = days
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
