"""A delivered file is read as declared, to the last value, or refused with the place of what is wrong."""

import io
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.ingest.source import Source
from tests.unit.lakehouse.readings import RefusedFileError, read_rows, readings

TYPES = {
    "station": "string",
    "reading": "int",
    "level": "double",
    "is_valid": "boolean",
    "read_on": "date",
    "read_at": "timestamp",
}
HEADER = "station,reading,level,is_valid,read_on,read_at\n"
CSV_ROW = "A,1,0.5,true,2013-07-10,2013-07-10T10:00:00Z\n"
JSON_ROW = (
    '{"station":"A","reading":1,"level":0.5,"is_valid":true,"read_on":"2013-07-10",'
    '"read_at":"2013-07-10T10:00:00Z"}\n'
)
AT = datetime(2013, 7, 10, 10, tzinfo=UTC)
ROW = {
    "station": "A",
    "reading": 1,
    "level": 0.5,
    "is_valid": True,
    "read_on": date(2013, 7, 10),
    "read_at": AT,
}


def _source(file_format: str, allow_new_columns: bool = False) -> Source:
    return readings(
        file_format, TYPES, keys=["station"], max_bad_share=0.05, allow_new_columns=allow_new_columns
    )


def _parquet(**columns: pa.Array) -> bytes:
    """One row as ROW, with some columns replaced, added, or (None) left out."""
    values = {
        "station": pa.array(["A"]),
        "reading": pa.array([1], pa.int32()),
        "level": pa.array([0.5]),
        "is_valid": pa.array([True]),
        "read_on": pa.array([date(2013, 7, 10)]),
        "read_at": pa.array([AT], pa.timestamp("us", "UTC")),
    } | columns
    sink = io.BytesIO()
    pq.write_table(pa.table({name: column for name, column in values.items() if column is not None}), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("file_format", "content"),
    [
        ("csv", (HEADER + CSV_ROW).encode()),
        ("csv", ("\ufeff" + HEADER + CSV_ROW).encode()),
        (
            "csv",
            b"read_at,read_on,is_valid,level,reading,station\n2013-07-10T12:00:00+02:00,2013-07-10,true,.5,1,A\n",
        ),
        ("jsonl", JSON_ROW.encode()),
        ("jsonl", JSON_ROW.replace("10:00:00Z", "12:00:00+02:00").encode()),
        ("parquet", _parquet()),
        ("parquet", _parquet(reading=pa.array([1], pa.int64()), level=pa.array([0.5], pa.float32()))),
        ("parquet", _parquet(station=pa.array(["A"]).dictionary_encode())),
        ("parquet", _parquet(read_at=pa.array([AT], pa.timestamp("ms", "America/New_York")))),
    ],
)
def test_a_file_as_declared_is_read_to_the_last_value(file_format, content):
    source = _source(file_format)

    rows = read_rows(source, content, "file", {})

    assert rows.schema == source.arrow_schema
    assert rows.to_pylist() == [ROW]


@pytest.mark.parametrize(
    ("file_format", "content"),
    [
        ("csv", (HEADER + "A,,,,,2013-07-10T10:00:00Z\n").encode()),
        (
            "jsonl",
            b'{"station":"A","read_at":"2013-07-10T10:00:00Z","reading":null,"level":null,"is_valid":null,"read_on":null}\n',
        ),
        ("parquet", _parquet(**{name: pa.nulls(1, pa.int32()) for name in ["reading"]})),
    ],
)
def test_a_value_that_is_not_required_may_be_missing(file_format, content):
    rows = read_rows(_source(file_format), content, "file", {})

    assert rows.column("reading").to_pylist() == [None]


@pytest.mark.parametrize(
    ("file_format", "content"), [("csv", HEADER.encode()), ("jsonl", b""), ("parquet", None)]
)
def test_a_delivery_may_have_no_rows(file_format, content):
    source = _source(file_format)
    if content is None:
        sink = io.BytesIO()
        pq.write_table(source.arrow_schema.empty_table(), sink)
        content = sink.getvalue()

    assert read_rows(source, content, "file", {}).num_rows == 0


