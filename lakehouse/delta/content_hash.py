"""A hash of what a table holds, however it is stored; specified in docs/content-hash.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.types import (
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

from lakehouse.errors import LakehouseError

HASH_VERSION = 1

_HASHABLE = (
    BinaryType, BooleanType, ByteType, DateType, DecimalType, DoubleType, FloatType, IntegerType, LongType,
    ShortType, StringType, TimestampNTZType, TimestampType,
)  # fmt: skip

# Two independent 64-bit hashes of everything make one of 128 bits.
_LANES = (0, 1)


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
        df: the rows; columns of arrays, maps, structs and the like are refused.
        key: columns that name a row, so that a column whose values changed places is found out by itself.

    Raises:
        LakehouseError: a column has a type without a defined hash, or a key column is missing.
    """
    types = {field.name: field.dataType for field in df.schema.fields}
    _check(types, key)
    names = sorted(types)
    values = df.select(
        *[
            _value_hash(lane, name, types[name]).alias(f"{lane}_{position}")
            for lane in _LANES
            for position, name in enumerate(names)
        ]
    )
    rows = values.select("*", *[_row_hash(lane, len(names)).alias(f"{lane}_row") for lane in _LANES])
    key_positions = [names.index(name) for name in key]
    sums = rows.agg(
        F.count(F.lit(1)).alias("row_count"),
        *[sums for lane in _LANES for sums in _sums(F.col(f"{lane}_row"), f"{lane}_row")],
        *[
            sums
            for lane in _LANES
            for position in range(len(names))
            for sums in _sums(_keyed(lane, position, key_positions), f"{lane}_{position}")
        ],
    ).collect()[0]
    return ContentHash(
        row_count=int(sums["row_count"]),
        rows=_digest(sums, "row"),
        columns={name: _digest(sums, str(position)) for position, name in enumerate(names)},
        key=tuple(key),
    )


def hashable(df: DataFrame) -> list[str]:
    """The columns that have a defined hash."""
    return [field.name for field in df.schema.fields if isinstance(field.dataType, _HASHABLE)]


def _check(types: dict[str, DataType], key: Sequence[str]) -> None:
    nested = [
        f"{name} {kind.simpleString()}" for name, kind in types.items() if not isinstance(kind, _HASHABLE)
    ]
    if nested:
        raise LakehouseError(
            f"no content hash for {', '.join(nested)}", "cast to a plain type, or leave them out"
        )
    missing = [name for name in key if name not in types]
    if missing:
        raise LakehouseError(f"key columns {', '.join(missing)} are not among {', '.join(types)}")


def _value_hash(lane: int, name: str, kind: DataType) -> Column:
    """`xxhash64` skips NULLs: the marker before the value keeps them apart from everything else."""
    head = F.xxhash64(F.lit(lane).cast("bigint"), F.lit(name), F.lit(kind.simpleString()))
    value = F.col(f"`{name.replace('`', '``')}`")
    if isinstance(kind, FloatType | DoubleType):
        value = F.when(value == F.lit(0.0), F.lit(0.0).cast(kind)).otherwise(value)
    return F.xxhash64(head, value.isNull().cast("int"), value)


def _row_hash(lane: int, width: int) -> Column:
    return F.xxhash64(*[F.col(f"{lane}_{position}") for position in range(width)])


def _keyed(lane: int, position: int, key: Sequence[int]) -> Column:
    value = F.col(f"{lane}_{position}")
    return F.xxhash64(*[F.col(f"{lane}_{part}") for part in key], value) if key else value


def _sums(value: Column, name: str) -> list[Column]:
    """The two halves are summed apart, as a sum of 64-bit numbers overflows and one of decimals is slow."""
    return [
        F.sum(F.shiftrightunsigned(value, 32)).alias(f"{name}_high"),
        F.sum(value.bitwiseAND(F.lit(0xFFFFFFFF))).alias(f"{name}_low"),
    ]


def _digest(sums: Row, name: str) -> str:
    return "".join(f"{_total(sums, f'{lane}_{name}'):016x}" for lane in _LANES)


def _total(sums: Row, name: str) -> int:
    high: Any = sums[f"{name}_high"]
    low: Any = sums[f"{name}_low"]
    return ((int(high or 0) << 32) + int(low or 0)) % 2**64
