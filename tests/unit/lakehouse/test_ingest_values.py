"""Values as text: read exactly, in declared formats, zones and units, or not at all."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tests.unit.lakehouse.readings import AT, read_content, readings, values_of

TYPES = {
    "whole": "int",
    "large": "bigint",
    "price": "decimal(12,2)",
    "is_on": "boolean",
    "day": "date",
    "rate": {"type": "double", "allow_inf_nan": True},
}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("whole", "007", 7),
        ("whole", "-0", 0),
        ("large", "-9223372036854775808", -(2**63)),
        ("price", "1234567890.12", Decimal("1234567890.12")),
        ("price", "1.2300", Decimal("1.23")),
        ("price", "0E-10", Decimal("0.00")),
        ("price", "-.5", Decimal("-0.50")),
        ("is_on", "TRUE", True),
        ("day", "2012-02-29", date(2012, 2, 29)),
        ("rate", "-Infinity", float("-inf")),
    ],
)
def test_a_value_is_read_exactly(name, text, expected):
    source = readings("csv", TYPES)
    names = [*TYPES, "read_at"]
    row = ",".join(text if each == name else AT if each == "read_at" else "" for each in names)

    assert values_of(source, f"{','.join(names)}\n{row}\n")[0][names.index(name)] == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *[("whole", text) for text in ("0xFFFFFFFF", "0x1F", "1e3", "1.0", "1_000", "+5", "٣", "1,000")],
        ("whole", "2147483648"),
        *[("large", text) for text in ("0xFFFFFFFFFFFFFFFF", "9223372036854775808", "1" * 400, "--1")],
        *[("price", text) for text in ("1.235", "12345678901.00", "1e-30", "NaN", "1" * 40, "0x1", "")],
        *[("is_on", text) for text in ("yes", "T", "2", "tRue")],
        *[("day", text) for text in ("2013-02-29", "2013-7-1", "20130701", "0000-01-01", "10000-01-01")],
        ("day", "2013-07-01 00:00"),
    ],
)  # fmt: skip
def test_a_text_that_is_no_value_of_the_type_is_set_aside(name, text):
    source = readings("csv", TYPES)
    names = [*TYPES, "read_at"]
    row = ",".join(f'"{text}"' if each == name else AT if each == "read_at" else "" for each in names)

    found = read_content(source, f"{','.join(names)}\n{row}\n".encode(), "file", {})

    assert found.rows.num_rows == 0
    assert found.unreadable[0].reason.startswith(f"column {name}: ")
    assert f"declared {source.column_of[name].type}" in found.unreadable[0].reason


def test_a_reason_is_short_however_long_the_value():
    content = f"whole,read_at\n{'x' * 100_000},{AT}\n"

    found = read_content(readings("csv", {"whole": "int"}), content.encode(), "file", {})

    assert len(found.unreadable[0].reason) < 600
    assert len(found.unreadable[0].raw) > 100_000


def test_booleans_have_the_declared_words():
    source = readings("csv", {"is_on": "boolean"}, csv={"true_values": ["ja", "J"], "false_values": ["nein"]})

    found = read_content(source, f"is_on,read_at\nja,{AT}\nnein,{AT}\ntrue,{AT}\n".encode(), "file", {})

    assert found.rows.column("is_on").to_pylist() == [True, False]
    assert [row.line for row in found.unreadable] == [4]


GERMAN = "%d.%m.%Y %H:%M:%S"
EPOCH = {"type": "timestamp", "unit": "s"}
ZONED = {"time_zone": "Europe/Berlin", "type": "timestamp"}
UTC_TEN = datetime(2013, 7, 10, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [
        ({"format": GERMAN, **ZONED}, "10.07.2013 12:00:00", UTC_TEN),
        ({"format": GERMAN, **ZONED}, "10.01.2013 11:00:00", datetime(2013, 1, 10, 10, tzinfo=UTC)),
        ({"format": "%-d.%-m.%Y %H:%M", **ZONED}, "10.7.2013 12:00", UTC_TEN),
        ({"format": "%b %d %Y %I:%M %p", **ZONED}, "JUL 10 2013 12:00 PM", UTC_TEN),
        ({"format": "%Y%j%H", **ZONED}, "201319112", UTC_TEN),
        ({"format": "%FT%T.%f%z", "type": "timestamp"}, "2013-07-10T12:00:00.000000000+0200", UTC_TEN),
        ({"format": "%y%m%d", **ZONED, "time_zone": "UTC"}, "700102", datetime(1970, 1, 2, tzinfo=UTC)),
        (ZONED, "2013-07-10 12:00", UTC_TEN),
        (ZONED, "2013-07-10T10:00:00Z", UTC_TEN),
        ({"ambiguous": "earlier", **ZONED}, "2013-10-27 02:30", datetime(2013, 10, 27, 0, 30, tzinfo=UTC)),
        ({"ambiguous": "later", **ZONED}, "2013-10-27 02:30", datetime(2013, 10, 27, 1, 30, tzinfo=UTC)),
        ({"ambiguous": "earlier", **ZONED}, "2013-03-31 02:30", datetime(2013, 3, 31, 0, 30, tzinfo=UTC)),
        ({"ambiguous": "later", **ZONED}, "2013-03-31 02:30", datetime(2013, 3, 31, 1, 30, tzinfo=UTC)),
        (ZONED, "2050-07-10 12:00", datetime(2050, 7, 10, 10, tzinfo=UTC)),
        (EPOCH, "1373450400", UTC_TEN),
        (EPOCH, "1373450400.25", UTC_TEN.replace(microsecond=250_000)),
        ({"type": "timestamp", "unit": "ms"}, "1373450400001", UTC_TEN.replace(microsecond=1000)),
        ({"type": "timestamp", "unit": "us"}, "-1", datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ({"type": "timestamp", "unit": "ns"}, "1373450400000001000", UTC_TEN.replace(microsecond=1)),
        ({"type": "timestamp"}, "2013-07-10T10:00:00.000001000Z", UTC_TEN.replace(microsecond=1)),
        ({"type": "date", "format": "%d/%m/%Y"}, "10/07/2013", date(2013, 7, 10)),
        ({"type": "date", "format": "%Y-%m-%d 00:00:00"}, "2013-07-10 00:00:00", date(2013, 7, 10)),
    ],
)  # fmt: skip
def test_a_time_is_read_as_declared(column, text, expected):
    source = readings("csv", {"at": column})

    assert values_of(source, f'at,read_at\n"{text}",{AT}\n') == [[expected]]


@pytest.mark.parametrize(
    ("column", "text", "reason"),
    [
        ({"format": GERMAN, **ZONED}, "10.7.2013 12:00:00", "invalid value"),
        ({"format": GERMAN, **ZONED}, "31.02.2013 12:00:00", "invalid value"),
        ({"format": GERMAN, **ZONED}, "10.07.2013 24:00:00", "invalid value"),
        ({"format": GERMAN, **ZONED}, "10.07.2013 23:59:60", "invalid value"),
        ({"format": "%I %p %F", **ZONED}, "13 PM 2013-07-10", "invalid value"),
        (ZONED, "2013-10-27 02:30", "was shown twice by the clocks of Europe/Berlin"),
        (ZONED, "2013-03-31 02:30", "was never shown by the clocks of Europe/Berlin"),
        (EPOCH | {"unit": "ns"}, "1373450400000000001", "has digits that microseconds do not hold"),
        (EPOCH, "1373450400.1234567", "has digits that microseconds do not hold"),
        (EPOCH, "1373450400000", "is not of the years 1 to 9999 in s"),
        (EPOCH, "1e9", "invalid value"),
        ({"type": "timestamp", "unit": "s"}, AT, "invalid value"),
        ({"type": "timestamp"}, "2013-07-10T10:00:00.123456789Z", "has digits that microseconds do not hold"),
        ({"type": "timestamp"}, "2013-07-10T10:00:00", "expected a zone offset in '2013-07-10T10:00:00'"),
        ({"type": "timestamp"}, "2013-07-10T24:00:00Z", "invalid value"),
        ({"type": "timestamp"}, "2013-07-10T23:59:60Z", "invalid value"),
        ({"type": "timestamp"}, "10000-07-10T10:00:00Z", "invalid value"),
        ({"type": "timestamp"}, "9999-12-31T23:59:59-01:00", "invalid value"),
        ({"type": "timestamp"}, "1373450400", "invalid value"),
        ({"type": "date"}, "2013-07-10T00:00:00", "invalid value"),
    ],
)  # fmt: skip
def test_a_time_that_is_none_or_two_is_set_aside(column, text, reason):
    found = read_content(readings("csv", {"at": column}), f'at,read_at\n"{text}",{AT}\n'.encode(), "file", {})

    assert found.rows.num_rows == 0
    assert reason in found.unreadable[0].reason and text in found.unreadable[0].reason
