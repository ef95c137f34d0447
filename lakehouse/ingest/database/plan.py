"""What one load reads: between which watermarks, in which ranges of a key, and under which name it lands.

All of it follows from the ledger's last load of the source and from what the database says when the load
begins, so a load that died leaves nothing behind that a later one would have to know.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from lakehouse.delta.table import sql_text
from lakehouse.ingest.periods import LAST_DAY, Period

Mark = datetime | int

_ID = re.compile(r"_(\d{4}-\d{2}-\d{2})_(\d{8}t\d{6}_\d{6})z")
_INSTANT = "%Y%m%dt%H%M%S_%f"


@dataclass(frozen=True)
class Window:
    """The watermarks that a load reads.

    Args:
        above: exclusive; None where it reads from the beginning.
        upto: inclusive.
    """

    above: Mark | None
    upto: Mark

    def __str__(self) -> str:
        lower = "" if self.above is None else f"after {mark_text(self.above)} "
        return f"{lower}to {mark_text(self.upto)}"


def window(
    last: Mark | None,
    newest: Mark | None,
    *,
    now: datetime,
    lag: timedelta | int,
    overlap: timedelta | int,
    until: datetime | None = None,
) -> Window | None:
    """What the next load reads; None where there is nothing.

    Args:
        last: up to where the ledger's last load of the source read.
        newest: the greatest watermark in the table, read once; None where it has no row.
        now: the database's clock at that moment, UTC.
        lag: how far behind now (of a number: behind the newest) the load stays.
        overlap: how far below `last` it reads again.
        until: read nothing from this instant on, though it is there (UTC); of times only.
    """
    if newest is None:
        return None
    upto = _upto(newest, now, lag, until)
    if last is not None and not _same_kind(last, upto):
        raise TypeError(f"the last load read up to {mark_text(last)}, and the watermark is another kind now")
    if last is not None and upto < last:  # pyright: ignore[reportOperatorIssue]
        if until is not None:
            return None
        # What was told is told: rows that are gone, or a clock set back, take nothing of it away.
        upto = last
    above = None if last is None else _minus(last, overlap)
    if above is not None and above >= upto:  # pyright: ignore[reportOperatorIssue]
        return None
    return Window(above, upto)


def _same_kind(one: Mark, other: Mark) -> bool:
    return isinstance(one, datetime) == isinstance(other, datetime)


def _upto(newest: Mark, now: datetime, lag: timedelta | int, until: datetime | None) -> Mark:
    if not isinstance(newest, datetime):
        return newest - _number(lag)
    settled = min(newest, now - _length(lag))
    return settled if until is None else min(settled, until - timedelta(microseconds=1))


def _minus(mark: Mark, length: timedelta | int) -> Mark:
    return mark - _length(length) if isinstance(mark, datetime) else mark - _number(length)


def _length(length: timedelta | int) -> timedelta:
    return length if isinstance(length, timedelta) else timedelta(0)


def _number(length: timedelta | int) -> int:
    return length if isinstance(length, int) else 0


def end_of(day: date, zone: str) -> datetime | None:
    """The instant at which a local day is over; None for a day at the end of the calendar."""
    return Period(day).end(zone) if day <= LAST_DAY else None


def mark_text(mark: Mark) -> str:
    """A watermark as the ledger keeps it.

    >>> mark_text(datetime(2013, 10, 1, 9, 30, tzinfo=UTC)), mark_text(7)
    ('2013-10-01T09:30:00.000000Z', '7')
    """
    if isinstance(mark, int):
        return str(mark)
    return mark.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_mark(text: str) -> Mark:
    """The watermark that `mark_text` wrote."""
    return int(text) if re.fullmatch(r"-?\d+", text) else datetime.fromisoformat(text)


def batch_id(source: str, day: date, at: datetime, previous: str | None) -> str:
    """The name of a load: it has the day that it tells of, and sorts after the load before it.

    Args:
        day: local.
        at: when it begins, UTC.
        previous: the batch id of the source's last load.

    >>> batch_id("orders", date(2013, 10, 1), datetime(2013, 10, 2, 3, 59, tzinfo=UTC), None)
    'orders_2013-10-01_20131002t035900_000000z'
    """
    before = loaded(source, previous) if previous else None
    if before is not None:
        # A clock that was set back changes no order.
        day, at = max(day, before[0]), max(at, before[1] + timedelta(microseconds=1))
    return f"{source}_{day}_{at.astimezone(UTC):{_INSTANT}}z"


def loaded(source: str, batch: str) -> tuple[date, datetime] | None:
    """Day and instant of a load, by its batch id; None of a batch that came from a file."""
    matched = _ID.fullmatch(batch.removeprefix(source)) if batch.startswith(source) else None
    if matched is None:
        return None
    return date.fromisoformat(matched[1]), datetime.strptime(matched[2], _INSTANT).replace(tzinfo=UTC)


def local_day(at: datetime, zone: str) -> date:
    """The day that it is somewhere."""
    return at.astimezone(ZoneInfo(zone)).date()


def ranges(column: str, least: int | None, greatest: int | None, count: int) -> list[str]:
    """Conditions of which each row meets exactly one, whatever its key is: NULL goes with the least.

    Args:
        column: the key, as SQL; a whole number.
        least, greatest: among the rows that are read, as far as known; later ones may lie beyond.
        count: how many conditions at most.

    >>> ranges("id", 1, 100, 2)
    ['(id < 51 or id is null)', 'id >= 51']
    """
    if least is None or greatest is None or count < 2 or least >= greatest:
        return ["1 = 1"]
    width = greatest - least + 1
    starts = sorted({least + width * part // count for part in range(1, count)} - {least})
    return [
        f"({column} < {starts[0]} or {column} is null)",
        *(f"{column} >= {low} and {column} < {high}" for low, high in pairwise(starts)),
        f"{column} >= {starts[-1]}",
    ]


def is_load_after(source: str, previous: str | None) -> str:
    """The SQL condition, over `_batch_id`, of the loads of a source that are newer than one."""
    # Without braces, which the formatter of queries takes for its own.
    pattern = sql_text(f"^{source}_[0-9-]+_[0-9]+t[0-9]+_[0-9]+z$")
    return f"_batch_id > {sql_text(previous or '')} and _batch_id rlike {pattern}"


def last_of(source: str, batches: Sequence[str]) -> str | None:
    """The newest load among some batch ids of a source."""
    return max((batch for batch in batches if loaded(source, batch)), default=None)
