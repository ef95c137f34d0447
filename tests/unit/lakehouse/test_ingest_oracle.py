"""The fast readers against slow, obvious ones: the same rows, the same refusals, whatever the blocks."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lakehouse.ingest.dialect import Csv
from lakehouse.ingest.read import json as json_reader
from lakehouse.ingest.read.csv import cells
from lakehouse.ingest.read.records import cut
from tests.unit.lakehouse.readings import AT, read_content, readings
from tests.unit.lakehouse.slow_reader import BAD, csv_rows, json_row, value_of

KINDS = {
    "a": "string", "b": "int", "c": "bigint", "d": "double", "e": "boolean", "f": "date", "g": "timestamp",
    "h": "decimal(12,2)",
}  # fmt: skip
DIALECTS = [
    {},
    {"delimiter": ";", "quote": "'"},
    {"delimiter": "|", "escape": "\\"},
    {"quote": None, "delimiter": "\t"},
    {"quote": None, "escape": "\\"},
    {"comment": "#", "null_values": ["", "NA"]},
    {"multiline": "allowed"},
    {"multiline": "allowed", "escape": "\\", "comment": "#"},
]


NASTY = [
    "", "0", "-0", "7", "007", "+5", " 5", "5 ", "\t5", "0x1F", "1e3", "1.0", "1_000", "1,000",
    "2147483647", "2147483648", "-2147483648", "-2147483649", "9223372036854775807",
    "9223372036854775808", "9007199254740993", "0000000000000000000000000000005", "NaN", "nan", "inf",
    "-Infinity", "1e400", "1e-400", "0e-400", ".5", "5.", ".", "-", "1e", "0.1", "12345678901.23",
    "1234567890.12", "1234567890.123", "1.2300", "1E+3", "12e-1", "1e-30",
    "123456789012345678901234567890123456789", "0.00000000000000000000000000000000000000000000000000001",
    "true", "True", "TRUE", "T", "yes", "1", "false", " true", "2013-07-10", "2013-7-10", "2013-02-29",
    "2012-02-29", "0000-01-01", "0001-01-01", "9999-12-31", "10000-01-01", "20130710",
    "2013-07-10T10:00Z", "2013-07-10 10:00:00+01", "2013-07-10T10Z", "2013-07-10T10:00:00",
    "2013-07-10T24:00:00Z", "2013-07-10T23:59:60Z", "2013-06-31T00:00:00Z",
    "2013-07-10T10:00:00.123456789Z", "2013-07-10T10:00:00.123456000Z", "2013-07-10T10:00:00.1+0530",
    "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2013-07-10T10:00:00+24:00",
    "2013-07-10T10:00:00+01:60", "\u0663", "\uff17", "Zürich", "NA", "é", "\u00a05", "null", "None",
]  # fmt: skip


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(st.sampled_from(NASTY), min_size=len(KINDS), max_size=len(KINDS)), max_size=6))
def test_values_of_csv_are_those_of_the_slow_reader(rows):
    source = readings("csv", KINDS)
    head = ",".join([*KINDS, "read_at"]) + "\n"
    lines = [
        ",".join([*(f'"{value}"' if "," in value else value for value in row), AT]) + "\n" for row in rows
    ]

    found = read_content(source, (head + "".join(lines)).encode(), "file", {})

    expected, bad = [], []
    for number, row in enumerate(rows, start=2):
        values = [
            None if text == "" else value_of(text, kind)
            for text, kind in zip(row, KINDS.values(), strict=True)
        ]
        if any(value is BAD for value in values):
            bad.append(number)
        else:
            expected.append(values)
    assert _values(found.rows, KINDS) == list(map(_shown, expected))
    assert [row.line for row in found.unreadable] == bad


def _values(rows, kinds):
    return [_shown([row[name] for name in kinds]) for row in rows.to_pylist()]


def _shown(row):
    return [f"{type(value).__name__} {value}" for value in row]


CHARACTERS = st.sampled_from(
    [*",;|\t\"'\\\n\r#aN1 \0\ufeffé", "\n", "\r\n", "NA", '""', "x,y\n", 'x,"y"\n', "x;'"]
)


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(DIALECTS), st.lists(CHARACTERS, max_size=30), st.integers(1, 40))
@example({"delimiter": ";", "quote": "'"}, ["x;'", "\r", ",", "\n", "x;'"], 1)
def test_rows_of_csv_are_those_of_the_slow_reader_however_they_are_cut(dialect, parts, size):
    text = "".join(parts) + "\n"

    assert _read_in_blocks(Csv(**dialect), text.encode(), size) == csv_rows(text, 2, dialect)


def _read_in_blocks(dialect: Csv, body: bytes, size: int):
    """Rows as text, and the others with their lines; as few bytes are looked at as rows allow."""
    good, bad = [], []
    line, rest, at = 1, b"", 0
    while at < len(body):
        at, rest = at + size, rest + body[at : at + size]
        whole = cut(dialect, rest, final=at >= len(body))
        block, rest = rest[:whole], rest[whole:]
        found = cells(dialect, block, line, 2)
        rows = enumerate(found.texts.to_pylist())
        good += [list(row.values()) for index, row in rows if index not in found.bad]
        records = found.records() if found.bad else []
        bad += [(records[index].line, records[index].raw) for index in sorted(found.bad)]
        line += block.count(b"\n")
    assert not rest
    return good, [(number, raw.decode().removesuffix("\n")) for number, raw in bad]


JSON_VALUES = st.sampled_from(
    [
        "null", "true", "false", "0", "-0", "1", "-1", "1.0", "1e3", "2147483648", "9223372036854775808",
        "1e400", "1e-400", "9007199254740993", "0.1", "12.345", "NaN", "-Infinity", "01", "+1", ".5", "1.",
        '""', '"1"', '"2013-07-10"', '"2013-02-29"', f'"{AT}"', '"2013-07-10T10:00:00"', '"12.34"', '"1e2"',
        '"2013-07-10T10:00:00.123456789Z"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"a\tb"', '" 7"',
        "[]", "[1]", "{}", '{"a": 1, "a": 2}', "tru", "", "123456789012345678901234567890", "1e5000", "-0.0",
        '"Zürich"', '"\\n"', "1E2",
    ]
)  # fmt: skip
LINES = st.one_of(
    st.lists(JSON_VALUES, min_size=len(KINDS), max_size=len(KINDS)),
    st.sampled_from(
        [
            f'{{"read_at": "{AT}", "b": 7}}', f'{{"read_at": "{AT}"}}{{"read_at": "{AT}"}}', "[]",
            "null", "{", "7", f' {{"read_at": "{AT}", "b": 7}}\t', f'{{"read_at": "{AT}", "b":', '8}',
            "{}", f'{{"read_at": "{AT}",}}', f'{{"read_at": "{AT}"}} x', f'\ufeff{{"read_at": "{AT}"}}',
            f'{{"read_at": "{AT}", "b": 1, "b": 2}}', f'\u00a0{{"read_at": "{AT}"}}',
            f'{{"read_at": "{AT}", /* x */ "b": 1}}', f'{{"read_at": "{AT}"}} null {{}}',
        ]
    ),
)  # fmt: skip


def _line(found: str | list[str], names: list[str]) -> str:
    if isinstance(found, str):
        return found
    fields = "".join(f'"{name}": {value}, ' for name, value in zip(names, found, strict=False))
    return f'{{{fields}"read_at": "{AT}"}}'


@pytest.mark.parametrize("names", [[*KINDS], [*KINDS][:-1]], ids=["with a decimal", "without"])
@settings(deadline=None, max_examples=150)
@given(found=st.lists(LINES, max_size=4))
def test_lines_of_json_are_those_of_the_slow_reader(names, found):
    kinds = {name: KINDS[name] for name in names}
    lines = [_line(each, names) for each in found]

    read = json_reader.read_block(
        readings("jsonl", kinds), "".join(f"{line}\n" for line in lines).encode(), 1, {}
    )

    columns = kinds | {"read_at": "timestamp"}
    rows = [json_row(line, columns) for line in lines]
    rows = [BAD if row is not BAD and row[-1] is None else row for row in rows]
    assert _values(read.rows, columns) == [_shown(row) for row in rows if row is not BAD]
    assert [row.line for row in read.unreadable] == [at for at, row in enumerate(rows, 1) if row is BAD]


DEEP = {
    "x": {"type": "int", "path": "p.x"},
    "y": {"type": "string", "path": "p.q.y"},
    "z": {"type": "array<int>", "path": "p.z"},
    "w": {"type": "array<double>"},
    "u": {"type": "timestamp", "unit": "ms", "path": "u"},
}
ANYTHING = st.recursive(
    st.sampled_from([None, True, 1, -7, 2**31, 2**53 + 1, 0.5, 1e300, "", "a", "1", AT, 1373450400000]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("pqxyzwu"), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.dictionaries(st.sampled_from("pwu"), ANYTHING, max_size=3), max_size=3))
def test_nested_json_is_the_same_whether_arrow_reads_it_or_not(objects):
    source = readings("jsonl", DEEP)
    block = "".join(json.dumps(each | {"read_at": AT}) + "\n" for each in objects).encode()

    read = json_reader.read_block(source, block, 1, {})

    assert read == json_reader.read_line_by_line(source, block, 1, {})
