"""Reads a delivered file of any size, block by block: its rows as declared, and those that cannot be read so.

What holds of a whole file is found out on the way: which columns it has, and whether too large a share of it
is unreadable.
"""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import BinaryIO

import pyarrow as pa

from lakehouse.ingest.read import csv, json, parquet
from lakehouse.ingest.read.columns import NO_VALUE, check_names
from lakehouse.ingest.read.content import Content, Unreadable
from lakehouse.ingest.read.encoding import Transcoder, bom_problem, without_bom
from lakehouse.ingest.read.problems import ProblemError
from lakehouse.ingest.read.records import LONGEST_RECORD, cut, line_end
from lakehouse.ingest.source import Source
from lakehouse.ingest.types import type_name

# So much of a file is in memory at once, a few times over.
BLOCK_BYTES = 8 * 2**20
_LONGEST_MARK = 4
# A row that is longer is not one: something is wrong with its file.
_LONGEST_LINE = 256 * LONGEST_RECORD


def read_stream(source: Source, stream: BinaryIO, taken_up: Mapping[str, str]) -> Iterator[Content]:
    """The rows of a file, block by block, in its order.

    Args:
        stream: the file from its beginning; of Parquet one that can be read at any place.
        taken_up: type of each undeclared column that bronze already took up.

    Yields:
        rows, with the declared columns in declared order and then those that are new, and unreadable ones.

    Raises:
        ProblemError: the file as a whole is not what its source declares, or a larger share of its rows
            cannot be read than the source allows. What was yielded before is then not to be used.
    """
    known = dict(taken_up)
    names: set[str] = set()
    first: Unreadable | None = None
    delivered = unreadable = 0
    for part in _parts(source, stream, known):
        known |= {name: sql for name, sql in new_columns(source, part.rows).items() if name not in known}
        names |= part.names
        placed = [replace(row, row=row.row + delivered) for row in part.unreadable]
        first = first or next(iter(placed), None)
        delivered, unreadable = delivered + part.delivered, unreadable + len(placed)
        yield Content(part.rows, placed, part.names)
    if names:
        check_names(source, sorted(names))
    if first is not None and unreadable > int(source.max_bad_share * delivered):
        share = f"more than {100 * source.max_bad_share:g}% of its {delivered} rows cannot be read"
        raise ProblemError(f"{problem_at(source, first)} ({share})")


def problem_at(source: Source, row: Unreadable) -> str:
    """What is wrong with a row that cannot be read, and where it is."""
    by_row = source.format == "parquet" or row.reason.endswith(NO_VALUE)
    place = f"row {row.row}" if by_row else f"line {row.line}"
    return f"{place}{', ' if row.reason.startswith('column ') else ' '}{row.reason}"


def new_columns(source: Source, rows: pa.Table) -> dict[str, str]:
    """Types of the columns that a source does not declare."""
    declared = set(source.arrow_schema.names)
    return {field.name: type_name(field.type) for field in rows.schema if field.name not in declared}


def _parts(source: Source, stream: BinaryIO, taken_up: Mapping[str, str]) -> Iterator[Content]:
    match source.format:
        case "csv":
            yield from _csv(source, stream, taken_up)
        case "jsonl":
            yield from _json(source, stream, taken_up)
        case _:
            for batch in parquet.batches(source, stream):
                yield parquet.read_batch(source, batch, taken_up)


class _Text:
    """A file of lines as UTF-8: what of it was read and not used yet."""

    def __init__(self, encoding: str, stream: BinaryIO) -> None:
        self._stream = stream
        self._encoding = encoding
        self._transcoder = Transcoder(encoding)
        self.held = b""
        self.is_last = False

    def start(self, size: int) -> None:
        """Hold the file's first bytes.

        Raises:
            ProblemError: its byte-order mark is not one of its encoding.
        """
        first = _read(self._stream, max(size, _LONGEST_MARK))
        if first and (problem := bom_problem(self._encoding, first)):
            raise ProblemError(problem)
        self._hold(first, size)

    def fill(self, size: int) -> None:
        """Hold so many bytes, or all that is left."""
        if not self.is_last and len(self.held) < size:
            wanted = size - len(self.held)
            self._hold(_read(self._stream, wanted), wanted)

    def use(self, size: int) -> bytes:
        """Take bytes from those that are held."""
        used, self.held = self.held[:size], self.held[size:]
        return used

    def _hold(self, read: bytes, wanted: int) -> None:
        self.is_last = len(read) < wanted
        self.held += self._transcoder.decode(read, final=self.is_last)


def _read(stream: BinaryIO, size: int) -> bytes:
    """So many bytes, or all that is left: a stream may give fewer than it is asked for."""
    found: list[bytes] = []
    while size > 0 and (more := stream.read(size)):
        found.append(more)
        size -= len(more)
    return b"".join(found)


def _csv(source: Source, stream: BinaryIO, taken_up: Mapping[str, str]) -> Iterator[Content]:
    text = _Text(source.csv.encoding, stream)
    text.start(max(BLOCK_BYTES, csv.LONGEST_HEADER))
    head = csv.header(source, text.held)
    text.use(head.size)
    end = line_end(source.csv)

    def whole(held: bytes, is_last: bool) -> int:
        return cut(source.csv, held, final=is_last)

    for line, block in _blocks(text, end, head.lines + 1, whole, csv.cut_off):
        yield csv.read_block(source, head.names, block, line, taken_up)


def _json(source: Source, stream: BinaryIO, taken_up: Mapping[str, str]) -> Iterator[Content]:
    text = _Text(source.json_lines.encoding, stream)
    text.start(BLOCK_BYTES)
    text.use(without_bom(text.held))

    def whole(held: bytes, _: bool) -> int:
        return held.rfind(b"\n") + 1

    def cut_off(line: int) -> str:
        return json.json_cut_off(text.held[text.held.rfind(b"\n") + 1 :], line)

    for line, block in _blocks(text, b"\n", 1, whole, cut_off):
        yield json.read_block(source, block, line, taken_up)


def _blocks(
    text: _Text,
    end: bytes,
    line: int,
    whole: Callable[[bytes, bool], int],
    cut_off: Callable[[int], str],
) -> Iterator[tuple[int, bytes]]:
    """Blocks of whole rows, each with its first line.

    Args:
        line: the first one.
        whole: how much of what is held, which may be the last of a file, is whole rows.
        cut_off: says what is wrong with a file whose last line, of this number, has no end.
    """
    wanted = BLOCK_BYTES
    while True:
        text.fill(wanted)
        if not text.held and text.is_last:
            return
        if text.is_last and not text.held.endswith(end):
            raise ProblemError(cut_off(line + text.held.count(end)))
        size = whole(text.held, text.is_last) or (len(text.held) if text.is_last else 0)
        if size == 0:
            if len(text.held) > _LONGEST_LINE:
                raise ProblemError(f"line {line} begins a row of more than {_LONGEST_LINE >> 20} MiB")
            wanted = 2 * max(wanted, len(text.held))
            continue
        block = text.use(size)
        yield line, block
        line, wanted = line + block.count(end), BLOCK_BYTES
