"""Numbers of JSON columns that nobody has declared: they are taken up as double, where that loses nothing.

JSON does not tell whole numbers from others, so the first file's `7` says nothing about the next one's `7.5`.
"""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import json
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa


class InexactError(Exception):
    """A number that a double does not hold exactly."""

    def __init__(self, line: int, name: str, value: object) -> None:
        super().__init__(
            f"column {name}: {value} is not exact as a double, as which new numbers are taken up: declare it"
        )
        self.line = line


def new_numbers_as_double(
    rows: pa.Table, content: bytes, declared: Collection[str], taken_up: Mapping[str, str]
) -> pa.Table:
    """Rows of a JSON-lines file, with the numbers of its undeclared columns as double.

    Args:
        rows: as Arrow reads them.
        content: the file's bytes.
        declared: columns that are left alone.
        taken_up: type of each undeclared column that bronze has; one of another type is left alone, too.

    Raises:
        InexactError: a double does not hold one of them exactly.
    """
    for index, field in enumerate(rows.schema):
        if field.name in declared or taken_up.get(field.name, "double") != "double":
            continue
        if pa.types.is_integer(field.type):
            try:
                rows = rows.set_column(index, field.name, rows.column(index).cast(pa.float64()))
            except pa.ArrowException:
                # Arrow refuses all numbers of that size, also exact ones.
                _check_exact(content, field.name)
                rows = rows.set_column(index, field.name, rows.column(index).cast(pa.float64(), safe=False))
        elif pa.types.is_floating(field.type):
            _check_exact(content, field.name)
    return rows


def _check_exact(content: bytes, name: str) -> None:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        value: Any = json.loads(line, parse_float=Decimal).get(name)
        if isinstance(value, int | Decimal) and not isinstance(value, bool) and not _is_exact(value):
            raise InexactError(number, name, value)


def _is_exact(value: int | Decimal) -> bool:
    """Whether a double holds a number, or of a fraction the shortest one that is read as the same double."""
    try:
        nearest = float(value)
    except OverflowError:
        return False
    return int(nearest) == value if isinstance(value, int) else Decimal(repr(nearest)) == value
