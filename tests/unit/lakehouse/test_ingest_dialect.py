"""Files in other dialects are read as declared; what no one has declared is refused, never guessed."""

from typing import Any

import pytest

from lakehouse.ingest.read.csv import header, read_block
from lakehouse.ingest.read.encoding import Transcoder
from lakehouse.ingest.read.records import LONGEST_RECORD, cut
from lakehouse.ingest.source import Source
from tests.unit.lakehouse.readings import AT, RefusedFileError, read_content, read_rows, readings, values_of


def _source(types: dict[str, Any], csv: dict[str, Any] | None = None) -> Source:
    return readings("csv", types, csv=csv or {})


TEXT = {"station": "string", "level": "double"}
HEAD = "station,level,read_at\n"


@pytest.mark.parametrize(
    ("csv", "content", "expected"),
    [
        ({"delimiter": ";"}, f"station;level;read_at\nA,B;0.5;{AT}\n", [["A,B", 0.5]]),
        ({"delimiter": "\t"}, f"station\tlevel\tread_at\nA\t0.5\t{AT}\n", [["A", 0.5]]),
        ({"quote": "'"}, f"{HEAD}'A,''B''',0.5,{AT}\n", [["A,'B'", 0.5]]),
        ({"quote": None}, f'{HEAD}"A",0.5,{AT}\n', [['"A"', 0.5]]),
        ({"escape": "\\"}, f'{HEAD}"A \\"B\\", C",0.5,{AT}\n', [['A "B", C', 0.5]]),
        ({"escape": "\\"}, f"{HEAD}A\\,B,0.5,{AT}\n", [["A,B", 0.5]]),
        ({"encoding": "latin-1"}, f"{HEAD}Zürich,0.5,{AT}\n".encode("latin-1"), [["Zürich", 0.5]]),
        ({"encoding": "cp1252"}, f"{HEAD}5 €,0.5,{AT}\n".encode("cp1252"), [["5 €", 0.5]]),
        ({"encoding": "utf-16"}, f"{HEAD}Zürich,0.5,{AT}\n".encode("utf-16"), [["Zürich", 0.5]]),
        ({"encoding": "utf-16-be"}, f"{HEAD}Zürich,0.5,{AT}\n".encode("utf-16-be"), [["Zürich", 0.5]]),
        ({"encoding": "shift_jis"}, f"{HEAD}表,0.5,{AT}\n".encode("shift_jis"), [["表", 0.5]]),
        ({}, f"\ufeff{HEAD}A,0.5,{AT}\n", [["A", 0.5]]),
        ({"decimal": ",", "delimiter": ";"}, f"station;level;read_at\nA;1,5;{AT}\n", [["A", 1.5]]),
        ({"decimal": ",", "thousands": ".", "delimiter": ";"}, f"station;level;read_at\nA;1.234.567,5;{AT}\n",
         [["A", 1234567.5]]),
        ({"thousands": ","}, f'{HEAD}A,"1,234",{AT}\n', [["A", 1234.0]]),
        ({"null_values": ["", "NA", "-"]}, f'{HEAD}NA,-,{AT}\n"NA",,{AT}\n', [[None, None], ["NA", None]]),
        ({"header": False}, f"A,0.5,{AT}\n", [["A", 0.5]]),
        ({"comment": "#"}, f"# made by x\n{HEAD}# a,b\nA#,0.5,{AT}\n", [["A#", 0.5]]),
        ({"skip_lines": 2}, f'Report\n"from 2013\n{HEAD}A,0.5,{AT}\n', [["A", 0.5]]),
        ({"line_end": "cr"}, f"{HEAD}A,0.5,{AT}\n".replace("\n", "\r"), [["A", 0.5]]),
        ({}, f"{HEAD}A,0.5,{AT}\n".replace("\n", "\r\n"), [["A", 0.5]]),
        ({}, f'{HEAD}"A\r\nB",0.5,{AT}\r\n', [["A\r\nB", 0.5]]),
        ({"multiline": "allowed"}, f'{HEAD}"A,1,2\nB,3,4",0.5,{AT}\n', [["A,1,2\nB,3,4", 0.5]]),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_file_is_read_in_its_declared_dialect(csv, content, expected):
    assert values_of(_source(TEXT, csv), content) == expected


@pytest.mark.parametrize(
    ("csv", "content", "reason"),
    [
        ({}, f"{HEAD}A,0.5,{AT}\n".encode("utf-16"), "begins with the byte-order mark of UTF-16"),
        ({"encoding": "latin-1"}, f"\ufeff{HEAD}A,0.5,{AT}\n", "begins with the byte-order mark of UTF-8"),
        ({"encoding": "utf-16"}, f"{HEAD}A,0.5,{AT}\n".encode("utf-16-le"), "declare encoding utf-16-le or"),
        ({}, f"station,level,read_at,\nA,0.5,{AT},\n", "its header has no name for column 4"),
        ({}, f",station,level,read_at\n0,A,0.5,{AT}\n", "its header has no name for column 1: .*index"),
        (
            {},
            f"Station,level,read_at\nA,0.5,{AT}\n",
            r"lacks column station \(it has 'Station': name_in_file",
        ),
        ({}, f"station, level,read_at\nA,0.5,{AT}\n", r"lacks column level \(it has ' level': name_in_file"),
        ({}, f"\n{HEAD}A,0.5,{AT}\n", "line 1 is blank"),
        ({}, f"{HEAD}A,0.5,{AT}\n".replace("\n", "\r"), "has no line break at its end"),
        ({"skip_lines": 9}, f"{HEAD}A,0.5,{AT}\n", "has 3 lines, and no header"),
        ({}, b"\xfc,level,read_at\n", "its header is not UTF-8"),
        ({}, 'station,"level,read_at\n', "its header has a quote that is not closed"),
    ],
)
def test_a_file_in_another_dialect_is_refused(csv, content, reason):
    raw = content.encode() if isinstance(content, str) else content

    with pytest.raises(RefusedFileError, match=reason):
        read_rows(_source(TEXT, csv), raw, "file", {})


@pytest.mark.parametrize(
    ("csv", "rows", "bad"),
    [
        # Quotes that open and close in different rows: B and C are no text in A.
        ({}, 'A,1,{at}\n"5 in. pipe,2,{at}\nC,2,{at}\n5 in. pipe",2,{at}\nE,3,{at}\n',
         {3: "rows, too", 4: "rows, too", 5: "rows, too"}),
        ({}, 'A,1,{at}\n"5 in,2,{at}\nC,"2,{at}\nE,3,{at}\n', {3: "(lines 3 to 4)", 4: "(lines 3 to 4)"}),
        ({}, 'A,"1,{at}\nB,2,{at}\n', {2: "a quote that is not closed"}),
        ({}, '"A"x,1,{at}\nB,2,{at}\n', {2: "has text behind a closing quote"}),
        ({}, '"A" ,1,{at}\nB,2,{at}\n', {2: "has text behind a closing quote"}),
        ({"escape": "\\"}, '"A""B",1,{at}\nB,2,{at}\n', {2: "has text behind a closing quote"}),
        ({"multiline": "never"}, '"A\nB",1,{at}\nB,2,{at}\n', {2: "not closed on its line"}),
        ({}, "A\rB,1,{at}\nB,2,{at}\n", {2: "has a carriage return within a value"}),
        ({}, "A\0,1,{at}\nB,2,{at}\n", {2: "has a NUL byte"}),
        ({}, "A,1,{at}\n\ufeffB,2,{at}\n", {3: "begins with a byte-order mark: files were joined"}),
        ({"decimal": ","}, "A,1.5,{at}\n", {2: "invalid value '1.5'"}),
        ({"thousands": " "}, "A,1 23,{at}\nB,12 345,{at}\n", {2: "invalid value '1 23'"}),
        ({}, "A,NA,{at}\n", {2: "invalid value 'NA'"}),
        ({}, "A,NaN,{at}\nB,inf,{at}\n", {2: "allow_inf_nan", 3: "allow_inf_nan"}),
        ({}, "C,1e400,{at}\nD,1e-400,{at}\n", {2: "beyond what a double holds", 3: "beyond"}),
        ({}, "A,9007199254740993,{at}\nB,9007199254740994,{at}\n", {2: "is not exact as a double"}),
        ({"comment": "#"}, " # not one,1,{at},x\n", {2: "has 4 values, the header has 3 columns"}),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_row_that_one_would_have_to_guess_is_set_aside(csv, rows, bad):
    content = HEAD + rows.replace("{at}", AT)

    found = read_content(_source(TEXT, csv), content.encode(), "file", {})

    assert [row.line for row in found.unreadable] == list(bad)
    for row in found.unreadable:
        assert bad[row.line] in row.reason
        assert row.raw == content.split("\n")[row.line - 1].removesuffix("\r")


def test_a_byte_that_is_not_of_the_encoding_costs_its_row():
    content = f"{HEAD}5 €,1,{AT}\nx\x81,2,{AT}\n".encode("cp1252", errors="replace").replace(b"x?", b"x\x81")

    found = read_content(_source(TEXT, {"encoding": "cp1252"}), content, "file", {})

    assert found.rows.column("station").to_pylist() == ["5 €"]
    assert [(row.line, row.raw, row.reason) for row in found.unreadable] == [
        (3, f"x\\x81,2,{AT}", "is not cp1252")
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "shift_jis", "latin-1", "utf-8-sig", "gb18030"])
def test_an_encoding_is_decoded_whatever_the_blocks(encoding):
    text = "Straße 5, 表\nß\n" if encoding not in ("latin-1", "shift_jis") else "Strasse 5, A\nB\n"
    raw = text.encode(encoding)
    transcoder = Transcoder("utf-8-sig" if encoding == "utf-8-sig" else encoding)

    blocks = [transcoder.decode(raw[at : at + 1]) for at in range(len(raw))]

    assert b"".join([*blocks, transcoder.decode(b"", final=True)]).decode() == text


def test_the_parts_of_a_reader_of_blocks():
    source = _source(TEXT, {"comment": "#", "encoding": "utf-16", "skip_lines": 1})
    raw = f'Report\n# note\n{HEAD}A,0.5,{AT}\n"B\nC",x,{AT}\n'.encode("utf-16")

    text = Transcoder(source.csv.encoding).decode(raw, final=True)
    head = header(source, text)
    whole = cut(source.csv, text[head.size : -5])
    block = read_block(source, head.names, text[head.size :], head.lines + 1, {})

    assert head.names == ["station", "level", "read_at"] and head.lines == 3
    assert text[head.size :][:whole].decode() == f"A,0.5,{AT}\n"
    assert [(row.line, row.raw) for row in block.unreadable] == [(5, f'"B\nC",x,{AT}')]


def test_a_quote_that_is_open_for_a_megabyte_was_never_closed():
    source = _source(TEXT)
    filling = f"A,1,{AT}\n" * (LONGEST_RECORD // 25 + 1)

    found = read_content(source, f'{HEAD}"B,1,{AT}\n{filling}C",1,{AT}\n'.encode(), "file", {})

    assert [row.line for row in found.unreadable] == [2]
    assert found.rows.num_rows == filling.count("\n") + 1
