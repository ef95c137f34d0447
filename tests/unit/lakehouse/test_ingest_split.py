"""Rows that cannot be read are set aside as text with their reason; the others are read as ever."""

import io
import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.ingest.source import Source
from tests.unit.lakehouse.readings import RefusedFileError, read_content, read_rows, readings

HEADER = b"station,reading,read_at\n"
START = datetime(2013, 7, 10, tzinfo=UTC)


def _source(file_format: str, **changes: object) -> Source:
    types = {"station": "string", "reading": "int"}
    return readings(file_format, types, **({"keys": ["station"], "max_bad_share": 0.05} | changes))


def _rows(count: int) -> list[dict[str, object]]:
    return [
        {"station": "A", "reading": number, "read_at": f"{START + timedelta(minutes=number):%Y-%m-%dT%H:%MZ}"}
        for number in range(count)
    ]


def _csv(count: int) -> list[bytes]:
    return [",".join(map(str, row.values())).encode() + b"\n" for row in _rows(count)]


def _json(count: int) -> list[bytes]:
    return [json.dumps(row).encode() + b"\n" for row in _rows(count)]


BAD_CSV = {
    "a word for a number": (
        b"A,seven,2013-07-10T00:07Z\n",
        "column reading: invalid value 'seven', declared int",
    ),
    "a value too many": (b"A,7,2013-07-10T00:07Z,\n", "has 4 values, the header has 3 columns"),
    "a value too few": (b"A,7\n", "has 2 values, the header has 3 columns"),
    "a time without a zone": (b"A,7,2013-07-10T00:07\n", "column read_at: expected a zone offset"),
    "no key": (b",7,2013-07-10T00:07Z\n", "column station: has no value, and one is required"),
    "not UTF-8": (b"Z\xfcrich,7,2013-07-10T00:07Z\n", "is not UTF-8"),
    "a quote that is never closed": (b'"A,7,2013-07-10T00:07Z\n', "has a quote that is not closed"),
}
BAD_JSON = {
    "a fraction for a number": (
        b'{"station":"A","reading":1.0,"read_at":"2013-07-10T00:07Z"}\n',
        "column reading: 1.0 is not a value of type int",
    ),
    "no event time": (
        b'{"station":"A","reading":1}\n',
        "column read_at: has no value, and one is required",
    ),
    "not JSON": (b'{"station":"A","reading":1 "read_at":"2013-07-10T00:07Z"}\n', "is not JSON"),
    "not an object": (b"[1]\n", "is not an object"),
    "not UTF-8": (b'{"station":"Z\xfcrich","reading":1,"read_at":"2013-07-10T00:07Z"}\n', "is not UTF-8"),
}


@pytest.mark.parametrize(
    ("file_format", "raw", "reason"),
    [
        pytest.param(file_format, raw, reason, id=f"{file_format}: {name}")
        for file_format, cases in (("csv", BAD_CSV), ("jsonl", BAD_JSON))
        for name, (raw, reason) in cases.items()
    ],
)
def test_a_bad_row_is_set_aside_with_line_text_and_reason(file_format, raw, reason):
    lines = (_csv if file_format == "csv" else _json)(30)
    header = HEADER if file_format == "csv" else b""
    content = header + b"".join([*lines[:7], raw, *lines[7:]])

    found = read_content(_source(file_format), content, "file", {})

    assert found.rows.equals(read_rows(_source(file_format), header + b"".join(lines), "file", {}))
    assert [row.line for row in found.unreadable] == [9 if file_format == "csv" else 8]
    assert found.unreadable[0].raw == raw.decode(errors="backslashreplace").strip()
    assert reason in found.unreadable[0].reason
    assert found.delivered == 31


def test_a_row_of_several_lines_is_one_row():
    lines = _csv(30)
    lines[3] = b'"Spring\nfield",3,2013-07-10T00:03Z\n'
    lines[5] = b'"Shelby""\nville",five,2013-07-10T00:05Z\n'

    found = read_content(_source("csv"), HEADER + b"".join(lines), "file", {})

    assert found.rows.num_rows == 29
    assert found.rows.column("station")[3].as_py() == "Spring\nfield"
    assert [(row.line, row.raw) for row in found.unreadable] == [
        (8, '"Shelby""\nville",five,2013-07-10T00:05Z')
    ]


def test_a_row_of_parquet_is_set_aside_as_json():
    rows = pa.table(
        {
            "station": pa.array([*["A"] * 29, None]),
            "reading": pa.array([*range(28), 2**40, 29], pa.int64()),
            "read_at": pa.array([START] * 30, pa.timestamp("us", "UTC")),
        }
    )
    sink = io.BytesIO()
    pq.write_table(rows, sink)

    found = read_content(_source("parquet", max_bad_share=0.1), sink.getvalue(), "file", {})

    assert found.rows.column("reading").to_pylist() == list(range(28))
    assert [(row.line, json.loads(row.raw)["reading"]) for row in found.unreadable] == [(29, 2**40), (30, 29)]