CSV_CASES = {
    "empty": ("", "is empty"),
    "wrong type": (
        HEADER + CSV_ROW + CSV_ROW.replace(",1,", ",one,"),
        "line 3, column reading: .*'one', declared int",
    ),
    "fraction in an int": (HEADER + CSV_ROW.replace(",1,", ",1.0,"), "line 2, column reading: .*'1.0'"),
    "too large for an int": (HEADER + CSV_ROW.replace(",1,", ",3000000000,"), "line 2, column reading"),
    "time without zone": (
        HEADER + CSV_ROW.replace("00Z", "00"),
        "line 2, column read_at: expected a zone offset",
    ),
    "wrong date": (HEADER + CSV_ROW.replace("-10,", "-32,"), "line 2, column read_on"),
    "value missing in a row": (HEADER + CSV_ROW + "A,1\n", "line 3 has 2 values, the header has 6"),
    "value too many in a row": (HEADER + "B," + CSV_ROW, "line 2 has 7 values, the header has 6"),
    "column missing": (HEADER.replace(",level", "") + CSV_ROW.replace(",0.5", ""), "lacks column level"),
    "column not declared": (
        HEADER.replace("station", "station,x") + "y," + CSV_ROW,
        "has column x, which is not",
    ),
    "column twice": (HEADER.replace("level", "reading") + CSV_ROW, "column reading stands there twice"),
    "key without value": (HEADER + CSV_ROW + CSV_ROW[1:], "row 2, column station: has no value"),
    "cut off": (HEADER + CSV_ROW[:-3], "line 2 has no line break at its end: the file was cut off"),
}
JSON_CASES = {
    "cut in the middle": (JSON_ROW + JSON_ROW[:40], "line 2 is cut off"),
    "cut at the end": (JSON_ROW + JSON_ROW[:-1], "line 2 has no line break at its end: the file was cut off"),
    "not JSON": (JSON_ROW + "station A\n" + JSON_ROW, "line 2 is not JSON"),
    "not an object": (JSON_ROW + "[1]\n", "line 2 is not an object"),
    "two objects on a line": (JSON_ROW.strip() + JSON_ROW, "line 1 is not JSON"),
    "wrong type": (
        JSON_ROW + JSON_ROW.replace(":1,", ':"1",'),
        'line 2, column reading: "1" is not a value of type int',
    ),
    "fraction in an int": (JSON_ROW.replace(":1,", ":1.5,"), "line 1, column reading: 1.5"),
    "too large for an int": (JSON_ROW.replace(":1,", ":3000000000,"), "line 1, column reading: 3000000000"),
    "number in a string": (
        JSON_ROW.replace('"A"', "5"),
        "line 1, column station: 5 is not a value of type string",
    ),
    "time without zone": (JSON_ROW.replace("00Z", "00"), "line 1, column read_at"),
    "wrong date": (JSON_ROW.replace('-10",', '-32",'), "line 1, column read_on"),
    "field missing everywhere": (JSON_ROW.replace('"level":0.5,', ""), "lacks column level"),
    "field not declared": (
        JSON_ROW.replace('"level"', '"x":5,"level"'),
        "has column x, which is not declared",
    ),
    "key without value": (JSON_ROW + JSON_ROW.replace('"A"', "null"), "row 2, column station: has no value"),
}
PARQUET_CASES = {
    "empty": (b"", "is empty"),
    "cut off": (_parquet()[:200], "is cut off or damaged"),
    "footer only": (_parquet()[-100:], "is cut off or damaged"),
    "wrong type": (_parquet(reading=pa.array(["1"])), "column reading is string, declared int"),
    "fraction in an int": (_parquet(reading=pa.array([1.0])), "column reading is double, declared int"),
    "too large for an int": (_parquet(reading=pa.array([3_000_000_000])), "column reading does not fit int"),
    "time without zone": (
        _parquet(read_at=pa.array([AT.replace(tzinfo=None)])),
        r"column read_at is timestamp\[us\]",
    ),
    "column missing": (_parquet(level=None), "lacks column level"),
    "column not declared": (_parquet(x=pa.array([1])), "has column x, which is not declared"),
    "key without value": (
        _parquet(station=pa.array([None], pa.string())),
        "row 1, column station: has no value",
    ),
}


@pytest.mark.parametrize(
    ("file_format", "content", "reason"),
    [
        pytest.param(file_format, content, reason, id=f"{file_format}: {name}")
        for file_format, cases in (("csv", CSV_CASES), ("jsonl", JSON_CASES), ("parquet", PARQUET_CASES))
        for name, (content, reason) in cases.items()
    ],
)
def test_a_file_that_is_not_as_declared_is_refused_by_name_and_place(file_format, content, reason):
    raw = content.encode() if isinstance(content, str) else content

    with pytest.raises(RefusedFileError, match=reason) as refused:
        read_rows(_source(file_format), raw, "readings/readings_2013-07-10", {})

    assert str(refused.value).startswith("readings/readings_2013-07-10: ")


def test_a_parquet_file_cut_anywhere_is_refused():
    whole = _parquet()

    for end in range(0, len(whole), 97):
        with pytest.raises(RefusedFileError):
            read_rows(_source("parquet"), whole[:end], "file", {})


@pytest.mark.parametrize(
    ("file_format", "content", "expected"),
    [
        ("csv", HEADER.replace("station", "x,station") + "7," + CSV_ROW, pa.string()),
        ("jsonl", JSON_ROW.replace('"level"', '"x":7,"level"'), pa.float64()),
        ("jsonl", JSON_ROW.replace('"level"', '"x":"2013-07-10","level"'), pa.string()),
        ("parquet", _parquet(x=pa.array([7.0], pa.float32())), pa.float64()),
    ],
    ids=["text in CSV", "numbers of JSON are fractions", "a date in JSON is text", "as Parquet has it"],
)
def test_a_new_column_is_taken_up_where_the_declaration_allows_it(file_format, content, expected):
    raw = content.encode() if isinstance(content, str) else content

    rows = read_rows(_source(file_format, allow_new_columns=True), raw, "file", {})

    assert rows.column_names == [*TYPES, "x"]
    assert rows.column("x").type == expected


@pytest.mark.parametrize(
    ("new", "taken_up", "reason"),
    [
        ('"x":7', {"x": "string"}, "column x is int64, declared string"),
        ('"x":[7]', {}, "new column x is list"),
        ('"X y":7', {}, "has no name of the form"),
    ],
)
def test_a_new_column_that_does_not_fit_bronze_is_refused(new, taken_up, reason):
    content = JSON_ROW.replace('"level"', f'{new},"level"').encode()

    with pytest.raises(RefusedFileError, match=reason):
        read_rows(_source("jsonl", allow_new_columns=True), content, "file", taken_up)


def test_whole_numbers_go_into_a_new_column_of_fractions():
    content = JSON_ROW.replace('"level"', '"x":7,"level"').encode()

    rows = read_rows(_source("jsonl", allow_new_columns=True), content, "file", {"x": "double"})

    assert rows.column("x").to_pylist() == [7.0]
