"""Cuts CSV into its rows: where each begins and ends, and which of them a reader would have to guess at."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from lakehouse.ingest.dialect import Csv

# A value in quotes that is longer has a quote that nobody closed.
LONGEST_RECORD = 2**20
_BOM = b"\xef\xbb\xbf"


class Record(NamedTuple):
    """A row as it is written.

    Args:
        line: the line at which it begins, from 1.
        raw: with its line end.
        problem: why it is not read; None where it may be.
    """

    line: int
    raw: bytes
    problem: str | None = None


class _Dialect(NamedTuple):
    line_end: bytes
    # Many rows in a call, each on one line, and none of them odd.
    plain_run: re.Pattern[bytes]
    # One row, as the reader takes it.
    record: re.Pattern[bytes]
    # The same without text behind a closing quote, or other line ends outside quotes.
    strict: re.Pattern[bytes]
    # One value, and what ends it, where a quote that is not closed on its line is text.
    value: re.Pattern[bytes]
    # One value of a row, and what ends it.
    strict_value: re.Pattern[bytes]
    # What makes a block other than lines of plain values.
    signs: tuple[bytes, ...]


@lru_cache(maxsize=32)
def _dialect(
    delimiter: str, quote: str | None, escape: str | None, comment: str | None, end: str
) -> _Dialect:
    d, q, e = (re.escape(sign.encode()) if sign else b"" for sign in (delimiter, quote, escape))
    ends, last = (rb"\r", rb"\r") if end == "cr" else (rb"\n", rb"\r?\n")
    anything, on_line = (rb"|%s." % e, rb"|%s[^\r\n]" % e) if escape else (b"", b"")
    doubled = rb"|%s%s" % (q, q) if quote and not escape else b""
    free = rb"(?:[^%s%s%s]++%s)*+" % (d, ends, e, anything)
    clean = rb"(?:[^%s\r\n%s]++%s)*+" % (d, e, anything)
    line = rb"(?:[^%s\r\n%s]++%s)*+" % (d, e, on_line)
    field, strict, plain, value = free, clean, line, line
    if quote:
        inside = rb"%s(?:[^%s%s]++%s%s)*+%s" % (q, q, e, doubled, anything, q)
        within = rb"%s(?:[^%s%s\r\n]++%s%s)*+%s" % (q, q, e, doubled, on_line, q)
        field = rb"(?:%s%s|(?!%s)%s)" % (inside, free, q, free)
        strict = rb"(?:%s|(?!%s)%s)" % (inside, q, clean)
        plain = rb"(?:%s|(?!%s)%s)" % (within, q, line)
        value = rb"(?:%s%s|%s)" % (within, line, line)

    def row(of: bytes, then: bytes) -> bytes:
        return rb"%s(?:%s%s)*+%s" % (of, d, of, then)

    def compiled(expression: bytes) -> re.Pattern[bytes]:
        return re.compile(expression, re.DOTALL)

    skipped = rb"(?!%s)" % re.escape(comment.encode()) if comment else b""
    return _Dialect(
        line_end=b"\r" if end == "cr" else b"\n",
        plain_run=compiled(rb"(?:%s%s)*+" % (skipped, row(plain, last))),
        record=compiled(row(field, ends)),
        strict=compiled(row(strict, last)),
        value=compiled(rb"%s(?:%s|\r?\n|\r|$)" % (value, d)),
        strict_value=compiled(rb"%s(?:%s|%s)" % (strict, d, last)),
        signs=tuple(mark.encode() for mark in (quote, escape) if mark),
    )


def _of(csv: Csv) -> _Dialect:
    return _dialect(csv.delimiter, csv.quote, csv.escape, csv.comment, csv.line_end)


def line_end(csv: Csv) -> bytes:
    """The byte that ends a line."""
    return _of(csv).line_end


def is_plain(csv: Csv, block: bytes) -> bool:
    """Whether all rows of a block are on a line each, none of them odd; blank ones may be among them."""
    dialect = _of(csv)
    if b"\0" in block or _BOM in block:
        return False
    if csv.comment and _has_comment(csv.comment.encode(), dialect.line_end, block):
        return False
    if not any(sign in block for sign in dialect.signs):
        returns = block.count(b"\r")
        if csv.line_end == "cr":
            return b"\n" not in block
        return not returns or returns == block.count(b"\r\n")
    found = dialect.plain_run.match(block)
    return found is not None and found.end() == len(block)


def cut(csv: Csv, block: bytes, *, final: bool = False) -> int:
    """Where the last whole row of a block ends: what stands behind it begins the next block.

    Args:
        final: whether nothing comes behind the block, so that a quote that is still open is never closed.
    """
    dialect = _of(csv)
    if not any(sign in block for sign in dialect.signs):
        return block.rfind(dialect.line_end) + 1
    at = 0
    while True:
        found = dialect.plain_run.match(block, at)
        at = found.end() if found else at
        end = _end(csv, dialect, block, at, final)
        if end is None:
            return at
        at = end


def csv_records(csv: Csv, block: bytes, first_line: int, width: int | None = None) -> list[Record]:
    """The rows of a block as they are written; comments and blank lines are none.

    A quote that opens a value and is not closed within 1 MiB opens none: then each further line is a row. Of
    a row over several lines that is odd, each line is one that is not read: it may be a row itself.

    Args:
        block: whole rows.
        width: how many values a row has; None where any number will do.

    >>> csv_records(Csv(), b'a,"b\\nc"\\nd,e\\n', first_line=2)
    [Record(line=2, raw=b'a,"b\\nc"\\n', problem=None), Record(line=4, raw=b'd,e\\n', problem=None)]
    """
    return list(_records(csv, block, first_line, width, final=True))


def first_record(csv: Csv, block: bytes, *, final: bool) -> Record | None:
    """The first row of a block; None where there is none, or it is not whole yet."""
    return next(_records(csv, block, 1, None, final), None)


def _records(csv: Csv, block: bytes, line: int, width: int | None, final: bool) -> Iterator[Record]:
    dialect = _of(csv)
    comment = csv.comment.encode() if csv.comment else None
    at = 0
    while (end := _end(csv, dialect, block, at, final)) is not None:
        raw = block[at:end]
        lines = raw.count(dialect.line_end)
        is_skipped = not raw.strip(b"\r\n") or (comment is not None and raw.startswith(comment))
        if not is_skipped:
            problem = _problem(csv, dialect, raw, width)
            if problem and lines > 1:
                for offset, each in enumerate(raw.split(dialect.line_end)[:-1]):
                    if each.strip(b"\r\n"):
                        yield Record(
                            line + offset,
                            each + dialect.line_end,
                            f"{problem} (lines {line} to {line + lines - 1})",
                        )
            else:
                yield Record(line, raw, problem)
        line += lines
        at = end


def _end(csv: Csv, dialect: _Dialect, block: bytes, at: int, final: bool) -> int | None:
    """Where the row at a place ends; None where it is not whole yet."""
    line = block.find(dialect.line_end, at) + 1
    if csv.comment and block.startswith(csv.comment.encode(), at):
        return line or None
    found = dialect.record.match(block, at, at + LONGEST_RECORD)
    if found:
        return found.end() if csv.multiline != "never" else line
    is_seen = final or len(block) - at >= LONGEST_RECORD
    return line or None if is_seen else None


def _problem(csv: Csv, dialect: _Dialect, raw: bytes, width: int | None) -> str | None:
    lines = raw.count(dialect.line_end)
    if b"\0" in raw:
        return "has a NUL byte"
    if raw.startswith(_BOM):
        return "begins with a byte-order mark: files were joined"
    if not dialect.record.fullmatch(raw):
        values = _count(dialect.value, raw)
        has = f"{values} values, the header has {width} columns: " if width and values != width else ""
        return f"has {has}a quote that is not closed{' on its line' if csv.multiline == 'never' else ''}"
    if not dialect.strict.fullmatch(raw):
        return _why_not_strict(csv, raw)
    if lines > 1 and width is not None:
        values = _count(dialect.strict_value, raw)
        if values != width:
            return f"has {values} values, the header has {width} columns"
        if csv.multiline == "checked" and _are_rows(dialect, raw, width):
            return "has a value over several lines that are rows, too: multiline: allowed reads it"
    return None


def _why_not_strict(csv: Csv, raw: bytes) -> str:
    other, name = (b"\n", "line feed") if csv.line_end == "cr" else (b"\r", "carriage return")
    if csv.quote is None or csv.quote.encode() not in raw:
        return f"has a {name} within a value"
    odd = f" or a {name}" if other in raw.rstrip(b"\r\n") else ""
    return f"has text{odd} behind a closing quote"


def _are_rows(dialect: _Dialect, raw: bytes, width: int) -> bool:
    # A carriage return within a line ends no value; what stands for it here, no row that is looked at has.
    lines = [line.rstrip(b"\r\n").replace(b"\r", b"\0") for line in raw.split(dialect.line_end)]
    return all(_count(dialect.value, line + dialect.line_end) == width for line in lines if line)


def _count(value: re.Pattern[bytes], raw: bytes) -> int:
    """How many values a row has; of one that is odd, up to there."""
    at = found = 0
    while at < len(raw) and (match := value.match(raw, at)) and match.end() > at:
        at, found = match.end(), found + 1
    return found


def _has_comment(comment: bytes, end: bytes, block: bytes) -> bool:
    return block.startswith(comment) or end + comment in block
