"""Which rows of a quarantine can be read now: each by itself, whatever stands beside it."""

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pytest

from lakehouse.ingest.release.rows import Asked, Written, readable, write_rows
from lakehouse.ingest.source import Source
from tests.unit.lakehouse.readings import AT, readings

NAMES = ["station", "reading", "read_at"]


def asked(source: Source, path: Path | None = None, original: Path | None = None, digest: str = "") -> Asked:
    return Asked(
        source=source,
        path=str(path or "/nowhere"),
        original=None if original is None else str(original),
        digest=digest,
        taken_up={},
    )


def source_of(file_format: str = "csv", **more: object) -> Source:
    return readings(file_format, {"station": "string", "reading": "int"}, **more)


@pytest.mark.parametrize(
    ("raws", "good"),
    [
        ([f"A,1,{AT}", f"B,x,{AT}", f"C,2,{AT}"], [True, False, True]),
        # Together they would be one row, and the second one by itself another one.
        ([f'A,"x,1,{AT}', f'B",2,{AT}'], [False, False]),
        # And these would be two, of which one is of three lines.
        (['A"', f'"x\ny",1,{AT}'], [False, True]),
        (['"A ""x"" B",1,' + AT, f'"A",1,"{AT}"', f'A "x" B,1,{AT}'], [True, True, False]),
        ([f"A,1,{AT}\nB,2,{AT}"], [False]),
        (["", None, f"A,1,{AT}"], [False, False, True]),
        ([f"A,1,{AT}", "A,1"], [True, False]),
    ],
)
def test_each_row_is_read_by_itself(raws: list[str | None], good: list[bool]) -> None:
    found = readable(asked(source_of(csv={"multiline": "allowed"})), NAMES, raws)
    assert [each is not None for each in found] == good


def write(wanted: Asked, *rows: tuple[str, str]) -> Written:
    batch = pa.RecordBatch.from_pylist([{"raw": raw, "reason": reason} for raw, reason in rows])
    (answer,) = write_rows([batch], wanted.as_json())
    return Written.model_validate_json(answer.column("written")[0].as_py())


def test_they_are_written_behind_the_header_of_their_file_and_lost_bytes_are_not(tmp_path: Path) -> None:
    original, path = tmp_path / "original.csv", tmp_path / "written.csv"
    source = source_of(csv={"encoding": "cp1252", "skip_lines": 1, "comment": "#"})
    original.write_text(f"made by ü\n# ü\nreading,station,read_at\n1,A,{AT}\n", encoding="cp1252")
    digest = hashlib.sha256(original.read_bytes()).hexdigest()
    rows = [(f"2,ü,{AT}", "column x"), (f"3,\\x81,{AT}", "is not UTF-8"), (f"4,€,{AT}", "column x")]
    written = write(asked(source, path, original, digest), *rows, (f"5,漢,{AT}", "column x"))
    expected = f"made by ü\n# ü\nreading,station,read_at\n2,ü,{AT}\n4,€,{AT}\n".encode("cp1252")
    assert path.read_bytes() == expected
    assert (written.rows, written.left) == (2, 2)
    assert written.digest == hashlib.sha256(expected).hexdigest()

    other = write(asked(source, path, original, "0" * 64), *rows)
    assert other.problem == "the file that has their header has other content now"
    assert (other.rows, other.digest) == (0, "")


def test_a_field_that_no_released_line_has_is_no_file(tmp_path: Path) -> None:
    source = source_of("jsonl")
    row = json.dumps({"station": "A", "read_at": AT})
    written = write(asked(source, tmp_path / "written.jsonl"), (row, "column reading"))
    assert written.problem == "lacks column reading"
