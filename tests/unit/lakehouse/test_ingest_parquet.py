"""Parquet as others write it: the same instants, days and numbers, or rows and files refused by name."""

import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.ingest.read.calendar import from_julian
from lakehouse.ingest.source import Source
from tests.unit.lakehouse.readings import RefusedFileError, read_content, read_rows, readings

TEN = datetime(2013, 7, 10, 10, tzinfo=UTC)
LOCAL = TEN.replace(tzinfo=None)
BERLIN = {"type": "timestamp", "time_zone": "Europe/Berlin"}


def _source(column: str | dict[str, Any], **more: Any) -> Source:
    return readings("parquet", {"x": column} | more.pop("others", {}), **more)


def _file(values: pa.Array, name: str = "x", metadata: dict[str, str] | None = None, **options: Any) -> bytes:
    at = pa.array([TEN] * len(values), pa.timestamp("us", "UTC"))
    table = pa.table({name: values, "read_at": at}).replace_schema_metadata(metadata)
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("timestamp", pa.array([TEN], pa.timestamp("ms", "America/New_York")), TEN),
        ("timestamp", pa.array([TEN], pa.timestamp("ns", "UTC")), TEN),
        ("timestamp", pa.array([TEN], pa.timestamp("us", "+02:00")), TEN),
        (BERLIN, pa.array([datetime(2013, 7, 10, 12)]), TEN),  # noqa: DTZ001 - a clock's time
        (BERLIN, pa.array([TEN], pa.timestamp("us", "UTC")), TEN),
        (BERLIN | {"unit": "ms", "time_zone": None}, pa.array([1373450400000]), TEN),
        (BERLIN | {"format": "%d.%m.%Y", "time_zone": "UTC"}, pa.array(["10.07.2013"]), TEN.replace(hour=0)),
        ("double", pa.array([0.5], pa.float32()), 0.5),
        ("double", pa.array([float("inf")]), float("inf")),
        ("string", pa.array(["A"], pa.large_string()), "A"),
        ("string", pa.array(["A"], pa.string_view()), "A"),
        ("string", pa.array(["A"]).dictionary_encode(), "A"),
        ("int", pa.array([7], pa.uint8()), 7),
        ("bigint", pa.array([7], pa.uint64()), 7),
        ("decimal(12,2)", pa.array([Decimal("1.2000")], pa.decimal128(20, 4)), Decimal("1.20")),
        ("decimal(12,2)", pa.array([Decimal("1.20")], pa.decimal256(40, 2)), Decimal("1.20")),
        ("decimal(12,2)", pa.array([7]), Decimal("7.00")),
        ("date", pa.array([date(2013, 7, 10)], pa.date64()), date(2013, 7, 10)),
        ("date", pa.array([date(1, 1, 1)]), date(1, 1, 1)),
        ("array<int>", pa.array([[1, None]], pa.list_(pa.int64())), [1, None]),
        ("array<timestamp>", pa.array([[TEN]], pa.list_(pa.timestamp("ms", "UTC"))), [TEN]),
        ("array<string>", pa.array([[]], pa.large_list(pa.string())), []),
        ("int", pa.nulls(1), None),
    ],
    ids=lambda value: str(getattr(value, "type", value)),
)  # fmt: skip
def test_a_value_is_the_same_in_the_declared_type(column, values, expected):
    rows = read_rows(_source(column), _file(values), "file", {})

    assert rows.column("x").to_pylist() == [expected]
    assert rows.schema == _source(column).arrow_schema


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        (
            "timestamp",
            pa.array([0, 1], pa.timestamp("ns", "UTC")),
            "has nanoseconds, which microseconds do not",
        ),
        ("timestamp", pa.array([0, 2**52], pa.timestamp("s", "UTC")), "is not of the years 1 to 9999"),
        ("timestamp", pa.array([0, 2**62], pa.timestamp("us", "UTC")), "is not of the years 1 to 9999"),
        (BERLIN, pa.array([LOCAL, datetime(2013, 10, 27, 2, 30)]), "was shown twice"),  # noqa: DTZ001
        (BERLIN, pa.array([LOCAL, datetime(2013, 3, 31, 2, 30)]), "was never shown"),  # noqa: DTZ001
        ("int", pa.array([0, 2**31]), "does not fit int: 2147483648"),
        ("bigint", pa.array([0, 2**64 - 1], pa.uint64()), "does not fit bigint"),
        ("decimal(12,2)", pa.array([Decimal("1.2"), Decimal("1.234")]), "does not fit decimal(12,2): 1.234"),
        ("decimal(4,2)", pa.array([Decimal("1.2"), Decimal("123.4")]), "does not fit decimal(4,2): 123.4"),
        ("date", pa.array([0, 2_932_897], pa.int32()).cast(pa.date32()), "is not of the years 1 to 9999"),
        ("array<int>", pa.array([[1], [2, 2**31]]), "does not fit int: 2147483648"),
        ({"type": "date", "format": "%d.%m.%Y"}, pa.array(["10.07.2013", "31.02.2013"]), "invalid value"),
    ],
    ids=lambda value: str(getattr(value, "type", value))[:60],
)
def test_a_value_that_does_not_fit_costs_its_row(column, values, reason):
    found = read_content(_source(column), _file(values), "file", {})

    assert found.rows.num_rows == 1
    assert [row.line for row in found.unreadable] == [2]
    assert f"column x{' ' if reason[:2] in ('is', 'ha', 'do') else ':'}" in found.unreadable[0].reason
    assert reason in found.unreadable[0].reason
    assert set(json.loads(found.unreadable[0].raw)) == {"x", "read_at"}


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("timestamp", pa.array([LOCAL]), "without a zone, declared timestamp: time_zone says whose clock"),
        ("timestamp", pa.array([1373450400]), "column x is int64, declared timestamp"),
        ("timestamp", pa.array(["2013-07-10T10:00:00Z"]), "column x is string, declared timestamp"),
        ("date", pa.array([TEN]), "column x is timestamp.*, declared date"),
        ("timestamp", pa.array([date(2013, 7, 10)]), "column x is date32"),
        ("int", pa.array([1.0]), "column x is double, declared int"),
        ("double", pa.array([1]), "column x is int64, declared double"),
        ("string", pa.array([b"x"]), "column x is binary, declared string"),
        ("array<int>", pa.array([1]), "column x is int64, declared array<int>"),
        ("int", pa.array([[1]]), "column x is list.*, declared int"),
        ("boolean", pa.array([1]), "column x is int64, declared boolean"),
    ],
)
def test_a_column_of_another_kind_refuses_the_file(column, values, reason):
    with pytest.raises(RefusedFileError, match=reason):
        read_rows(_source(column), _file(values), "file", {})