@pytest.mark.parametrize(
    ("share", "bad", "lands"), [(0.1, 3, True), (0.1, 4, False), (0, 1, False), (1, 30, True)]
)
def test_a_file_is_refused_past_the_declared_share(share, bad, lands):
    lines = [line.replace(b",", b",x", 1) if number < bad else line for number, line in enumerate(_csv(30))]
    source = _source("csv", max_bad_share=share)

    if lands:
        found = read_content(source, HEADER + b"".join(lines), "file", {})
        assert (found.rows.num_rows, len(found.unreadable)) == (30 - bad, bad)
    else:
        with pytest.raises(
            RefusedFileError, match=f"line 2, column reading: .*more than {100 * share:g}% of its 30"
        ):
            read_content(source, HEADER + b"".join(lines), "file", {})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"station,reading\nA,1\nA,x\n", "lacks column read_at"),
        (HEADER + _csv(1)[0] * 30 + b"A,1,2013", "has no line break at its end"),
        (
            HEADER.replace(b"\n", b",x\n") + b"A,1,2013-07-10T00:00Z,1\n",
            "has column x, which is not declared",
        ),
    ],
)
def test_what_is_wrong_with_the_whole_file_refuses_it(content, reason):
    with pytest.raises(RefusedFileError, match=reason):
        read_content(_source("csv", max_bad_share=1), content, "file", {})


NUMBERS = _source("jsonl", allow_new_columns=True)


@pytest.mark.parametrize("number", ["18446744073709551615", "9007199254740993", "0.12345678901234567891"])
@pytest.mark.parametrize("taken_up", [{}, {"gust": "double"}])
def test_a_new_number_that_a_double_would_round_is_refused_by_name(number, taken_up):
    lines = [line.replace(b"}", b', "gust": 0.5}') for line in _json(30)]
    lines[4] = lines[4].replace(b"0.5", number.encode())

    found = read_content(NUMBERS, b"".join(lines), "file", taken_up)

    assert found.rows.column("gust").to_pylist() == [0.5] * 29
    assert [row.line for row in found.unreadable] == [5]
    assert "column gust: " in found.unreadable[0].reason and "declare it" in found.unreadable[0].reason
    with pytest.raises(RefusedFileError, match=r"line 1, column gust: .* is not exact as a double"):
        read_content(NUMBERS, lines[4], "file", taken_up)


def test_a_large_number_that_a_double_holds_is_taken_up():
    found = read_content(NUMBERS, _json(1)[0].replace(b"}", b', "gust": 9007199254740994}'), "file", {})

    assert found.rows.column("gust").to_pylist() == [9007199254740994.0]


def test_whole_numbers_and_fractions_of_a_new_column_come_in_any_order():
    whole, fraction = (_json(1)[0].replace(b"}", b', "gust": %s}' % number) for number in (b"7", b"7.5"))
    taken_up: dict[str, str] = {}

    for line, expected in ((whole, 7.0), (fraction, 7.5), (whole, 7.0)):
        rows = read_content(NUMBERS, line, "file", taken_up).rows
        assert rows.column("gust").to_pylist() == [expected]
        taken_up = {"gust": "double"}


def test_one_value_of_another_kind_in_a_taken_up_column_costs_its_row():
    lines = [line.replace(b"}", b', "gust": 7}') for line in _json(30)]
    lines[4] = lines[4].replace(b"7}", b'"strong"}')

    found = read_content(NUMBERS, b"".join(lines), "file", {"gust": "double"})

    assert found.rows.num_rows == 29
    assert [(row.line, row.reason) for row in found.unreadable] == [
        (5, "column gust is string, declared double")
    ]


def test_a_column_may_have_another_name_in_bronze():
    precise = {"name_in_file": "reading", "type": "double"}
    types = {"station": "string", "reading_precise": precise}
    for file_format, content in (("csv", HEADER + _csv(1)[0]), ("jsonl", _json(1)[0])):
        found = read_content(readings(file_format, types), content, "file", {})
        assert found.rows.column_names == ["station", "reading_precise", "read_at"]
        assert found.rows.column("reading_precise").to_pylist() == [0.0]


@given(
    st.lists(st.sampled_from(["A,1", "A,x", '"A\nB",2', '"A""B",x', ",3", "A,5,6", 'A"B,7']), max_size=25),
    st.sampled_from(["\n", "\r\n"]),
)
def test_each_row_is_read_or_set_aside_whatever_stands_beside_it(values, line_end):
    source = _source("csv", max_bad_share=1)
    lines = [f"{value},2013-07-10T00:00Z{line_end}".encode() for value in values]

    found = read_content(source, HEADER + b"".join(lines), "file", {})

    assert found.delivered == len(values)
    good = [line for line, value in zip(lines, values, strict=True) if value in ("A,1", '"A\nB",2', 'A"B,7')]
    assert found.rows.equals(read_rows(source, HEADER + b"".join(good), "file", {}))
