"""Fills a period into an address or a query parameter: `{day}`, `{from}`, `{until:%Y%m%d%H}` and so on."""

from datetime import datetime, timedelta
from string import Formatter

from lakehouse.ingest.periods import Period

# Those of the day alone, and those that tell one hour of it from another.
DAYS = ("day", "next_day")
TIMES_OF_DAY = ("hour", "from", "until", "from_epoch", "until_epoch")
FIELDS = (*DAYS, *TIMES_OF_DAY)

_INSTANT = "%Y-%m-%dT%H:%M:%SZ"


class _Formatter(Formatter):
    """An instant without a format is one of ISO 8601, in UTC."""

    def format_field(self, value: object, format_spec: str) -> str:
        return super().format_field(value, format_spec or (_INSTANT if isinstance(value, datetime) else ""))


def fields_of(template: str) -> set[str]:
    """The placeholders that a template has.

    >>> sorted(fields_of("https://api.example/{day}/readings?until={until:%Y%m%d}"))
    ['day', 'until']

    Raises:
        ValueError: a brace is not closed.
    """
    return {field for _, field, _, _ in Formatter().parse(template) if field is not None}


def fill(template: str, period: Period, zone: str) -> str:
    """A template with a period's values.

    >>> from datetime import date
    >>> fill("{day} {from} {until:%H:%M} {from_epoch}", Period(date(2013, 10, 1)), "America/New_York")
    '2013-10-01 2013-10-01T04:00:00Z 04:00 1380600000'

    Args:
        zone: of the period; `{from}` and `{until}` are instants in UTC, the second one exclusive.
    """
    start, end = period.start(zone), period.end(zone)
    values = {
        "day": period.day,
        "next_day": period.day + timedelta(days=1),
        "hour": period.hour or 0,
        "from": start,
        "until": end,
        "from_epoch": int(start.timestamp()),
        "until_epoch": int(end.timestamp()),
    }
    return _Formatter().vformat(template, (), values)
