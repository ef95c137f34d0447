"""The partition of everything daily: one local day; and how a run tells which days it is for."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from typing import Any

import dagster as dg

from lakehouse.errors import LakehouseError
from lakehouse.ingest.declarations import load_sources
from lakehouse.settings import settings

# A range of days is one run, and one statement per table, never a loop of days.
ONE_RUN = dg.BackfillPolicy.single_run()

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
_ONE_DAY_TAG = "dagster/partition"

# A run costs a minute or two, a day more in it seconds: days so near to each other go into one.
_NEAR = timedelta(days=7)


def day_column(manifest: Mapping[str, Any], table: str) -> str:
    """The column of days of a dbt model's table, as its configuration has it.

    Raises:
        LakehouseError: it has none.
    """
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model" and f"{node['schema']}.{node['alias']}" == table:
            day = node["config"].get("event_date")
            if day is not None:
                return str(day)
    raise LakehouseError(f"{table} is not a dbt model with days", "give it an event_date")


def _time_zone() -> str:
    """The zone whose calendar days are the partitions: that of the sources' file names."""
    zones = {source.time_zone for source in load_sources().values()}
    if len(zones) != 1:
        raise LakehouseError(
            f"sources/*.yml name the zones {', '.join(sorted(zones))}",
            "the graph is partitioned by the days of one zone: give all sources the same",
        )
    return zones.pop()


def _days(first: date, last: date | None, time_zone: str) -> dg.DailyPartitionsDefinition:
    """The days from the first to the last one, or to tomorrow: what is planned is delivered ahead."""
    return dg.DailyPartitionsDefinition(
        start_date=first.isoformat(),
        end_date=(last + timedelta(days=1)).isoformat() if last else None,
        end_offset=0 if last else 2,
        timezone=time_zone,
    )


DAYS = _days(settings().first_day, settings().last_day, _time_zone())


def graph_days() -> tuple[date, date]:
    """The first and the last day that the graph has now."""
    first, last = DAYS.get_first_partition_key(), DAYS.get_last_partition_key()
    if first is None or last is None:
        raise LakehouseError(f"the graph begins on {settings().first_day}, which is still to come")
    return date.fromisoformat(first), date.fromisoformat(last)


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


def ranges_of(days: Sequence[date], apart: AbstractSet[date] = frozenset()) -> Iterator[tuple[date, date]]:
    """Days, in order, as few ranges: one holds other days as well where not many lie between.

    Args:
        apart: days that no range may hold.

    >>> days = [date(2013, 8, 5), date(2013, 10, 1), date(2013, 10, 3)]
    >>> [f"{first} to {last}" for first, last in ranges_of(days)]
    ['2013-08-05 to 2013-08-05', '2013-10-01 to 2013-10-03']
    """
    first = last = None
    for day in days:
        if first is None or last is None:
            first = day
        elif day - last > _NEAR or any(last < other < day for other in apart):
            yield first, last
            first = day
        last = day
    if first is not None and last is not None:
        yield first, last
