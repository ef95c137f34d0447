"""What a Spark task does with delivered files: it stages their rows, and answers with counts."""

import bz2
import errno
import gzip
import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.ingest import stage as module
from lakehouse.ingest.offer import Found, Offer, Work
from lakehouse.ingest.read import stream
from lakehouse.ingest.source import Source
from tests.unit.lakehouse.readings import read_content

AT = datetime(2013, 7, 10, 12, tzinfo=UTC)
HEADER = b"station,reading,read_at\n"


def _source(file_format: str, ending: str | None = None, **changes: object) -> Source:
    declared = {
        "name": "readings",
        "description": "Readings.",
        "owner": "weather",
        "format": file_format,
        "files": f"readings_{{delivery}}{ending or '.' + file_format}",
        "arrives": "live",
        "time_zone": "UTC",
        "reported_time": "read_at",
        "delivery_delay_minutes": 0,
        "keys": ["station"],
        "columns": [
            {"name": name, "type": sql, "description": name}
            for name, sql in (("station", "string"), ("reading", "int"), ("read_at", "timestamp"))
        ],
    }
    return Source.model_validate(declared | changes)


def _staged(tmp_path: Path, source: Source, files: dict[str, bytes], **changes: object) -> list[Found]:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    offers = [
        Offer.model_validate(
            {"source": "readings", "batch_id": name, "path": str(tmp_path / name), "file": name} | changes
        )
        for name in files
    ]
    staging = tmp_path / "staging"
    staging.mkdir()
    work = Work(sources={"readings": source}, staging=str(staging), at=AT, taken_up={}, tasks=[offers])
    batches = module.stage([pa.record_batch({"id": [0]})], work.as_json())
    return [
        Found.model_validate_json(text) for batch in batches for text in batch.column("found").to_pylist()
    ]


def _rows(tmp_path: Path, names: frozenset[str]) -> pa.Table:
    return pa.concat_tables(pq.read_table(tmp_path / "staging" / name) for name in sorted(names))


def _csv(first: int, count: int) -> bytes:
    return b"".join(b"A,%d,2013-07-10T00:00Z\n" % number for number in range(first, first + count))


def test_rows_are_staged_with_where_they_came_from(tmp_path):
    files = {"one": HEADER + _csv(0, 3), "two": HEADER + _csv(3, 2)}

    one, two = _staged(tmp_path, _source("csv"), files)

    assert (one.rows, two.rows) == (3, 2)
    assert one.staged == two.staged, "small files share one"
    rows = _rows(tmp_path, one.staged)
    assert rows.column("reading").to_pylist() == [0, 1, 2, 3, 4]
    assert rows.column("_batch_id").to_pylist() == ["one"] * 3 + ["two"] * 2
    assert set(rows.column("_batch_digest").to_pylist()) == {
        hashlib.sha256(content).hexdigest() for content in files.values()
    }
    assert set(rows.column("_ingested_at").to_pylist()) == {AT}


def test_unreadable_rows_are_staged_as_text(tmp_path):
    content = HEADER + _csv(0, 30) + b"A,seven,2013-07-10T00:00Z\n" + _csv(30, 9)

    (found,) = _staged(tmp_path, _source("csv"), {"one": content})

    assert (found.rows, found.unreadable) == (39, 1)
    (row,) = _rows(tmp_path, found.set_aside).to_pylist()
    assert (row["line_number"], row["raw"], row["_batch_id"]) == (32, "A,seven,2013-07-10T00:00Z", "one")


def test_a_file_that_changes_while_it_is_read_waits(tmp_path, monkeypatch):
    digest = module._digest

    def changed(*of: object) -> str:
        found = digest(*of)
        with (tmp_path / "one").open("ab") as opened:
            opened.write(_csv(9, 1))
        return found

    monkeypatch.setattr(module, "_digest", changed)

    (found,) = _staged(tmp_path, _source("csv"), {"one": HEADER + _csv(0, 3)})

    assert found.waiting == "it is still being written"


def test_of_a_file_that_landed_only_the_digest_is_asked(tmp_path):
    content = b"not what is declared"

    (found,) = _staged(tmp_path, _source("csv"), {"one": content}, is_known=True)

    assert (found.digest, found.refused) == (hashlib.sha256(content).hexdigest(), None)


def test_a_file_that_is_gone_is_refused_by_name(tmp_path):
    offer = Offer(source="readings", batch_id="b", path=str(tmp_path / "none"), file="none")
    work = Work(
        sources={"readings": _source("csv")}, staging=str(tmp_path), at=AT, taken_up={}, tasks=[[offer]]
    )

    (batch,) = module.stage([pa.record_batch({"id": [0]})], work.as_json())

    assert Found.model_validate_json(batch.column("found")[0].as_py()).refused is not None


