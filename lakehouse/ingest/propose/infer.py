"""The narrowest type that all sampled values of a column have, as the reader that will land them reads it."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import pyarrow as pa

from lakehouse.ingest.declared import Column
from lakehouse.ingest.dialect import Csv
from lakehouse.ingest.propose.proposal import CHECK, TODO, Proposed, column_names, reported_time
from lakehouse.ingest.read.json_lines import to_typed
from lakehouse.ingest.read.text import from_text
from lakehouse.ingest.read.typed import Typed

# From narrow to wide; what fits none is text. The second one: the times say no zone.
_CANDIDATES: tuple[tuple[str, bool], ...] = (
    ("int", False),
    ("bigint", False),
    ("double", False),
    ("boolean", False),
    ("date", False),
    ("timestamp", False),
    ("timestamp", True),
)
# Read as a number, it would lose its zeros: a postal code, the number of a station.
_LEADING_ZERO = re.compile(r"-?0[0-9]+")
_MOST_LIKE_KEYS = re.compile(r"(^|_)(id|key|code|uuid|number|no|nr)$")
_MOST_KEYS = 3
# Among so many columns keys are looked for.
_KEY_COLUMNS = 8

Values = Sequence[Any]
_Reader = Callable[[Column], Typed]


def of_texts(values: Mapping[str, Sequence[str | None]], csv: Csv) -> list[Proposed]:
    """Columns of text, as CSV has them.

    Args:
        values: by the column's name in the file.
        csv: how numbers are written.
    """
    names = column_names(values)
    return [
        _proposed(names[delivered], delivered, texts, _text_reader(texts, csv))
        for delivered, texts in values.items()
    ]


def type_of_texts(texts: Sequence[str | None], csv: Csv) -> str:
    """The narrowest type of texts; TODO where there is none."""
    return _narrowest("value", texts, _text_reader(texts, csv))[0]


def _text_reader(texts: Sequence[str | None], csv: Csv) -> _Reader:
    array = pa.array(texts, pa.string())

    def read(column: Column) -> Typed:
        return from_text(array, column, column.type, csv)

    return read


def of_objects(objects: Sequence[Mapping[str, Any]]) -> tuple[list[Proposed], dict[str, str]]:
    """Columns of JSON objects, nested ones by their paths.

    Returns:
        the columns, and what cannot be one, with the reason.
    """
    tops = list(dict.fromkeys(name for each in objects for name in each))
    found: list[tuple[str, Values]] = []
    left_out: dict[str, str] = {}
    for top in tops:
        _collect((top,), [each.get(top) for each in objects], found, left_out)
    names = column_names(path for path, _ in found)
    columns: list[Proposed] = []
    for path, values in found:
        name = names[path]
        is_path = path not in tops
        boxed = [{"value": value} for value in values]

        def read(column: Column, boxed: list[dict[str, Any]] = boxed) -> Typed:
            return to_typed(column.model_copy(update={"name_in_file": "value"}), boxed)

        columns.append(_proposed(name, path, values, read, is_path=is_path))
    return columns, left_out


def _collect(
    path: tuple[str, ...], values: Values, found: list[tuple[str, Values]], left_out: dict[str, str]
) -> None:
    there = [value for value in values if value is not None]
    written = ".".join(path)
    is_odd = any(not step or re.search(r"[.\[\]]", step) for step in path)
    if is_odd and len(path) > 1:
        left_out[written] = "has a name with a dot or bracket in it, which no path can have"
    elif there and all(isinstance(value, dict) for value in there):
        inner = list(dict.fromkeys(name for value in there for name in value))
        if not inner:
            left_out[written] = "is an object without any field"
        for name in inner:
            nested = [value.get(name) if isinstance(value, dict) else None for value in values]
            _collect((*path, name), nested, found, left_out)
    elif any(isinstance(value, dict) for value in there):
        left_out[written] = "is an object in some rows, and a value in others"
    elif any(isinstance(value, list) for value in there):
        arrays = [value for value in there if isinstance(value, list)]
        if len(arrays) < len(there) or any(
            isinstance(each, dict | list) for array in arrays for each in array
        ):
            left_out[written] = (
                "is a list of objects or lists: a path such as list[0].field reads one of them"
            )
        else:
            found.append((written, values))
    else:
        found.append((written, values))


def _proposed(name: str, delivered: str, values: Values, read: _Reader, *, is_path: bool = False) -> Proposed:
    kind, needs_zone = _narrowest(name, values, read)
    return Proposed(
        name,
        delivered,
        kind,
        is_path=is_path,
        needs_zone=needs_zone,
        is_filled=bool(values) and all(value is not None for value in values),
        note=_note(kind, values),
    )


def _note(kind: str, values: Values) -> str | None:
    if kind == TODO:
        return "the sample has no value of it"
    if any(isinstance(value, list) for value in values):
        return None
    return (
        CHECK if kind == "string" and any(_LEADING_ZERO.fullmatch(str(value)) for value in values) else None
    )


def _narrowest(name: str, values: Values, read: _Reader) -> tuple[str, bool]:
    there = [value for value in values if value is not None]
    is_array = any(isinstance(value, list) for value in there)
    flat = [each for value in there for each in value if each is not None] if is_array else there
    if not flat or all(isinstance(value, str) and not value.strip() for value in flat):
        return ("string", False) if flat else (TODO, False)
    if any(isinstance(value, str) and _LEADING_ZERO.fullmatch(value.strip()) for value in flat):
        return "array<string>" if is_array else "string", False
    for kind, needs_zone in (*_CANDIDATES, ("string", False)):
        wanted = f"array<{kind}>" if is_array else kind
        column = Column(name=name, type=wanted, description=name, time_zone="UTC" if needs_zone else None)
        if not read(column).bad:
            return wanted, needs_zone
    return TODO, False


def proposed_keys(columns: Sequence[Proposed], rows: Mapping[str, Values]) -> list[str]:
    """The fewest columns that tell the sampled rows apart; none where no three do.

    Args:
        rows: values of each column, by its name in the file.
    """
    reported = reported_time(columns)
    usable = [
        column
        for column in columns
        if column.is_filled and column.type != "double" and not column.type.startswith("array")
    ]
    # Names first, then the file's order; times and numbers that only happen to differ come last.
    usable.sort(
        key=lambda column: (
            not _MOST_LIKE_KEYS.search(column.name),
            column.name == reported,
            column.type in ("timestamp", "boolean"),
        )
    )
    usable = usable[:_KEY_COLUMNS]
    if reported and all(column.name != reported for column in usable):
        usable += [column for column in columns if column.name == reported]
    for count in range(1, _MOST_KEYS + 1):
        for chosen in combinations(usable, count):
            if _tell_apart([rows[column.delivered] for column in chosen]):
                return [column.name for column in columns if column in chosen]
    return []


def _tell_apart(columns: Iterable[Values]) -> bool:
    seen = list(zip(*columns, strict=True))
    return len(set(seen)) == len(seen) > 0
