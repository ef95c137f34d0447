"""Types of declared columns, as a declaration and SQL write them, and as Arrow has them."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import re

import pyarrow as pa

# What may stand in an array, and what bronze takes up of columns that nobody declared.
ARROW_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}
_DECIMAL = re.compile(r"decimal\(([0-9]{1,2}),([0-9]{1,2})\)")
_ARRAY = re.compile(r"array<(.+)>")
_MOST_DIGITS = 38


def type_problem(name: str) -> str | None:
    """Why no column can have a type; None where it can."""
    if name in ARROW_TYPES:
        return None
    if array := _ARRAY.fullmatch(name):
        return "an array of arrays" if _ARRAY.fullmatch(array[1]) else type_problem(array[1])
    if decimal := _DECIMAL.fullmatch(name):
        digits, scale = int(decimal[1]), int(decimal[2])
        if not 1 <= digits <= _MOST_DIGITS or scale > digits:
            return f"a decimal has 1 to {_MOST_DIGITS} digits, and no more of them behind the point"
        return None
    return f"not one of {', '.join(ARROW_TYPES)}, decimal(12,2) and array<…> of these"


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of a declared one.

    >>> arrow_type("decimal(12,2)")
    Decimal128Type(decimal128(12, 2))
    >>> arrow_type("array<bigint>")
    ListType(list<element: int64>)
    """
    if array := _ARRAY.fullmatch(name):
        return pa.list_(pa.field("element", arrow_type(array[1])))
    if decimal := _DECIMAL.fullmatch(name):
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    return ARROW_TYPES[name]


def type_name(arrow: pa.DataType) -> str:
    """The declared type that an Arrow type is; of one that no column can have, Arrow's own word.

    >>> type_name(arrow_type("array<decimal(12,2)>"))
    'array<decimal(12,2)>'
    """
    if pa.types.is_list(arrow):
        return f"array<{type_name(arrow.value_type)}>"
    if pa.types.is_decimal128(arrow):
        return f"decimal({arrow.precision},{arrow.scale})"
    return next((name for name, declared in ARROW_TYPES.items() if declared == arrow), str(arrow))


def element_type(name: str) -> str | None:
    """Of an array's type that of its elements; None of another type.

    >>> element_type("array<int>")
    'int'
    """
    array = _ARRAY.fullmatch(name)
    return array[1] if array else None
