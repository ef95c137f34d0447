"""A row as one packed value, bit for bit: what an online store keeps of it.

The values are packed by msgpack, in the order of a schema that is kept once for all rows pushed with it; a
value names its schema by digest. Doubles keep their eight bytes (NaN and negative zero too), dates are days
and timestamps microseconds since 1970, decimals their text.
"""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Self, cast

import msgpack

from lakehouse.errors import LakehouseError

_EPOCH_DAY = date(1970, 1, 1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - of timestamps without a zone
_MICROSECOND = timedelta(microseconds=1)

# What a column's values are in Python; the others are themselves in msgpack.
_UNPACKED: dict[str, Callable[[Any], Any]] = {
    "date": lambda days: _EPOCH_DAY + timedelta(days=days),
    "timestamp": lambda us: _EPOCH + timedelta(microseconds=us),
    "timestamp_ntz": lambda us: _LOCAL_EPOCH + timedelta(microseconds=us),
    "decimal": Decimal,
}
_PACKED: dict[str, Callable[[Any], Any]] = {
    "date": lambda day: (day - _EPOCH_DAY).days,
    "timestamp": lambda at: (at - _EPOCH) // _MICROSECOND,
    "timestamp_ntz": lambda at: (at - _LOCAL_EPOCH) // _MICROSECOND,
    "decimal": str,
}
KINDS = ("bool", "int", "float", "string", "binary", *_UNPACKED)
_DIGEST_BYTES = 8


@dataclass(frozen=True)
class RowSchema:
    """The columns of packed rows, in their order.

    Args:
        columns: name and kind of each; `KINDS` has all kinds.
    """

    columns: tuple[tuple[str, str], ...]

    @cached_property
    def digest(self) -> bytes:
        """Eight bytes that name this schema in each value."""
        return hashlib.sha256(self.as_text().encode()).digest()[:_DIGEST_BYTES]

    def as_text(self) -> str:
        """As the store keeps it."""
        return json.dumps([list(column) for column in self.columns], ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str | bytes) -> Self:
        """A schema that the store kept."""
        return cls(tuple((str(name), str(kind)) for name, kind in json.loads(text)))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(name for name, _ in self.columns)

    @cached_property
    def _decoded(self) -> list[tuple[int, Callable[[Any], Any]]]:
        return [(at, _UNPACKED[kind]) for at, (_, kind) in enumerate(self.columns) if kind in _UNPACKED]

    def unpack(self, packed: bytes) -> dict[str, Any]:
        """Column → Python value of what `pack` made with this schema, None for NULL."""
        values: list[Any] = msgpack.unpackb(packed[_DIGEST_BYTES:])
        for at, decode in self._decoded:
            if values[at] is not None:
                values[at] = decode(values[at])
        return dict(zip(self.names, values, strict=True))

    def pack(self, values: Sequence[Any]) -> bytes:
        """A row's values in the order of the columns.

        Args:
            values: as msgpack has them: dates and times as numbers, decimals as text.
        """
        return self.digest + cast("bytes", msgpack.packb(values))

    def pack_row(self, row: Mapping[str, Any]) -> bytes:
        """A row of Python values, as `unpack` gives them."""
        return self.pack(
            [
                None if row[name] is None else _PACKED.get(kind, _same)(row[name])
                for name, kind in self.columns
            ]
        )

    def differing(self, one: bytes, other: bytes) -> list[str]:
        """The columns in which two packed rows differ to the bit."""
        if one == other:
            return []
        values = (msgpack.unpackb(each[_DIGEST_BYTES:]) for each in (one, other))
        pairs = zip(self.names, *values, strict=True)
        return [name for name, left, right in pairs if msgpack.packb(left) != msgpack.packb(right)]


def _same(value: Any) -> Any:
    return value


def digest_of(packed: bytes) -> bytes:
    """The digest of the schema that a value was packed by."""
    return packed[:_DIGEST_BYTES]


def key_text(key: Mapping[str, Any]) -> str:
    """An entity as the store's key names it: the same for the same values, whatever the order of the columns.

    >>> key_text({"id": "f1", "day": date(2013, 1, 2)})
    '{"day":"2013-01-02","id":"f1"}'
    """
    return json.dumps(
        {name: _key_value(name, value) for name, value in key.items()},
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
    )


def _key_value(name: str, value: Any) -> Any:
    match value:
        case str() | int():
            return value
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds") if value.tzinfo else str(value)
        case date() | Decimal():
            return str(value)
        case _:
            raise LakehouseError(
                f"key column {name} is {value!r}: an entity is named by text, whole numbers, dates or times",
                "ask with the values that the table's entity columns have",
            )


def schema_of(columns: Any) -> RowSchema:
    """The schema by which rows of an Arrow schema are packed.

    Raises:
        LakehouseError: a column's type has no packing.
    """
    return RowSchema(tuple((field.name, _kind(field.name, field.type)) for field in columns))


def _kind(name: str, arrow: Any) -> str:
    import pyarrow.types

    types: Any = pyarrow.types
    tests: dict[str, Callable[[Any], bool]] = {
        "bool": types.is_boolean,
        "int": types.is_signed_integer,
        "float": lambda kind: types.is_float32(kind) or types.is_float64(kind),
        "string": lambda kind: types.is_string(kind) or types.is_large_string(kind),
        "binary": lambda kind: types.is_binary(kind) or types.is_large_binary(kind),
        "date": types.is_date32,
        "timestamp": lambda kind: types.is_timestamp(kind) and kind.tz is not None,
        "timestamp_ntz": lambda kind: types.is_timestamp(kind) and kind.tz is None,
        "decimal": types.is_decimal,
    }
    for kind, fits in tests.items():
        if fits(arrow):
            return kind
    raise LakehouseError(
        f"column {name} has the type {arrow}, which an online store does not keep",
        "make columns of its parts in the model's SQL",
    )


def packed_rows(batch: Any, schema: RowSchema) -> Iterator[bytes]:
    """The rows of an Arrow batch, each as one value."""
    columns = [_plain(name, kind, batch.column(name)) for name, kind in schema.columns]
    for values in zip(*columns, strict=True):
        yield schema.pack(values)


def _plain(name: str, kind: str, column: Any) -> list[Any]:
    """A column as msgpack has it."""
    import pyarrow as pa

    match kind:
        case "date":
            days = column.cast(pa.int32())
            _refuse_beyond(name, days, _FIRST_DAY, _LAST_DAY)
            return days.to_pylist()
        case "timestamp" | "timestamp_ntz":
            zone = column.type.tz
            us = column.cast(pa.timestamp("us", zone)).cast(pa.int64())
            _refuse_beyond(name, us, _FIRST_DAY * _DAY_US, (_LAST_DAY + 1) * _DAY_US - 1)
            return us.to_pylist()
        case "decimal":
            return [None if each is None else str(each) for each in column.to_pylist()]
        case _:
            return column.to_pylist()


_DAY_US = 86_400_000_000
_FIRST_DAY, _LAST_DAY = (date.min - _EPOCH_DAY).days, (date.max - _EPOCH_DAY).days


def _refuse_beyond(name: str, column: Any, low: int, high: int) -> None:
    """Spark's calendar is longer than Python's: what a reader could not be given is not pushed."""
    import pyarrow.compute as pc

    compute: Any = pc
    ends = compute.min_max(column).as_py()
    if ends["min"] is not None and (ends["min"] < low or ends["max"] > high):
        raise LakehouseError(
            f"column {name} has a day before year 1 or after year 9999, which Python cannot name",
            "make it NULL in the model's SQL, or leave the column out",
        )