@pytest.mark.parametrize(("ending", "compress"), [(".csv.gz", gzip.compress), (".csv.bz2", bz2.compress)])
def test_a_compressed_file_is_read_as_it_would_be_without(tmp_path, ending, compress):
    content = compress(HEADER + _csv(0, 500))

    (found,) = _staged(tmp_path, _source("csv", ending), {"one": content})

    assert (found.rows, found.digest) == (500, hashlib.sha256(content).hexdigest())


def test_a_compressed_file_that_was_cut_off_is_refused(tmp_path):
    content = gzip.compress(HEADER + hashlib.shake_256(b"").hexdigest(90_000).encode() + b"\n")

    (found,) = _staged(tmp_path, _source("csv", ".csv.gz"), {"one": content[: len(content) // 2]})

    assert found.refused is not None


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
def test_a_file_is_read_alike_in_blocks_of_any_size(tmp_path, monkeypatch, file_format):
    """Also its unreadable rows, with their lines, and the last one of many blocks."""
    if file_format == "parquet":
        sink = io.BytesIO()
        rows = {
            "station": [f"S{number}" for number in range(200)],
            "reading": [2**40 if number in (7, 150, 199) else number for number in range(200)],
            "read_at": pa.array([AT] * 200, pa.timestamp("us", "UTC")),
        }
        pq.write_table(pa.table(rows), sink)
        content = sink.getvalue()
    else:
        bad = {7: b"[]", 150: b"[]", 199: b"[]"}
        as_line = {
            "csv": lambda number, said: b'"S%d",%s,2013-07-10T00:00Z\n' % (number, said),
            "jsonl": lambda number, said: (
                b'{"station":"S%d","reading":%s,"read_at":"2013-07-10T00:00Z"}\n' % (number, said)
            ),
        }[file_format]
        lines = [as_line(number, bad.get(number, b"%d" % number)) for number in range(200)]
        content = (HEADER if file_format == "csv" else b"") + b"".join(lines)
    source = _source(file_format)
    whole = read_content(source, content, "file", {})

    monkeypatch.setattr(stream.csv, "LONGEST_HEADER", len(HEADER))
    for size in (1, 50, 64, 1000):
        monkeypatch.setattr(stream, "BLOCK_BYTES", size)
        monkeypatch.setattr(stream.parquet.batches, "__defaults__", (size,))
        parts = list(stream.read_stream(source, io.BytesIO(content), {}))
        assert len(parts) > 1 or size == 1000
        assert pa.concat_tables(part.rows for part in parts).equals(whole.rows)
        assert [row for part in parts for row in part.unreadable] == whole.unreadable

    assert [row.line for row in whole.unreadable] == [
        number + (2 if file_format == "csv" else 1) for number in (7, 150, 199)
    ]


def test_a_row_of_several_lines_is_in_one_block(monkeypatch):
    lines = [b'"a\n%d\n""b""",%d,2013-07-10T00:00Z\n' % (number, number) for number in range(50)]
    monkeypatch.setattr(stream, "BLOCK_BYTES", 20)
    monkeypatch.setattr(stream.csv, "LONGEST_HEADER", len(HEADER))

    parts = list(stream.read_stream(_source("csv"), io.BytesIO(HEADER + b"".join(lines)), {}))

    assert len(parts) > 10
    assert [name for part in parts for name in part.rows.column("station").to_pylist()] == [
        f'a\n{number}\n"b"' for number in range(50)
    ]


def test_a_column_of_json_may_stand_in_some_blocks_only(monkeypatch):
    monkeypatch.setattr(stream, "BLOCK_BYTES", 60)
    lines = [
        b'{"station":"A","read_at":"2013-07-10T00:00Z"%s}\n' % more for more in (b"", b',"reading":1', b"")
    ]

    parts = list(stream.read_stream(_source("jsonl"), io.BytesIO(b"".join(lines)), {}))
    assert [each for part in parts for each in part.rows.column("reading").to_pylist()] == [None, 1, None]

    with pytest.raises(stream.ProblemError, match="lacks column reading"):
        list(stream.read_stream(_source("jsonl"), io.BytesIO(lines[0] * 3), {}))


def test_a_full_disk_is_not_said_to_be_the_deliverys_fault(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module._StagedFile, "write", full)

    with pytest.raises(module.StagingError, match=r"rows cannot be staged in .*: .*No space left"):
        _staged(tmp_path, _source("csv"), {"one": HEADER + _csv(0, 3)})