def test_a_name_in_another_case_has_to_be_declared():
    content = _file(pa.array([1]), name="X")

    with pytest.raises(RefusedFileError, match=r"lacks column x \(it has 'X': name_in_file says so\)"):
        read_rows(_source("int"), content, "file", {})
    rows = read_rows(_source({"type": "int", "name_in_file": "X"}), content, "file", {})
    assert rows.column("x").to_pylist() == [1]


def _int96(*values: int) -> bytes:
    return _file(pa.array(values, pa.timestamp("ns")), use_deprecated_int96_timestamps=True)


def test_int96_is_read_to_the_microsecond_in_its_declared_zone():
    content = _int96(1373450400_000_001_000, 1373450400_000_000_001)

    with pytest.raises(RefusedFileError, match=r"without a zone.*INT96 names none; Spark writes it in UTC"):
        read_rows(_source("timestamp"), content, "file", {})
    # Every column of such a file is INT96, also that of the reported time.
    zoned = {"type": "timestamp", "time_zone": "UTC"}
    found = read_content(_source(zoned, others={"read_at": zoned}), content, "file", {})
    assert found.rows.column("x").to_pylist() == [TEN.replace(microsecond=1)]
    assert [row.reason for row in found.unreadable] == [
        "column x has nanoseconds, which microseconds do not hold"
    ]


def test_int96_within_an_array_loses_nothing_either():
    values = pa.array([[1373450400_000_001_000, None], [1]], pa.list_(pa.timestamp("ns")))
    zoned = {"type": "timestamp", "time_zone": "UTC"}
    source = _source({"type": "array<timestamp>", "time_zone": "UTC"}, others={"read_at": zoned})

    found = read_content(source, _file(values, use_deprecated_int96_timestamps=True), "file", {})

    assert found.rows.column("x").to_pylist() == [[TEN.replace(microsecond=1), None]]
    assert [row.line for row in found.unreadable] == [2]


