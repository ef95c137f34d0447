"""JSON values of records: the same are rows as of a file of JSON lines, and each other has a reason."""

import pyarrow as pa
import pytest

from lakehouse.ingest.source import Source
from lakehouse.ingest.stream.values import TOMBSTONE, JsonReader
from tests.unit.lakehouse.readings import read_content

_TYPES = ("string", "int", "bigint", "double", "boolean", "date", "timestamp")
SOURCE = Source.model_validate(
    {
        "name": "values",
        "description": "Values.",
        "owner": "tests",
        "format": "jsonl",
        "files": "values/values_{delivery}.jsonl",
        "arrives": "live",
        "time_zone": "UTC",
        "reported_time": "a_timestamp",
        "delivery_delay_minutes": 0,
        "keys": ["a_string"],
        "max_bad_share": 1,
        "columns": [{"name": f"a_{kind}", "type": kind, "description": "One."} for kind in _TYPES],
    }
)
GOOD = (
    '"a_string": "x", "a_int": 1, "a_bigint": 2, "a_double": 1.5, "a_boolean": true, '
    '"a_date": "2013-07-10", "a_timestamp": "2013-07-10T10:00:00Z"'
)


def read(*values: bytes | None, schema_id: int | None = None) -> tuple[pa.Table, list[str | None]]:
    return JsonReader(columns=SOURCE.columns, required=SOURCE.required, schema_id=schema_id).read(values)


def changed(column: str, value: str) -> str:
    # A file's reader asks for every column in some line; so each is named here.
    parts = dict(part.split(": ", 1) for part in GOOD.split(", "))
    return "{" + ", ".join(f"{key}: {each}" for key, each in (parts | {f'"{column}"': value}).items()) + "}"


VALUES = {
    "a_int": ["2147483647", "2147483648", "1.0", '"1"', "true", "null"],
    "a_bigint": ["9223372036854775807", "9223372036854775808"],
    "a_double": ["7", "9007199254740993", '"1.5"'],
    "a_boolean": ["0", '"true"'],
    "a_string": ["7", '""', "null", '"é"', "{}"],
    "a_date": ['"2013-02-29"', '"2013-07-10T00:00:00Z"', "20130710"],
    "a_timestamp": [
        '"2013-07-10T10:00:00"',
        "1373450400",
        '"2013-07-10T10:00:00.123456+02:00"',
        '"2013-07-10 10:00:00Z"',
        '"2013-07-10T10:00:00.1234567Z"',
        '"2013-07-10"',
        '"noon"',
        "null",
    ],
}


@pytest.mark.parametrize(
    ("column", "value"), [(column, value) for column, values in VALUES.items() for value in values]
)
def test_a_value_is_a_row_where_a_line_of_a_file_is_the_same_row(column: str, value: str) -> None:
    line = changed(column, value).encode()
    # Beside one that is right, so that none of the file's columns is without a value.
    of_file = read_content(SOURCE, b"{" + GOOD.encode() + b"}\n" + line + b"\n", "values.jsonl", {})

    rows, problems = read(b"{" + GOOD.encode() + b"}", line)

    assert problems[0] is None
    assert (problems[1] is None) == (len(of_file.unreadable) == 0), (problems, of_file.unreadable)
    good = rows.filter(pa.array([problem is None for problem in problems]))
    assert good.to_pylist() == of_file.rows.to_pylist()
    assert good.schema == of_file.rows.schema


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, TOMBSTONE),
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"[1]", "is not an object"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"{" + GOOD.encode() + b', "gust": 1}', "has column gust, which is not declared"),
        (b"{" + GOOD.encode() + b', "a_int": 1}', 'has "a_int" twice in one object'),
        (b"{" + GOOD.encode() + b"} {}", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"a_string": "x"}', "column a_timestamp: has no value, and one is required"),
        (changed("a_string", r'"\ud800"').encode(), "column a_string"),
        (changed("a_double", "1e999").encode(), "column a_double"),
        (changed("a_double", "NaN").encode(), "is not JSON: NaN"),
        (changed("a_int", "1" * 5000).encode(), "is not a value of type int"),
        (
            changed("a_timestamp", '"noon"').encode(),
            'column a_timestamp: "noon" is not a value of type timestamp',
        ),
    ],
)
def test_what_is_no_row_has_its_reason_and_leaves_the_others_alone(value: bytes | None, reason: str) -> None:
    good = b"{" + GOOD.encode() + b"}"

    rows, problems = read(good, value, good)

    assert problems[0] is problems[2] is None
    assert problems[1] is not None and reason in problems[1], problems[1]
    assert rows.num_rows == 3
    assert rows.slice(1, 1).to_pylist() == [dict.fromkeys(rows.column_names)]
    assert rows.column("a_int").to_pylist() == [1, None, 1]


def test_values_of_several_lines_are_rows() -> None:
    rows, problems = read(b"{\n" + GOOD.replace(", ", ",\n").encode() + b"\n}\n")
    assert problems == [None]
    assert rows.column("a_int").to_pylist() == [1]


def test_a_record_of_another_schema_of_the_registry_is_no_row() -> None:
    value = b"{" + GOOD.encode() + b"}"
    _, problems = read(b"\0\0\0\0\7" + value, b"\0\0\0\0\x08" + value, value, schema_id=7)
    assert problems == [
        None,
        "has schema 8 of the registry, and 7 is declared",
        "does not begin with Confluent's header",
    ]
