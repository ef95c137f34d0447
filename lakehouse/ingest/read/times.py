"""Dates and times as text or numbers: which instant they are, to the microsecond, or that they are none."""

# pyarrow ships no types, and makes its functions when it is imported.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.ingest.declared import Column
from lakehouse.ingest.read.typed import Mask, Typed, as_mask, cast_all, indices, matches, only
from lakehouse.ingest.time_format import ISO_DATE, ISO_LOCAL, MONTHS, iso_time, pattern

Ints = npt.NDArray[np.int64]

INSTANTS = pa.timestamp("us", "UTC")
_DAY, _SECOND = 86_400_000_000, 1_000_000
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local times are counted from it, too
# What Spark, Python and people write: the years 1 to 9999.
FIRST_DAY, LAST_DAY = -719_162, 2_932_896
FIRST, LAST = FIRST_DAY * _DAY, (LAST_DAY + 1) * _DAY - 1
_UNITS = {"s": 10**6, "ms": 10**3, "us": 1, "ns": Decimal("0.001")}
_MONTH_NUMBERS = {
    name: f"{number:02}" for number, month in enumerate(MONTHS, 1) for name in (month, month[:3])
}


def to_dates(texts: pa.Array, column: Column) -> Typed:
    """Days in the column's format, ISO by default."""
    quick = cast_all(texts, pa.date32()) if column.format is None else None
    if quick is not None and _are_within(quick.cast(pa.int32()), FIRST_DAY, LAST_DAY):
        return Typed(quick)
    parts = _Parts(texts, pattern(column.format or ISO_DATE))
    is_read = parts.is_day
    values = pa.array(parts.days.astype(np.int32), pa.int32(), mask=~is_read).cast(pa.date32())
    return Typed(values, dict.fromkeys(indices(parts.is_there & ~is_read), ""))


def to_timestamps(texts: pa.Array, column: Column) -> Typed:
    """Instants: numbers since 1970 in the column's unit, or texts in its format (ISO by default)."""
    if column.unit is not None:
        return _of_numbers(texts, column.unit)
    with_zone = column.time_zone is not None
    quick = None if column.format or with_zone else cast_all(texts, INSTANTS)
    if quick is not None and _are_within(quick.cast(pa.int64()), FIRST, LAST):
        return Typed(quick)
    parts = _Parts(texts, pattern(column.format) if column.format else iso_time(with_zone))
    has_own = parts.has_offset
    is_local = ~has_own if with_zone else np.zeros(len(texts), dtype=bool)
    is_read = parts.is_day & parts.is_time & (is_local | has_own)
    instants = parts.local - parts.offsets
    bad = dict.fromkeys(indices(parts.is_there & ~is_read), "")
    if column.format is None and not with_zone:
        for index in indices(matches(only(texts, parts.is_there & ~is_read), ISO_LOCAL)):
            bad[index] = f"expected a zone offset in {texts[index].as_py()!r}"
    if column.time_zone is not None:
        rows = is_read & is_local
        instants[rows], local_bad = of_zone(parts.local[rows], column.time_zone, column.ambiguous)
        where = np.flatnonzero(rows)
        bad |= {int(where[at]): f"{texts[int(where[at])].as_py()!r} {said}" for at, said in local_bad.items()}
    for index in indices(is_read & parts.is_too_fine):
        bad[index] = f"{texts[index].as_py()!r} has digits that microseconds do not hold"
    bad |= dict.fromkeys(indices(is_read & ((instants < FIRST) | (instants > LAST))), "")
    gone = ~is_read
    gone[list(bad)] = True
    return Typed(pa.array(instants, pa.int64(), mask=gone).cast(INSTANTS), bad)


def _are_within(numbers: pa.Array, first: int, last: int) -> bool:
    ends = pc.min_max(numbers).as_py()
    return ends["min"] is None or (first <= ends["min"] and ends["max"] <= last)


