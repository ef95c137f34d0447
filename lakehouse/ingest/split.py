"""Reads a delivered file: its rows as declared, and those that cannot be read so as text, with the reason.

A file is first read strictly, as a whole. Only when rows are in the way, the strict reader is asked about
halves of it, and halves of those, until it has named each of them; the file without them is then read
strictly once more. So there is one reader, and it takes and refuses the same of a row as of a file.
"""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from lakehouse.ingest.problems import ProblemError, RefusedFileError, RowProblemError
from lakehouse.ingest.read import read_rows, read_text
from lakehouse.ingest.read_parquet import read_parquet, typed_parquet
from lakehouse.ingest.source import Source

# Spans of so many rows are read again for each bad row in them; longer ones are halved.
_READ_AGAIN = 512


@dataclass(frozen=True)
class Unreadable:
    """A row that cannot be read as its source declares it.

    Args:
        line: the line of the file at which it begins, from 1; of Parquet, the number of the row.
        raw: the row as text; of Parquet, as JSON.
    """

    line: int
    raw: str
    reason: str


@dataclass(frozen=True)
class Content:
    """What is in a file.

    Args:
        rows: typed as declared.
        unreadable: the others, in the file's order.
    """

    rows: pa.Table
    unreadable: Sequence[Unreadable] = ()

    @property
    def delivered(self) -> int:
        """How many rows the file has, readable or not."""
        return self.rows.num_rows + len(self.unreadable)


def read_content(source: Source, content: bytes, file: str, taken_up: Mapping[str, str]) -> Content:
    """All rows of a file.

    Args:
        content: the file's bytes.
        file: its name, for the message.
        taken_up: type of each undeclared column that bronze already took up.

    Raises:
        RefusedFileError: the file as a whole is not what its source declares, or a larger share of its rows
            cannot be read than the source allows.
    """
    try:
        return Content(read_rows(source, content, file, taken_up))
    except RefusedFileError as refused:
        if not refused.by_row:
            raise
        return _split(source, content, file, taken_up, refused)


class _Records(Protocol):
    """A file as a list of rows."""

    def count(self) -> int: ...
    def check(self, first: int, end: int) -> None:
        """Read the rows [first, end) strictly; RowProblemError if one of them is in the way."""
        ...

    def without(self, bad: AbstractSet[int]) -> pa.Table:
        """The rows of the file but for some."""
        ...

    def unreadable(self, index: int, reason: str) -> Unreadable: ...


def _split(
    source: Source, content: bytes, file: str, taken_up: Mapping[str, str], refused: RefusedFileError
) -> Content:
    try:
        records = _records(source, content, taken_up)
        most = int(source.max_bad_share * records.count())
        bad = _find(records, most)
        if bad is None:
            share = f"more than {100 * source.max_bad_share:g}% of its {records.count()} rows cannot be read"
            raise RefusedFileError(file, f"{refused.reason} ({share})") from refused
        rows = records.without(bad.keys())
    except ProblemError as problem:
        # Rows that can be read one by one, and not together.
        raise RefusedFileError(file, str(problem)) from problem
    if rows.num_rows + len(bad) != records.count():
        raise RefusedFileError(
            file,
            f"{refused.reason} ({records.count()} rows came in, {rows.num_rows} and {len(bad)} went out)",
        ) from refused
    return Content(rows, [records.unreadable(index, reason) for index, reason in sorted(bad.items())])


def _find(records: _Records, most: int) -> dict[int, str] | None:
    """The rows that cannot be read, with the reason, in order; None when they are more than `most`."""
    bad: dict[int, str] = {}
    spans = [(0, records.count())]
    while spans:
        first, end = spans.pop()
        if first == end:
            continue
        try:
            records.check(first, end)
        except RowProblemError as problem:
            if end - first == 1:
                bad[first] = problem.what
            elif problem.index is not None and problem.index < end - first <= _READ_AGAIN:
                # The reader names one: it is asked about that row, and about those on both sides.
                named = first + problem.index
                spans += [(named + 1, end), (first, named), (named, named + 1)]
            else:
                middle = (first + end) // 2
                spans += [(middle, end), (first, middle)]
        if len(bad) > most:
            return None
    return bad


