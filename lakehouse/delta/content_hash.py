"""A hash of what a table holds, however it is stored; specified in docs/content-hash.md."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
    TimestampNTZType,
    TimestampType,
)

from lakehouse.engine.clone import with_settings
from lakehouse.errors import LakehouseError

HASH_VERSION = 1

_HASHABLE = (
    BinaryType, BooleanType, ByteType, DateType, DecimalType, DoubleType, FloatType, IntegerType, LongType,
    ShortType, StringType, TimestampNTZType, TimestampType,
)  # fmt: skip

# Two independent 64-bit hashes of everything make one of 128 bits.
_LANES = (0, 1)

# A sum of 64-bit numbers shall wrap around, which ANSI calls an error. And up to so many columns (100 by
# default) Spark reads, hashes and sums in one loop, without rows in between.
_SETTINGS = {"spark.sql.ansi.enabled": "false", "spark.sql.codegen.maxFields": "100000"}


@dataclass(frozen=True)
class ContentHash:
    """What a table holds.

    Args:
        row_count: number of rows, duplicates counted.
        rows: hash of all rows and columns, 32 hexadecimal digits.
        columns: the same for each column alone, by name.
        key: the columns that name a row; with them a column's hash also moves when its values change places.
    """

    row_count: int
    rows: str
    columns: dict[str, str]
    key: tuple[str, ...] = ()


def content_hash(df: DataFrame, key: Sequence[str] = ()) -> ContentHash:
    """Hash a table's content in one pass.

    The result does not depend on the order of rows or of columns. It moves with any value, type or column
    name that changes, and with values that change places between rows or columns. NULL, NaN and the empty
    string are three different values; a row that stands twice counts twice; 0.0 and -0.0 are one value, and
    so are all NaNs.

    Args:
        df: the rows; columns of maps, structs, arrays of arrays and the like are refused. They are
            computed with ANSI off: hash what a table holds, not casts that may fail. No frame of
            `localCheckpoint`: a session of its own hashes it, so that no other statement runs without ANSI.
        key: columns that name a row, so that a column whose values changed places is found out by itself.

    Raises:
        LakehouseError: a column has a type without a defined hash, or a key column is missing.
    """
    types = {field.name: field.dataType for field in df.schema.fields}
    _check(types, key)
    names = sorted(types)
    totals = {"row_count": F.count(F.lit(1))}
    for lane in _LANES:
        values = {name: _value_hash(lane, name, types[name]) for name in names}
        totals[f"{lane}_row"] = F.sum(F.xxhash64(*values.values()))
        for position, name in enumerate(names):
            totals[f"{lane}_{position}"] = F.sum(_keyed(values, name, key))
    with with_settings(df, _SETTINGS) as rows:
        sums = rows.agg(*[total.alias(name) for name, total in totals.items()]).collect()[0]
    return ContentHash(
        row_count=int(sums["row_count"]),
        rows=_digest(sums, "row"),
        columns={name: _digest(sums, str(position)) for position, name in enumerate(names)},
        key=tuple(key),
    )


def hashable(df: DataFrame) -> list[str]:
    """The columns that have a defined hash."""
    return [field.name for field in df.schema.fields if _is_hashable(field.dataType)]


def _is_hashable(kind: DataType) -> bool:
    return isinstance(kind.elementType if isinstance(kind, ArrayType) else kind, _HASHABLE)


def _check(types: dict[str, DataType], key: Sequence[str]) -> None:
    nested = [f"{name} {kind.simpleString()}" for name, kind in types.items() if not _is_hashable(kind)]
    if nested:
        raise LakehouseError(
            f"no content hash for {', '.join(nested)}", "cast to a plain type, or leave them out"
        )
    missing = [name for name in key if name not in types]
    if missing:
        raise LakehouseError(f"key columns {', '.join(missing)} are not among {', '.join(types)}")


def _value_hash(lane: int, name: str, kind: DataType) -> Column:
    """`xxhash64` skips NULLs: the marker before the value keeps them apart from everything else.

    It hashes -0.0 as 0.0, and all NaNs as one.
    """
    head = F.xxhash64(F.lit(lane).cast("bigint"), F.lit(name), F.lit(kind.simpleString()))
    value = F.col(f"`{name.replace('`', '``')}`")
    if isinstance(kind, ArrayType):
        # Of its elements, too, NULL is skipped.
        value = F.transform(value, lambda each: F.xxhash64(each.isNull().cast("int"), each))
    return F.xxhash64(head, value.isNull().cast("int"), value)


def _keyed(values: dict[str, Column], name: str, key: Sequence[str]) -> Column:
    return F.xxhash64(*[values[part] for part in key], values[name]) if key else values[name]


def _digest(sums: Row, name: str) -> str:
    return "".join(f"{int(sums[f'{lane}_{name}'] or 0) % 2**64:016x}" for lane in _LANES)