def of_zone(local: Ints, zone_name: str, ambiguous: str) -> tuple[Ints, dict[int, str]]:
    """The instants of local times, and what is wrong with those that are none, or two.

    Args:
        local: microseconds from 1970 on the zone's clocks.
        ambiguous: `earlier` or `later` of the two instants, which of a time in a gap are those that the
            offsets before and after it give; `refused`.
    """
    zone = ZoneInfo(zone_name)
    days = local // _DAY
    unique, inverse = np.unique(days, return_inverse=True)
    spans = [(_offset(zone, int(day) * _DAY, 0), _offset(zone, (int(day) + 1) * _DAY, 1)) for day in unique]
    # Most days keep their offset; the others' times are looked up one by one.
    offsets = np.array([first for first, _ in spans], dtype=np.int64)
    moves = np.array([first != last for first, last in spans], dtype=bool)
    instants = local - offsets[inverse] if len(unique) else local.copy()
    bad: dict[int, str] = {}
    for index in indices(moves[inverse]) if len(unique) else ():
        at = int(local[index])
        first, second = sorted(at - _offset(zone, at, fold) for fold in (0, 1))
        if first != second and ambiguous == "refused":
            bad[index] = _why_refused(zone, first, at)
        instants[index] = first if ambiguous != "later" else second
    return instants, bad


def _why_refused(zone: ZoneInfo, instant: int, local: int) -> str:
    shown = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=instant)
    is_shown = shown.astimezone(zone).replace(tzinfo=None) == EPOCH + timedelta(microseconds=local)
    if is_shown:
        return f"was shown twice by the clocks of {zone.key} (`ambiguous` says which is meant)"
    return f"was never shown by the clocks of {zone.key} (`ambiguous` says what is meant)"


def _offset(zone: ZoneInfo, local: int, fold: int) -> int:
    """Microseconds east of UTC of a local time."""
    at = EPOCH + timedelta(microseconds=min(max(local, FIRST), LAST))
    offset = at.replace(tzinfo=zone, fold=fold).utcoffset()
    return 0 if offset is None else round(offset.total_seconds() * _SECOND)


