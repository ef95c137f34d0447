"""Lines of JSON one by one: their objects, and the values of one column in them, strictly of its type."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from lakehouse.ingest.declared import Column
from lakehouse.ingest.read.encoding import text_problem
from lakehouse.ingest.read.numbers import is_exact
from lakehouse.ingest.read.text import from_text
from lakehouse.ingest.read.typed import Typed
from lakehouse.ingest.types import arrow_type, element_type

Object = Mapping[str, Any]

_KINDS = {str: "string", bool: "bool", int: "int64", Decimal: "double", list: "list", dict: "struct"}
_NEW = {"string": "string", "bool": "boolean", "int64": "double", "double": "double"}
# A number with more digits is none that anyone means.
_LONGEST_NUMBER = 4000
# Of a longer value, the quarantine has the rest.
_LONGEST_SHOWN = 200


class Line(NamedTuple):
    """A line of a file, and its number."""

    number: int
    raw: bytes


class _NotAValueError(Exception):
    """What is wrong with a value; no text where it is just not of its type."""


def parse_lines(lines: Sequence[Line], encoding: str) -> tuple[list[Object], dict[int, str]]:
    """The objects of lines, and what is wrong with those that hold none (an empty one stands for each)."""
    objects: list[Object] = []
    bad: dict[int, str] = {}
    for index, line in enumerate(lines):
        found: Object = {}
        try:
            problem = text_problem(encoding, line.raw)
            parsed: Any = None if problem else _parse(line.raw)
            if isinstance(parsed, dict):
                found = parsed
            elif problem is None:
                problem = "is not an object"
        except (ValueError, RecursionError) as error:
            problem = str(error) if isinstance(error, _TwiceError) else f"is not JSON: {error}"
        if problem is not None:
            bad[index] = problem
        objects.append(found)
    return objects, bad


class _TwiceError(ValueError):
    """A field stands twice in one object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _TwiceError(f"has {json.dumps(twice)} twice in one object")
    return found


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a value of JSON")


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= _LONGEST_NUMBER else Decimal(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=Decimal, parse_int=_integer, parse_constant=_no_constant
)


def _parse(raw: bytes) -> Any:
    # Python takes other blanks around a value, too.
    return _DECODER.decode(raw.strip(b" \t\r\n").decode())


def to_typed(column: Column, objects: Sequence[Object]) -> Typed:
    """A declared column's values."""
    values = (
        [_at(each, column) for each in objects]
        if column.steps
        else [each.get(column.delivered_name) for each in objects]
    )
    element = element_type(column.type)
    typed = _arrays(column, element, values) if element else _plain(column, column.type, values)
    bad = {
        index: said or f"{_shown(values[index])} is not a value of type {column.type}"
        for index, said in typed.bad.items()
    }
    return Typed(typed.values, bad)


def _at(found: Object, column: Column) -> Any:
    """The value at a path; None where the path ends before it."""
    value: Any = found
    for step in column.steps:
        if value is None:
            return None
        if isinstance(step, int):
            if not isinstance(value, list):
                return _WrongWay(column, "an array", value)
            value = value[step] if step < len(value) else None
        else:
            if not isinstance(value, dict):
                return _WrongWay(column, "an object", value)
            value = value.get(step)
    return value


class _WrongWay:
    """What stands where a path goes on, and is nothing that it could go into."""

    def __init__(self, column: Column, wanted: str, found: Any) -> None:
        self.said = f"{_shown(found)} is not {wanted}, as the path {column.path} has it"


def _arrays(column: Column, element: str, values: Sequence[Any]) -> Typed:
    bad: dict[int, str] = {}
    flat: list[Any] = []
    owners: list[int] = []
    offsets = [0]
    for index, value in enumerate(values):
        if isinstance(value, list):
            flat += value
            owners += [index] * len(value)
        elif value is not None:
            bad[index] = value.said if isinstance(value, _WrongWay) else ""
        offsets.append(len(flat))
    elements = _plain(column, element, flat)
    for at, said in elements.bad.items():
        bad.setdefault(owners[at], said or f"{_shown(flat[at])} is not a value of type {element}")
    missing = np.array([not isinstance(value, list) for value in values], dtype=bool)
    built = pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()), elements.values, type=arrow_type(column.type), mask=pa.array(missing)
    )
    return Typed(built, bad)


