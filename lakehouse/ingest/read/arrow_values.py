"""Typed values of Parquet as the declared type: the same value in it, or none."""

# pyarrow ships no types, and makes its functions when it is imported.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.ingest.declared import Column
from lakehouse.ingest.read.calendar import Calendar, from_julian, old_days, old_times
from lakehouse.ingest.read.numbers import exact_decimal
from lakehouse.ingest.read.problems import ProblemError
from lakehouse.ingest.read.text import from_text
from lakehouse.ingest.read.times import FIRST, FIRST_DAY, INSTANTS, LAST, LAST_DAY, Ints, of_zone
from lakehouse.ingest.read.typed import Mask, Typed, as_mask, indices
from lakehouse.ingest.types import arrow_type, element_type

if TYPE_CHECKING:
    from lakehouse.ingest.read.parquet import Written

_DAY = 86_400_000_000
_OLDER = 3 * _DAY
_PER_MICRO = {"s": 10**6, "ms": 10**3, "us": 1}


def from_arrow(
    column: Column, values: pa.Array, written: "Written", fine: pa.Array | None, legacy: str
) -> Typed:
    """A declared column's values.

    Args:
        fine: of INT96, the same in nanoseconds.
        legacy: what becomes of days of the old calendar: refuse, rebase, proleptic.

    Raises:
        ProblemError: the column is of another kind.
    """
    element = element_type(column.type)
    calendar = written.calendar if fine is None else written.int96_calendar
    reader = _Reader(column, calendar, written.is_utc, legacy)
    if element is None:
        return reader.read(values, column.type, fine)
    if not (pa.types.is_list(values.type) or pa.types.is_large_list(values.type)):
        raise ProblemError(f"column {column.delivered_name} is {values.type}, declared {column.type}")
    flat = reader.read(values.flatten(), element, None if fine is None else fine.flatten())
    owners = pc.list_parent_indices(values)
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    built = pa.ListArray.from_arrays(
        pa.array(offsets), flat.values, type=arrow_type(column.type), mask=values.is_null()
    )
    return Typed(built, {owners[at].as_py(): said for at, said in sorted(flat.bad.items(), reverse=True)})


