"""Days as ranges: joined, widened and cut at the ends of the calendar, and as SQL conditions."""

from collections.abc import Iterable
from datetime import date, timedelta

DayRange = tuple[date, date]
Ranges = tuple[DayRange, ...]

# Past so many ranges those nearest to each other are joined, so that a condition stays short.
MOST_RANGES = 40


def shifted(day: date, days: int) -> date:
    """So many days later (or earlier), or the calendar's last (or first) day where it has none.

    >>> shifted(date(9999, 12, 31), 1)
    datetime.date(9999, 12, 31)
    """
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return date.max if days > 0 else date.min


def joined(ranges: Iterable[DayRange], most: int = MOST_RANGES) -> Ranges:
    """The same days as ranges in order, those that touch or overlap as one.

    Args:
        most: past so many ranges the nearest are joined with the days between them: more days than needed
            cost time, never rows.

    >>> [str(last) for _, last in joined([(date(2013, 1, 2), date(2013, 1, 3)), (date(2013, 1, 1), date(2013, 1, 1))])]
    ['2013-01-03']
    """  # noqa: E501
    found: list[DayRange] = []
    for first, last in sorted(ranges):
        if found and first <= shifted(found[-1][1], 1):
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    while len(found) > most:
        nearest = min(range(len(found) - 1), key=lambda at: (found[at + 1][0] - found[at][1], at))
        found[nearest : nearest + 2] = [(found[nearest][0], found[nearest + 1][1])]
    return tuple(found)


def widened(ranges: Iterable[DayRange], before: int = 0, after: int = 0) -> Ranges:
    """Ranges with so many days more at their beginning and their end."""
    return joined((shifted(first, -before), shifted(last, after)) for first, last in ranges)


def cut(ranges: Iterable[DayRange], last_day: date) -> Ranges:
    """The days up to a last one."""
    return tuple((first, min(last, last_day)) for first, last in ranges if first <= last_day)


def single_days(days: Iterable[date]) -> Ranges:
    """Days as ranges."""
    return joined((day, day) for day in days)


def count_days(ranges: Iterable[DayRange]) -> int:
    """How many days ranges hold."""
    return sum((last - first).days + 1 for first, last in ranges)


def parse_day(text: str) -> date:
    """A date as Spark casts it to text; one beyond Python's calendar is its last or first day.

    >>> parse_day("+10000-01-01"), parse_day("-0044-03-15")
    (datetime.date(9999, 12, 31), datetime.date(1, 1, 1))
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        return date.min if text.startswith(("-", "0000")) else date.max


def as_text(ranges: Iterable[DayRange]) -> list[list[str]]:
    """Ranges as they stand in a commit's note."""
    return [[first.isoformat(), last.isoformat()] for first, last in ranges]


def from_text(ranges: Iterable[Iterable[str]]) -> Ranges:
    """Ranges of a commit's note."""
    return joined((parse_day(first), parse_day(last)) for first, last in ranges)


def dates_between(column: str, ranges: Iterable[DayRange]) -> str:
    """The condition that a date falls on one of the days.

    An end of the calendar is left open: Spark's calendar is longer than Python's.
    """
    return _any_of(_between(column, first, last) for first, last in ranges)


def _between(column: str, first: date, last: date) -> str:
    low, high = first != date.min, last != date.max
    if low and high:
        return f"{column} between date'{first}' and date'{last}'"
    if low:
        return f"{column} >= date'{first}'"
    return f"{column} <= date'{last}'" if high else f"{column} is not null"


def instants_between(column: str, ranges: Iterable[DayRange], time_zone: str) -> str:
    """The condition that a UTC timestamp falls on one of the local days of a zone."""
    return _any_of(_instants(column, first, last, time_zone) for first, last in ranges)


def _instants(column: str, first: date, last: date, time_zone: str) -> str:
    low, high = first != date.min, last != date.max
    conditions = [f"{column} >= {_start_of(first, time_zone)}"] if low else []
    conditions += [f"{column} < {_start_of(shifted(last, 1), time_zone)}"] if high else []
    return " and ".join(conditions) or f"{column} is not null"


def _start_of(day: date, time_zone: str) -> str:
    return f"to_utc_timestamp(timestamp'{day} 00:00:00', '{time_zone}')"


def _any_of(conditions: Iterable[str]) -> str:
    listed = list(conditions)
    return "((" + ") or (".join(listed) + "))" if listed else "false"