def _plain(column: Column, kind: str, values: Sequence[Any]) -> Typed:
    """Values of a type that is no array."""
    bad: dict[int, str] = {}
    kept: list[Any] = []
    for index, value in enumerate(values):
        try:
            kept.append(None if value is None else _taken(column, kind, value))
        except _NotAValueError as problem:
            kept.append(None)
            bad[index] = str(problem)
    if kind not in ("date", "timestamp") and not kind.startswith("decimal"):
        return Typed(pa.array(kept, arrow_type(kind)), bad)
    typed = from_text(pa.array(kept, pa.string()), column, kind)
    return Typed(typed.values, bad | typed.bad)


def _taken(column: Column, kind: str, value: Any) -> Any:
    """A value as Arrow takes it: of its type, or as text that is read further."""
    if isinstance(value, _WrongWay):
        raise _NotAValueError(value.said)
    if isinstance(value, str) and _has_surrogate(value):
        raise _NotAValueError(f"{json.dumps(value)} has half of a character (a lone surrogate)")
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    is_good = False
    match kind:
        case "string":
            is_good = isinstance(value, str)
        case "boolean":
            is_good = isinstance(value, bool)
        case "int" | "bigint":
            limit = 2**31 if kind == "int" else 2**63
            is_good = isinstance(value, int) and is_number and -limit <= value < limit
        case "double":
            if is_number and isinstance(value, int | Decimal):
                return _double(value)
            is_good = isinstance(value, str) and column.allow_inf_nan and value in _WORDS
            value = float(value) if is_good else value
        case "date":
            is_good = isinstance(value, str)
        case "timestamp":
            is_good = isinstance(value, str) or (column.unit is not None and is_number)
            value = _digits(value) if is_good and isinstance(value, int | Decimal) else value
        case _:
            is_good = is_number or isinstance(value, str)
            value = str(value) if is_good else value
    if not is_good:
        raise _NotAValueError
    return value


_WORDS = ("NaN", "Infinity", "-Infinity")


def _double(value: int | Decimal) -> float:
    try:
        nearest = float(value)
    except OverflowError:
        nearest = float("inf")
    if nearest in (float("inf"), float("-inf")) or (nearest == 0 and value != 0):
        raise _NotAValueError(f"{_shown(value)} is beyond what a double holds")
    if isinstance(value, int) and int(nearest) != value:
        raise _NotAValueError(f"{value} is not exact as a double")
    return nearest


def _digits(value: int | Decimal) -> str:
    """A number without an exponent, where that is not longer than anyone writes it."""
    return (
        f"{value:f}"
        if isinstance(value, Decimal) and abs(int(value.as_tuple().exponent)) < 40
        else str(value)
    )


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def typed_new(name: str, values: Sequence[Any], taken_up: Mapping[str, str]) -> Typed | None:
    """Values of a column that nobody has declared: strings, booleans, or numbers as double.

    Without a type that bronze took up, the first value says it. None where there is no value.

    Raises:
        ValueError: bronze takes up no such values.
    """
    kinds = {index: _KINDS[type(value)] for index, value in enumerate(values) if value is not None}
    if not kinds:
        return None
    first = next(iter(kinds.values()))
    if name not in taken_up and first not in _NEW:
        known = "string, bigint, double, boolean, date, timestamp"
        raise ValueError(f"new column {name} is {first}: declare it, with one of the types {known}")
    wanted = taken_up.get(name, _NEW.get(first, ""))
    bad: dict[int, str] = {}
    kept: list[Any] = [None] * len(values)
    for index, kind in kinds.items():
        value = values[index]
        fits = _NEW.get(kind) == wanted or (wanted in ("int", "bigint") and kind == "int64")
        if not fits:
            bad[index] = f"is {kind}, declared {wanted}"
        elif wanted == "double" and not is_exact(value):
            bad[index] = (
                f"{_shown(value)} is not exact as a double, as which new numbers are taken up: declare it"
            )
        elif wanted == "string" and _has_surrogate(value):
            bad[index] = f"{json.dumps(value)} has half of a character (a lone surrogate)"
        elif wanted in ("int", "bigint") and not -(2**63) <= value < 2**63:
            bad[index] = f"{value} is not a value of type {wanted}"
        else:
            kept[index] = float(value) if wanted == "double" else value
    return Typed(pa.array(kept, arrow_type(wanted)), bad)


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str) if not isinstance(value, Decimal) else str(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
