"""Numbers as text: read to the last digit, or not at all."""

# pyarrow ships no types, and makes its functions when it is imported.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation, localcontext

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.ingest.read.typed import Typed, as_mask, cast_all, characters, indices, matches, only, unread

_LIMITS = {pa.int32(): 2**31, pa.int64(): 2**63}
_FRACTION = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?"
_WORDS = r"[+-]?(?i:nan|inf|infinity)"
# Arrow's cast takes 0x1F for a whole number.
_HEX = (b"x", b"X")
# Texts that are shorter, and hold no exponent, are not so small that a double takes them for zero.
_SHORT = 300
# More digits than a decimal of bronze has.
_MOST_DIGITS = 5000


@dataclass(frozen=True)
class NumberFormat:
    """How numbers are written."""

    decimal: str = "."
    thousands: str | None = None


PLAIN = NumberFormat()


def to_integers(texts: pa.Array, wanted: pa.DataType, written: NumberFormat = PLAIN) -> Typed:
    """Whole numbers in decimal digits: no `0x1F`, no `1e3`, no `1.0`."""
    if written == PLAIN and not any(mark in characters(texts) for mark in _HEX):
        numbers = cast_all(texts, wanted)
        if numbers is not None:
            return Typed(numbers)
    plain = _without_thousands(texts, written)
    is_short = matches(plain, "^-?[0-9]{1,18}$")
    numbers = only(plain, is_short).cast(pa.int64())
    is_read = is_short
    if wanted != pa.int64():
        limit = _LIMITS[wanted]
        is_read = is_short & as_mask(pc.and_(pc.greater_equal(numbers, -limit), pc.less(numbers, limit)))
    bad = unread(texts, is_read)
    found: dict[int, int] = {}
    for index in indices(bad & matches(plain, "^-?[0-9]{19,}$")):
        number = _whole(plain[index].as_py())
        if number is not None and -_LIMITS[wanted] <= number < _LIMITS[wanted]:
            found[index] = number
            bad[index] = False
    values = only(numbers, is_read).cast(wanted)
    return Typed(_put(values, found), dict.fromkeys(indices(bad), ""))


def to_doubles(texts: pa.Array, allow_inf_nan: bool, written: NumberFormat = PLAIN) -> Typed:
    """Numbers as the nearest double; a whole number that it would round is not read."""
    quick = cast_all(texts, pa.float64()) if written == PLAIN else None
    if quick is not None and _is_plain(texts, quick):
        return Typed(quick)
    plain = _with_point(_without_thousands(texts, written), written)
    is_number = matches(plain, f"^[+-]?{_FRACTION}$")
    is_word = matches(plain, f"^{_WORDS}$")
    is_read = is_number | is_word if allow_inf_nan else is_number
    values = only(plain, is_read).cast(pa.float64())
    numbers = pc.fill_null(values, 0.0).to_numpy(zero_copy_only=False)
    bad = dict.fromkeys(indices(unread(texts, is_read)), "")
    if not allow_inf_nan:
        bad |= {
            index: f"{texts[index].as_py()!r} is not a number: allow_inf_nan takes it"
            for index in indices(is_word)
        }
    beyond = is_number & (np.isinf(numbers) | ((numbers == 0) & matches(plain, "^[^eE]*[1-9]")))
    rounded = is_number & (np.abs(numbers) >= 2**53) & matches(plain, "^[+-]?[0-9]+$")
    for index in indices(beyond):
        bad[index] = f"{texts[index].as_py()!r} is beyond what a double holds"
    for index in indices(rounded & ~beyond):
        number = _whole(plain[index].as_py())
        if number is None or int(numbers[index]) != number:
            bad[index] = f"{texts[index].as_py()!r} is not exact as a double"
    gone = np.zeros(len(texts), dtype=bool)
    gone[list(bad)] = True
    return Typed(only(values, ~gone), bad)


