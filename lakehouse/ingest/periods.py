"""The period that a delivery speaks of: a local day, or an hour of it, as file names have it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

# Days beyond these have no instant in every zone, or no day after them.
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(9998, 12, 31)

PERIOD = r"(?P<day>\d{4}-\d{2}-\d{2})(?:T(?P<hour>\d{2}))?"
_RANGE = ".."


@dataclass(frozen=True)
class Period:
    """A local day, or one hour of it.

    Args:
        hour: 0 to 23; None for the whole day.
    """

    day: date
    hour: int | None = None

    def __str__(self) -> str:
        return f"{self.day}" if self.hour is None else f"{self.day}T{self.hour:02}"

    @property
    def length(self) -> Literal["day", "hour"]:
        """What it is: a day, or an hour."""
        return "day" if self.hour is None else "hour"

    def overlaps(self, other: "Period") -> bool:
        """Whether they have an hour in common."""
        return self.day == other.day and (self.hour == other.hour or None in (self.hour, other.hour))

    def start(self, zone: str) -> datetime:
        """The UTC instant at which it begins; of an hour that the clock skips, the instant of the change."""
        return _instant(self.day, self.hour or 0, zone)

    def end(self, zone: str) -> datetime:
        """The UTC instant at which it is over; an hour that the clock repeats ends after the second one."""
        return _instant(self.day, 24 if self.hour is None else self.hour + 1, zone)


def parse_period(text: str) -> Period:
    """The period that `2013-10-01` or `2013-10-01T09` names.

    Raises:
        ValueError: it is not of this form, or there is no such day or hour.
    """
    matched = re.fullmatch(PERIOD, text)
    if matched is None:
        raise ValueError(f"{text!r} is not of the form YYYY-MM-DD or YYYY-MM-DDTHH")
    try:
        day = date.fromisoformat(matched["day"])
    except ValueError:
        raise ValueError(f"there is no day {matched['day']}") from None
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(f"{day} is outside {FIRST_DAY} to {LAST_DAY}")
    hour = None if matched["hour"] is None else int(matched["hour"])
    if hour is not None and hour > 23:
        raise ValueError(f"there is no hour {hour}")
    return Period(day, hour)


def parse_periods(text: str) -> list[Period]:
    """The periods of `2013-10-01`, `2013-10-01T09`, or `FIRST..LAST` of days or of hours, both included.

    >>> [str(period) for period in parse_periods("2013-10-01T22..2013-10-02T01")]
    ['2013-10-01T22', '2013-10-01T23', '2013-10-02T00', '2013-10-02T01']

    Raises:
        ValueError: see `parse_period`; or the range runs backwards, or from a day to an hour.
    """
    first, separator, last = text.partition(_RANGE)
    if not separator:
        return [parse_period(text)]
    start, end = parse_period(first), parse_period(last)
    if start.length != end.length:
        raise ValueError(f"{text!r} mixes a day with an hour")
    if (start.day, start.hour or 0) > (end.day, end.hour or 0):
        raise ValueError(f"{start} is after {end}")
    return list(_between(start, end))


def covering(start: datetime, end: datetime, zone: str) -> str:
    """The periods from one UTC instant to another, as `parse_periods` reads them: whole days, or hours.

    >>> covering(datetime(2013, 7, 10, 9, tzinfo=UTC), datetime(2013, 7, 10, 11, tzinfo=UTC), "UTC")
    '2013-07-10T09..2013-07-10T10'
    """
    first, after = start.astimezone(ZoneInfo(zone)), end.astimezone(ZoneInfo(zone))
    last = (end - timedelta(microseconds=1)).astimezone(ZoneInfo(zone))
    is_of_days = first.time() == after.time() == time(0)
    periods = [Period(at.date(), None if is_of_days else at.hour) for at in (first, last)]
    return _RANGE.join(map(str, dict.fromkeys(periods)))


def _between(start: Period, end: Period) -> Iterator[Period]:
    period = start
    while period != end:
        yield period
        if period.hour is not None and period.hour < 23:
            period = Period(period.day, period.hour + 1)
        else:
            period = Period(period.day + timedelta(days=1), None if period.hour is None else 0)
    yield end


def _instant(day: date, hour: int, zone: str) -> datetime:
    local = datetime.combine(day + timedelta(days=hour // 24), time(hour % 24), ZoneInfo(zone))
    return local.astimezone(UTC)