class _Reader:
    def __init__(self, column: Column, calendar: Calendar, is_utc: bool, legacy: str) -> None:
        self._column = column
        self._calendar = calendar
        self._is_utc = is_utc
        self._legacy = legacy

    def read(self, values: pa.Array, kind: str, fine: pa.Array | None) -> Typed:
        found = values.type
        if pa.types.is_dictionary(found):
            return self.read(values.dictionary_decode(), kind, fine)
        if pa.types.is_null(found):
            return Typed(values.cast(arrow_type(kind)))
        is_text = (
            pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found)
        )
        if is_text and (kind == "string" or self._column.format is not None):
            return self._of_text(values.cast(pa.string()), kind)
        if kind == "timestamp" and self._column.unit is not None and pa.types.is_integer(found):
            return self._of_text(values.cast(pa.string()), kind)
        if (
            kind == "timestamp"
            and self._column.unit is None
            and self._column.format is None
            and pa.types.is_timestamp(found)
        ):
            return self._instants(values, fine)
        if kind == "date" and self._column.format is None and pa.types.is_date(found):
            return self._dates(values)
        return self._numbers(values, kind)

    def _of_text(self, texts: pa.Array, kind: str) -> Typed:
        typed = from_text(texts, self._column, kind)
        return Typed(
            typed.values,
            {
                at: said or f"invalid value {texts[at].as_py()!r}, declared {kind}"
                for at, said in typed.bad.items()
            },
        )

    def _numbers(self, values: pa.Array, kind: str) -> Typed:
        found, wanted = values.type, arrow_type(kind)
        is_decimal = pa.types.is_decimal(wanted)
        is_one = (
            (pa.types.is_integer(wanted) and pa.types.is_integer(found))
            or (pa.types.is_floating(wanted) and pa.types.is_floating(found))
            or (pa.types.is_boolean(wanted) and pa.types.is_boolean(found))
            or (is_decimal and (pa.types.is_decimal(found) or pa.types.is_integer(found)))
        )
        if not is_one:
            raise ProblemError(
                f"column {self._column.delivered_name} is {self._said(found)}, declared {self._column.type}"
            )
        try:
            return Typed(values.cast(wanted))
        except pa.ArrowException:
            # At least one of them does not fit.
            fits = _decimal if is_decimal else _integer
            kept = [fits(value, wanted) for value in values.to_pylist()]
            there = as_mask(values.is_valid())
            bad = [index for index in indices(there) if kept[index] is None]
            return Typed(
                pa.array(kept, wanted), {at: f"does not fit {kind}: {values[at].as_py()}" for at in bad}
            )

    def _said(self, found: pa.DataType) -> str:
        if pa.types.is_timestamp(found) and found.tz is None:
            return f"{found}, without a zone,"
        return str(found)

    def _dates(self, values: pa.Array) -> Typed:
        there = as_mask(values.is_valid())
        bad: dict[int, str] = {}
        if pa.types.is_date64(values.type):
            millis: Ints = pc.fill_null(values.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
            days = millis // 86_400_000
            bad = dict.fromkeys(indices(millis % 86_400_000 != 0), "is not a whole day")
        else:
            days = pc.fill_null(values.cast(pa.int32()), 0).to_numpy(zero_copy_only=False).astype(np.int64)
        days, moved = self._rebased(days, there & old_days(days), days)
        bad |= moved
        said = "is not of the years 1 to 9999"
        bad |= dict.fromkeys(indices(there & ((days < FIRST_DAY) | (days > LAST_DAY))), said)
        gone = ~there
        gone[list(bad)] = True
        return Typed(
            pa.array(np.where(gone, 0, days).astype(np.int32), pa.int32(), mask=gone).cast(pa.date32()), bad
        )

    def _rebased(self, days: Ints, old: Mask, shown: Ints) -> tuple[Ints, dict[int, str]]:
        """Days of the old calendar in the new one, where that is declared; what is wrong with the others."""
        if self._legacy == "proleptic" or self._calendar == "gregorian" or not old.any():
            return days, {}
        if self._legacy == "refuse":
            writer = "of a writer that may have used" if self._calendar == "unknown" else "written in"
            said = f"is before 1582-10-15 and {writer} the Julian calendar: declare parquet.legacy_calendar"
            return days, dict.fromkeys(indices(old), said)
        days = days.copy()
        days[old], lost = from_julian(days[old])
        where = np.flatnonzero(old)
        return days, {int(where[at]): "is 29 February of a year that has none" for at in indices(lost)}

    def _instants(self, values: pa.Array, fine: pa.Array | None) -> Typed:
        found, zone = values.type, self._column.time_zone
        if found.tz is None and zone is None:
            hint = " (INT96 names none; Spark writes it in UTC)" if fine is not None else ""
            raise ProblemError(
                f"column {self._column.delivered_name} is {found} without a zone, declared timestamp: "
                f"time_zone says whose clock it is{hint}"
            )
        there = as_mask(values.is_valid())
        raw: Ints = pc.fill_null(values.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
        micros, bad = self._micros(raw, found.unit, there)
        if fine is not None:
            bad |= _lost(raw, fine)
        micros, moved = self._rebased_times(micros, there)
        bad |= moved | _beyond(micros)
        if found.tz is None and zone is not None:
            micros, local_bad = of_zone(np.clip(micros, FIRST, LAST), zone, self._column.ambiguous)
            bad |= {at: f"{values[at]} {said}" for at, said in local_bad.items() if there[at]} | _beyond(
                micros
            )
        gone = ~there
        gone[list(bad)] = True
        bad = {at: said for at, said in bad.items() if there[at]}
        return Typed(pa.array(np.where(gone, 0, micros), pa.int64(), mask=gone).cast(INSTANTS), bad)

    def _micros(self, raw: Ints, unit: str, there: Mask) -> tuple[Ints, dict[int, str]]:
        if unit == "ns":
            lost = there & (raw % 1000 != 0)
            return raw // 1000, dict.fromkeys(
                indices(lost), "has nanoseconds, which microseconds do not hold"
            )
        factor = _PER_MICRO[unit]
        # The old calendar's year 1 begins two days earlier; what is left beyond is found when it is rebased.
        least, most = (FIRST - _OLDER) // factor, (LAST + _OLDER) // factor
        beyond = there & ((raw < least) | (raw > most))
        said = dict.fromkeys(indices(beyond), "is not of the years 1 to 9999")
        return np.where(beyond, 0, raw) * factor, said

    def _rebased_times(self, micros: Ints, there: Mask) -> tuple[Ints, dict[int, str]]:
        old = there & old_times(micros)
        if self._legacy == "proleptic" or self._calendar == "gregorian" or not old.any():
            return micros, {}
        if not self._is_utc:
            said = (
                "is before 1900 and of a writer with other calendars and zones: "
                "parquet.legacy_calendar: proleptic takes it as it stands"
            )
            return micros, dict.fromkeys(indices(old), said)
        days = micros // _DAY
        moved, bad = self._rebased(days, old & old_days(days), days)
        return micros + (moved - days) * _DAY, bad


def _beyond(micros: Ints) -> dict[int, str]:
    return dict.fromkeys(indices((micros < FIRST) | (micros > LAST)), "is not of the years 1 to 9999")


def _lost(micros: Ints, fine: pa.Array) -> dict[int, str]:
    """INT96 values that have nanoseconds; of those that 64 bits of them cannot hold, nobody can tell."""
    nanos: Ints = pc.fill_null(fine.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    held = np.abs(micros) < 2**63 // 1000 - 1
    return dict.fromkeys(
        indices(held & (nanos % 1000 != 0)), "has nanoseconds, which microseconds do not hold"
    )


def _integer(value: int | None, wanted: pa.DataType) -> int | None:
    limit = 2**31 if wanted == pa.int32() else 2**63
    return value if value is not None and -limit <= value < limit else None


def _decimal(value: object, wanted: pa.DataType) -> object:
    return None if value is None else exact_decimal(str(value), wanted)