def _records(source: Source, content: bytes, taken_up: Mapping[str, str]) -> _Records:
    if source.format == "parquet":
        return _ParquetRows(source, read_parquet(source, content), taken_up)
    if source.format == "csv":
        header, _, body = content.partition(b"\n")
        return _Lines(source, header + b"\n", csv_records(body, first_line=2), taken_up)
    return _Lines(source, b"", _lines(content, first_line=1), taken_up)


class _Lines:
    """The rows of a CSV or JSON-lines file; a row of CSV may be of several lines."""

    def __init__(
        self, source: Source, header: bytes, lines: Sequence[tuple[int, bytes]], taken_up: Mapping[str, str]
    ) -> None:
        self._source = source
        self._header = header
        self._lines = lines
        self._taken_up = taken_up

    def count(self) -> int:
        return len(self._lines)

    def check(self, first: int, end: int) -> None:
        part = self._header + b"".join(line for _, line in self._lines[first:end])
        rows = read_text(self._source, part, self._taken_up, is_part=True)
        if rows.num_rows != end - first:
            raise RowProblemError("is not one row")

    def without(self, bad: AbstractSet[int]) -> pa.Table:
        kept = b"".join(line for index, (_, line) in enumerate(self._lines) if index not in bad)
        return read_text(self._source, self._header + kept, self._taken_up)

    def unreadable(self, index: int, reason: str) -> Unreadable:
        line, raw = self._lines[index]
        return Unreadable(line, raw.decode(errors="backslashreplace").rstrip("\r\n"), reason)


class _ParquetRows:
    """The rows of a Parquet file."""

    def __init__(self, source: Source, rows: pa.Table, taken_up: Mapping[str, str]) -> None:
        self._source = source
        self._rows = rows
        self._taken_up = taken_up

    def count(self) -> int:
        return self._rows.num_rows

    def check(self, first: int, end: int) -> None:
        typed_parquet(self._source, self._rows.slice(first, end - first), self._taken_up)

    def without(self, bad: AbstractSet[int]) -> pa.Table:
        kept = pa.array([index not in bad for index in range(self.count())])
        return typed_parquet(self._source, self._rows.filter(kept), self._taken_up)

    def unreadable(self, index: int, reason: str) -> Unreadable:
        row = self._rows.slice(index, 1).to_pylist()[0]
        return Unreadable(index + 1, json.dumps(row, default=str), reason)


def csv_records(body: bytes, first_line: int) -> list[tuple[int, bytes]]:
    """The rows of CSV as they are written, each with the number of its first line.

    A quote that opens a value and is never closed opens none: then each further line is a row.

    >>> csv_records(b'a,"b\\nc"\\nd,e\\n', first_line=2)
    [(2, b'a,"b\\nc"\\n'), (4, b'd,e\\n')]
    """
    records: list[tuple[int, bytes]] = []
    begun: list[tuple[int, bytes]] = []
    is_quoted = False
    for number, line in _lines(body, first_line, blank=True):
        if not begun and not line.strip(b"\r\n"):
            continue
        begun.append((number, line))
        is_quoted = _ends_in_quotes(line, is_quoted)
        if not is_quoted:
            records.append((begun[0][0], b"".join(each for _, each in begun)))
            begun = []
    return records + [(number, line) for number, line in begun if line.strip(b"\r\n")]


def _ends_in_quotes(line: bytes, is_quoted: bool) -> bool:
    """Whether a value in quotes goes on in the next line.

    Args:
        is_quoted: whether one goes on in this line.
    """
    at = 0
    if not is_quoted and line.startswith(b'"'):
        is_quoted, at = True, 1
    while True:
        if is_quoted:
            at = line.find(b'"', at)
            if at < 0:
                return True
            if line[at + 1 : at + 2] == b'"':
                at += 2
                continue
            at += 1
        at = line.find(b",", at) + 1
        if at == 0:
            return False
        is_quoted = line[at : at + 1] == b'"'
        at += is_quoted


def _lines(content: bytes, first_line: int, *, blank: bool = False) -> list[tuple[int, bytes]]:
    lines = content.split(b"\n")[:-1]
    return [
        (number, line + b"\n") for number, line in enumerate(lines, start=first_line) if blank or line.strip()
    ]
