"""A packed row is the row, to the bit, for every type that Spark's tables have."""

import math
import struct
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import LakehouseError
from lakehouse.online.packing import RowSchema, key_text, packed_rows, schema_of

EXACT = Context(prec=60)
INT64 = st.integers(-(2**63), 2**63 - 1)
DOUBLE_BITS = st.binary(min_size=8, max_size=8).map(lambda bits: struct.unpack("<d", bits)[0])
# As Arrow has Spark's types, and what their values may be.
TYPES: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "double": (pa.float64(), st.one_of(DOUBLE_BITS, st.sampled_from([-0.0, 0.0, math.inf, 5e-324]))),
    "float": (pa.float32(), st.floats(width=32)),
    "bigint": (pa.int64(), st.one_of(INT64, st.sampled_from([-(2**63), 2**63 - 1]))),
    "int": (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "smallint": (pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    "tinyint": (pa.int8(), st.integers(-128, 127)),
    "boolean": (pa.bool_(), st.booleans()),
    "string": (pa.string(), st.text()),
    "binary": (pa.binary(), st.binary()),
    "date": (pa.date32(), st.dates()),
    "timestamp": (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(UTC))),
    "timestamp_ntz": (pa.timestamp("us"), st.datetimes()),
    "decimal(38,18)": (
        pa.decimal128(38, 18),
        st.integers(-(10**38) + 1, 10**38 - 1).map(lambda units: Decimal(units).scaleb(-18, EXACT)),
    ),
    "decimal(5,1)": (pa.decimal128(5, 1), st.decimals(-9999, 9999, allow_nan=False, places=1)),
}


def bits(value: Any) -> Any:
    """What tells a value from one that only compares equal to it, such as 0.0 from -0.0."""
    if isinstance(value, float):
        return struct.pack("<d", value)
    return (type(value), value.as_tuple() if isinstance(value, Decimal) else value)


@given(st.lists(st.fixed_dictionaries({name: st.none() | values for name, (_, values) in TYPES.items()})))
def test_what_is_unpacked_is_what_was_packed_to_the_bit(rows: list[dict[str, Any]]) -> None:
    batch = pa.RecordBatch.from_pylist(rows, pa.schema([(name, kind) for name, (kind, _) in TYPES.items()]))
    schema = schema_of(batch.schema)

    packed = list(packed_rows(batch, schema))

    kept = RowSchema.from_text(schema.as_text())
    assert kept.digest == schema.digest
    for row, expected in zip(map(kept.unpack, packed), batch.to_pylist(), strict=True):
        assert {name: bits(value) for name, value in row.items()} == {
            name: bits(value) for name, value in expected.items()
        }
    assert [schema.pack_row(schema.unpack(each)) for each in packed] == packed


def test_each_value_names_the_schema_that_it_was_packed_by() -> None:
    narrow = RowSchema((("x", "int"),))
    wide = RowSchema((("x", "int"), ("y", "float")))
    assert narrow.digest != wide.digest
    assert narrow.pack([1])[:8] == narrow.digest


@pytest.mark.parametrize(
    ("kind", "days"), [(pa.date32(), 2_932_897), (pa.timestamp("us", "UTC"), 2_932_897 * 86_400_000_000)]
)
def test_a_day_that_python_cannot_name_is_refused_by_the_name_of_its_column(kind: Any, days: int) -> None:
    column = (
        pa.array([0, days], pa.int64()).cast(pa.int32() if kind == pa.date32() else pa.int64()).cast(kind)
    )
    batch = pa.RecordBatch.from_arrays([column], ["last_seen"])
    with pytest.raises(LakehouseError, match="column last_seen has a day before year 1 or after year 9999"):
        list(packed_rows(batch, schema_of(batch.schema)))


def test_a_type_without_a_packing_is_refused_by_the_name_of_its_column() -> None:
    with pytest.raises(LakehouseError, match="column legs has the type list"):
        schema_of(pa.schema([("legs", pa.list_(pa.int64()))]))


def test_an_entity_has_one_name_whatever_the_order_of_its_columns() -> None:
    day, at = date(2013, 1, 2), datetime(2013, 1, 2, 3, tzinfo=UTC)
    assert key_text({"a": 1, "b": "x"}) == key_text({"b": "x", "a": 1}) == '{"a":1,"b":"x"}'
    assert key_text({"day": day}) != key_text({"day": day + timedelta(days=1)})
    assert key_text({"at": at}) == '{"at":"2013-01-02T03:00:00.000000+00:00"}'
    with pytest.raises(LakehouseError, match=r"key column x is 0\.5"):
        key_text({"x": 0.5})