def _is_plain(texts: pa.Array, numbers: pa.Array) -> bool:
    """Whether casting the texts lost nothing that would have to be looked at one by one."""
    found = characters(texts)
    # Words such as nan and inf.
    if b"n" in found or b"N" in found:
        return False
    values = pc.fill_null(numbers, 1.0).to_numpy(zero_copy_only=False)
    has_zero = bool((values == 0).any())
    longest = pc.max(pc.binary_length(texts)).as_py() or 0
    return bool((np.abs(values) < 2**53).all()) and not (
        has_zero and (b"e" in found or b"E" in found or longest > _SHORT)
    )


def to_decimals(texts: pa.Array, wanted: pa.DataType, written: NumberFormat = PLAIN) -> Typed:
    """Numbers that a decimal holds exactly."""
    quick = cast_all(texts, wanted) if written == PLAIN else None
    if quick is not None:
        return Typed(quick)
    plain = _with_point(_without_thousands(texts, written), written)
    is_number = matches(plain, f"^[+-]?{_FRACTION}$")
    numbers = only(plain, is_number)
    bad = indices(unread(texts, is_number))
    try:
        return Typed(numbers.cast(wanted), dict.fromkeys(bad, ""))
    except pa.ArrowException:
        # One of them does not fit; or is longer than Arrow reads, and does.
        exact = [None if text is None else exact_decimal(text, wanted) for text in numbers.to_pylist()]
        lost = [index for index in indices(is_number) if exact[index] is None]
        said = {index: f"{texts[index].as_py()!r} does not fit without loss" for index in lost}
        return Typed(pa.array(exact, wanted), dict.fromkeys(bad, "") | said)


def exact_decimal(text: str, wanted: pa.DataType) -> Decimal | None:
    """A number with the scale of a decimal type; None where it has more digits than that."""
    if len(text) > _MOST_DIGITS:
        return None
    with localcontext() as context:
        context.prec = _MOST_DIGITS + 100
        try:
            number = Decimal(text)
            scaled = number.quantize(Decimal(1).scaleb(-wanted.scale))
        except InvalidOperation:
            return None
    digits = len(scaled.as_tuple().digits)
    return scaled if scaled == number and (digits <= wanted.precision or not scaled) else None


def to_booleans(texts: pa.Array, true_values: list[str], false_values: list[str]) -> Typed:
    """The declared words, as they are written."""
    is_true = as_mask(pc.is_in(texts, pa.array(true_values, pa.string())))
    is_false = as_mask(pc.is_in(texts, pa.array(false_values, pa.string())))
    values = only(pa.array(is_true), is_true | is_false)
    return Typed(values, dict.fromkeys(indices(unread(texts, is_true | is_false)), ""))


def is_exact(value: int | Decimal) -> bool:
    """Whether a double holds a number, or of a fraction the shortest one that is read as the same double."""
    try:
        nearest = float(value)
    except OverflowError:
        return False
    return int(nearest) == value if isinstance(value, int) else Decimal(repr(nearest)) == value


def _whole(text: str) -> int | None:
    return int(text) if len(text) <= _MOST_DIGITS - 1000 else None


def _put(values: pa.Array, found: dict[int, int]) -> pa.Array:
    if not found:
        return values
    mask = np.zeros(len(values), dtype=bool)
    mask[list(found)] = True
    ordered = pa.array([found[index] for index in sorted(found)], values.type)
    return pc.replace_with_mask(values, pa.array(mask), ordered)


def _without_thousands(texts: pa.Array, written: NumberFormat) -> pa.Array:
    """Numbers without the mark between their digits; one that stands elsewhere is left, and not read then."""
    if written.thousands is None:
        return texts
    mark, point = re.escape(written.thousands), re.escape(written.decimal)
    grouped = matches(texts, f"^[+-]?[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+(?:{point}[0-9]*)?$")
    return pc.if_else(pa.array(grouped), pc.replace_substring(texts, written.thousands, ""), texts)


def _with_point(texts: pa.Array, written: NumberFormat) -> pa.Array:
    if written.decimal == ".":
        return texts
    # A point is no sign of such a number: it must not become one that is read.
    wrong = matches(texts, r"\.")
    return pc.if_else(
        pa.array(wrong), pa.scalar("", pa.string()), pc.replace_substring(texts, written.decimal, ".")
    )
