"""Which periods an API is to be asked for: those that neither the ledger nor the landing zone has.

It follows from what is there, never from a place that was noted: whatever was killed, lost or removed before
it landed is asked for again.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from lakehouse.ingest.api.declared import Api
from lakehouse.ingest.api.places import delivery_path, is_whole
from lakehouse.ingest.ledger import Ledger
from lakehouse.ingest.periods import Period
from lakehouse.ingest.source import Source
from lakehouse.settings import settings


@dataclass(frozen=True)
class Lacking:
    """What to ask for.

    Args:
        periods: oldest first.
        in_part: days that are asked for as a whole now, and of which only some hours were delivered before.
    """

    periods: list[Period] = field(default_factory=list)
    in_part: list[Period] = field(default_factory=list)


def lacking(
    source: Source, api: Api, landing: Path, ledger: Ledger, now: datetime, days: tuple[date, date] | None
) -> Lacking:
    """The periods of a source to ask for.

    Args:
        now: UTC.
        days: only of these local days, both included.
    """
    if source.arrives == "snapshot":
        return _lacking_snapshot(source, api, landing, ledger, now, days)
    held = _held(source, landing, ledger)
    found = Lacking()
    for period in _asked(source, api, now, days):
        there = held.get(period.day, set())
        if period in there or Period(period.day) in there:
            continue
        if period.start(source.time_zone) == period.end(source.time_zone):
            continue  # an hour that the clock skips
        hours = {each for each in there if period.overlaps(each)}
        if not hours:
            found.periods.append(period)
        elif not _is_all(period, hours, source.time_zone):
            found.in_part.append(period)
    return found


def _lacking_snapshot(
    source: Source, api: Api, landing: Path, ledger: Ledger, now: datetime, days: tuple[date, date] | None
) -> Lacking:
    """A snapshot is asked for once a period: that of now."""
    local = now.astimezone(ZoneInfo(source.time_zone))
    period = Period(local.date(), None if api.period == "day" else local.hour)
    is_asked = days is None or days[0] <= period.day <= days[1]
    is_there = ledger.landed(f"{source.name}_{period}") or is_whole(delivery_path(source, landing, period))
    return Lacking([period] if is_asked and not is_there else [])


def _asked(source: Source, api: Api, now: datetime, days: tuple[date, date] | None) -> Iterator[Period]:
    """The periods from the first day on that may be asked for by now."""
    first, last = api.first_day or settings().first_day, api.last_day or settings().last_day
    after = source.delivery_delay_minutes if api.ask_after_minutes is None else api.ask_after_minutes
    # Of days beyond this one, no period is over so long; the zones are at most a day apart.
    newest = (now - timedelta(minutes=after)).date() + timedelta(days=1)
    last = newest if last is None else min(last, newest)
    if days is not None:
        first, last = max(first, days[0]), min(last, days[1])
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        hours = [None] if api.period == "day" else list(range(24))
        # Only near the end an hour is still to come.
        is_near = newest - day <= timedelta(days=3)
        for hour in hours:
            period = Period(day, hour)
            if is_near and period.end(source.time_zone) + timedelta(minutes=after) > now:
                return
            yield period


def _held(source: Source, landing: Path, ledger: Ledger) -> dict[date, set[Period]]:
    """What was delivered or never comes, by day."""
    held: defaultdict[date, set[Period]] = defaultdict(set)
    for entry in ledger.entries:
        if entry.source == source.name and entry.period is not None:
            held[entry.day].add(entry.period)
    for delivery in source.deliveries(landing):
        if delivery.note is None and is_whole(delivery.path):
            held[delivery.day].add(delivery.period)
    return held


def _is_all(day: Period, hours: set[Period], zone: str) -> bool:
    each = [Period(day.day, hour) for hour in range(24)]
    return all(hour in hours for hour in each if hour.start(zone) != hour.end(zone))
