"""Which days of a table a push writes, and which it removes: the one place where that is decided."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from lakehouse.dbt.days import DayRange, Ranges, shifted
from lakehouse.online.state import NEWEST, Held, HeldDay


@dataclass(frozen=True)
class PushPlan:
    """What a push does, in days as the store names them.

    Args:
        days: to write anew; what is gone from them is removed.
        asked: those of them that were asked for by name, and stay until they expire.
        forgotten: days to remove with all their rows.
    """

    days: frozenset[str]
    asked: frozenset[str]
    forgotten: frozenset[str]

    @property
    def is_idle(self) -> bool:
        """Nothing is written or removed."""
        return not self.days and not self.forgotten

    @property
    def claims(self) -> dict[str, bool]:
        """The days to write or to remove, in order, each with whether it was asked for.

        Also those to remove: an entity may have moved from there to a day that is written.
        """
        return {day: day in self.asked for day in sorted(self.days | self.forgotten)}


def window(newest: date | None, ttl_hours: float) -> DayRange | None:
    """The days that are online unasked: the newest, and those before it within the time to live.

    Whole days: so a push writes the same rows at whatever hour, and all at once the same as one by one.

    >>> [str(day) for day in window(date(2013, 1, 5), 48)]
    ['2013-01-03', '2013-01-05']
    """
    if newest is None:
        return None
    return shifted(newest, -math.ceil(ttl_hours / 24)), newest


def plan_days(
    held: Held,
    changed: Ranges | None,
    kept: DayRange | None,
    now_ms: int,
    *,
    renew_ms: int = 0,
    asked: DayRange | None = None,
    full: bool = False,
) -> PushPlan:
    """Decide for a table with one row per entity, by what the store holds and what changed in the table.

    Args:
        held: of the table, in the store.
        changed: the days whose rows changed since the release pushed last; None where that may be any.
        kept: see `window`; None for a table without rows.
        now_ms: milliseconds since 1970, by which days expire.
        renew_ms: a day of `kept` that expires within so many milliseconds is written again: it is to be
            online until a push finds it too old, and the next push may come late.
        asked: days to write whether they changed or not, however old.
        full: write every day, whatever is there.
    """
    alive = {day: each for day, each in held.days.items() if each.expires_ms > now_ms}
    stay = {day for day, each in alive.items() if each.is_asked}
    wanted, in_window = set(each_day(asked)), set(each_day(kept))
    online = in_window | stay | wanted
    later = now_ms + renew_ms
    days = {
        day
        for day in online
        if full
        or day in wanted
        or _is_due(day, alive, changed)
        or (day in in_window and alive[day].expires_ms <= later)
    }
    return PushPlan(
        days=frozenset(days),
        asked=frozenset(days & (wanted | stay)),
        forgotten=frozenset(held.days.keys() - online),
    )


def plan_newest(
    held: Held,
    changed: Ranges | None,
    kept: DayRange | None,
    now_ms: int,
    *,
    renew_ms: int = 0,
    full: bool = False,
) -> PushPlan:
    """Decide for a table that keeps each entity's newest row: all are written if one of its days changed."""
    there = held.days.get(NEWEST)
    is_alive = there is not None and there.is_whole and there.expires_ms > now_ms + renew_ms
    is_due = full or not is_alive or _overlap(changed, kept)
    return PushPlan(
        days=frozenset({NEWEST} if is_due else ()),
        asked=frozenset(),
        forgotten=frozenset(held.days.keys() - {NEWEST}),
    )


def _is_due(day: str, alive: Mapping[str, HeldDay], changed: Ranges | None) -> bool:
    """It changed, was never written or expired, or a push of it did not get through."""
    if changed is None or day not in alive or not alive[day].is_whole:
        return True
    return any(first.isoformat() <= day <= last.isoformat() for first, last in changed)


def _overlap(changed: Ranges | None, kept: DayRange | None) -> bool:
    if changed is None or kept is None:
        return True
    return any(first <= kept[1] and kept[0] <= last for first, last in changed)


def each_day(days: DayRange | None) -> Iterator[str]:
    """The days of a range, as the store names them."""
    if days is not None:
        first, last = days
        for number in range((last - first).days + 1):
            yield (first + timedelta(days=number)).isoformat()