SPARK = "org.apache.spark.version"
LEGACY = {SPARK: "3.5.0", "org.apache.spark.legacyDateTime": ""}


@pytest.mark.parametrize(
    ("metadata", "is_old"),
    [
        ({}, False),
        ({SPARK: "3.5.0"}, False),
        (LEGACY, True),
        ({SPARK: "2.4.8"}, True),
        ({"org.apache.spark.sql.parquet.row.metadata": "{}"}, True),
        ({"writer.date.proleptic": "false"}, True),
        ({"writer.date.proleptic": "true"}, False),
        # Says something of INT96 columns alone.
        ({SPARK: "3.5.0", "org.apache.spark.legacyINT96": ""}, False),
    ],
)
def test_days_of_the_julian_calendar_are_never_shifted_unseen(metadata, is_old):
    # What Spark 2 wrote for 1582-10-04, the last Julian day: the proleptic 1582-10-14.
    values = pa.array([date(1582, 10, 14), date(1582, 10, 15), date(2013, 7, 10)])
    content = _file(values, metadata=metadata)

    refused = read_content(_source("date"), content, "file", {})
    rebased = read_rows(_source("date", parquet={"legacy_calendar": "rebase"}), content, "file", {})
    kept = read_rows(_source("date", parquet={"legacy_calendar": "proleptic"}), content, "file", {})

    assert refused.rows.num_rows == (2 if is_old else 3)
    assert all(
        "the Julian calendar: declare parquet.legacy_calendar" in row.reason for row in refused.unreadable
    )
    first = date(1582, 10, 4) if is_old else date(1582, 10, 14)
    assert rebased.column("x").to_pylist() == [first, date(1582, 10, 15), date(2013, 7, 10)]
    assert kept.column("x").to_pylist() == values.to_pylist()


def test_times_before_1900_of_an_old_writer_are_never_shifted_unseen():
    values = pa.array([datetime(1582, 10, 14, 1, tzinfo=UTC), datetime(1890, 1, 1, tzinfo=UTC), TEN])
    rebase = _source("timestamp", parquet={"legacy_calendar": "rebase"})

    assert read_content(_source("timestamp"), _file(values, metadata=LEGACY), "file", {}).rows.num_rows == 1
    assert read_content(rebase, _file(values, metadata=LEGACY), "file", {}).rows.num_rows == 1
    in_utc = _file(values, metadata=LEGACY | {"org.apache.spark.timeZone": "UTC"})
    assert read_rows(rebase, in_utc, "file", {}).column("x").to_pylist() == [
        datetime(1582, 10, 4, 1, tzinfo=UTC),
        datetime(1890, 1, 1, tzinfo=UTC),
        TEN,
    ]


def test_julian_days_are_those_of_the_rule():
    # Each Julian year that 4 divides has a 29 February: counted day by day from 1 January of year 1.
    days, expected, lost = [], [], []
    day = -719_164
    for year in range(1, 1583):
        lengths = [31, 29 if year % 4 == 0 else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        for month, length in enumerate(lengths, start=1):
            for number in range(1, length + 1):
                if day >= -141_427:
                    break
                days.append(day)
                is_lost = month == 2 and number == 29 and year % 100 == 0 and year % 400 != 0
                lost.append(is_lost)
                expected.append(None if is_lost else date(year, month, number).toordinal() - 719_163)
                day += 1

    found, gone = from_julian(np.array(days, dtype=np.int64))

    assert gone.tolist() == lost and sum(lost) == 12
    assert [None if each else value for value, each in zip(found.tolist(), gone, strict=True)] == expected


def test_a_large_file_is_read_batch_by_batch():
    count = 150_000
    values = pa.array([2**31 if index == 100_000 else index for index in range(count)])

    found = read_content(_source("int"), _file(values), "file", {})

    assert found.rows.column("x").to_pylist() == [index for index in range(count) if index != 100_000]
    assert [row.line for row in found.unreadable] == [100_001]