def _of_numbers(texts: pa.Array, unit: str) -> Typed:
    is_short = matches(texts, "^-?[0-9]{1,18}$")
    numbers: Ints = (
        pc.fill_null(only(texts, is_short).cast(pa.int64()), 0).to_numpy(zero_copy_only=False).copy()
    )
    is_read, bad = is_short, dict[int, str]()
    if unit == "ns":
        is_read = is_short & (numbers % 1000 == 0)
        numbers //= 1000
    else:
        factor = int(_UNITS[unit])
        is_read = is_short & (numbers >= FIRST // factor) & (numbers <= LAST // factor)
        numbers = np.where(is_read, numbers, 0) * factor
    is_there = as_mask(texts.is_valid())
    for index in indices(is_there & ~is_read):
        text = texts[index].as_py()
        found = (
            _exact(text, unit)
            if matches(texts[index : index + 1], r"^-?[0-9]{1,30}(\.[0-9]{1,30})?$")[0]
            else ""
        )
        if isinstance(found, str):
            bad[index] = found
        else:
            numbers[index], is_read[index] = found, True
    is_read &= (numbers >= FIRST) & (numbers <= LAST)
    bad |= {index: "" for index in indices(is_there & ~is_read) if index not in bad}
    return Typed(pa.array(numbers, pa.int64(), mask=~is_read).cast(INSTANTS), bad)


def _exact(text: str, unit: str) -> int | str:
    micros = Decimal(text) * _UNITS[unit]
    if not FIRST <= micros <= LAST:
        return f"{text!r} is not of the years 1 to 9999 in {unit}"
    return int(micros) if micros == int(micros) else f"{text!r} has digits that microseconds do not hold"


class _Parts:
    """Texts taken apart by a format's expression.

    `is_there`: there is a text; `is_day`, `is_time`: it has a day of the calendar, a time of day;
    `days` since 1970; `local`: microseconds of the clock since 1970; `offsets`: microseconds east of UTC.
    """

    def __init__(self, texts: pa.Array, expression: str) -> None:
        found = pc.extract_regex(texts, expression)
        self.is_there = as_mask(texts.is_valid())
        self._is_match = as_mask(found.is_valid())
        self._groups = {field.name: found.field(index) for index, field in enumerate(found.type)}
        self._count = len(texts)
        self.days, self.is_day = self._day()
        time_of_day, self.is_time, self.is_too_fine = self._time()
        self.local = self.days * _DAY + time_of_day
        self.has_offset, self.offsets, is_offset = self._offset()
        self.is_time &= is_offset

    def _day(self) -> tuple[Ints, Mask]:
        year = self._number("Y") if "Y" in self._groups else _full_years(self._number("y"))
        is_day = self._is_match & (year >= 1)
        if "j" in self._groups:
            start = _first_of((year - 1970) * 12)
            number, length = self._number("j"), _first_of((year - 1969) * 12) - start
        else:
            month = self._month()
            is_day &= (month >= 1) & (month <= 12)
            months = np.where(is_day, (year - 1970) * 12 + month - 1, 0)
            start = _first_of(months)
            number, length = self._number("d"), _first_of(months + 1) - start
        is_day &= (number >= 1) & (number <= length)
        return np.where(is_day, start + number - 1, 0), is_day

    def _month(self) -> Ints:
        if "m" in self._groups:
            return self._number("m")
        name = "b" if "b" in self._groups else "B"
        names = pc.utf8_lower(self._groups[name])
        numbers = pc.index_in(names, pa.array(list(_MONTH_NUMBERS)))
        known = np.array([int(number) for number in _MONTH_NUMBERS.values()] + [0], dtype=np.int64)
        return known[pc.fill_null(numbers, len(_MONTH_NUMBERS)).to_numpy(zero_copy_only=False)]

    def _time(self) -> tuple[Ints, Mask, Mask]:
        hour, minute, second = (self._number(name) for name in ("H", "M", "S"))
        is_time = (hour <= 23) & (minute <= 59) & (second <= 59)
        if "I" in self._groups:
            hour = self._number("I")
            is_time &= (hour >= 1) & (hour <= 12)
            is_late = as_mask(pc.equal(pc.utf8_upper(self._groups["p"]), "PM"))
            hour = hour % 12 + np.where(is_late, 12, 0)
        nanos = self._nanos()
        return (hour * 3600 + minute * 60 + second) * _SECOND + nanos // 1000, is_time, nanos % 1000 != 0

    def _nanos(self) -> Ints:
        if "f" not in self._groups:
            return np.zeros(self._count, dtype=np.int64)
        padded = pc.utf8_rpad(pc.fill_null(self._groups["f"], ""), width=9, padding="0")
        return padded.cast(pa.int64()).to_numpy(zero_copy_only=False)

    def _offset(self) -> tuple[Mask, Ints, Mask]:
        nothing = np.zeros(self._count, dtype=np.int64)
        if "z" not in self._groups:
            return nothing.astype(bool), nothing, ~nothing.astype(bool)
        text = pc.fill_null(self._groups["z"], "")
        has_offset_ = as_mask(pc.not_equal(text, ""))
        digits = pc.replace_substring_regex(text, "[^0-9]", "")
        padded = pc.utf8_rpad(digits, width=4, padding="0").cast(pa.int64()).to_numpy(zero_copy_only=False)
        hours, minutes = padded // 100, padded % 100
        sign = np.where(as_mask(pc.starts_with(text, "-")), -1, 1)
        return has_offset_, sign * (hours * 60 + minutes) * 60 * _SECOND, (hours <= 23) & (minutes <= 59)

    def _number(self, name: str) -> Ints:
        if name not in self._groups:
            return np.zeros(self._count, dtype=np.int64)
        text = pc.fill_null(self._groups[name], "")
        return (
            pc.if_else(pc.equal(text, ""), "0", text).cast(pa.int64()).to_numpy(zero_copy_only=False).copy()
        )


def _full_years(years: Ints) -> Ints:
    """Years of two digits, as POSIX takes them: 69 to 99 are of the last century."""
    return years + np.where(years >= 69, 1900, 2000)


def _first_of(months: Ints) -> Ints:
    """The first day of a month, both counted from 1970."""
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
