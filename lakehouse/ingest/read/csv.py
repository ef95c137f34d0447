"""Reads CSV as its source declares it, block by block: Arrow cuts rows into values, each is read strictly.

A file's bytes go through `encoding.Transcoder`; `header` reads what stands before the rows; `records.cut`
says where the last whole row of a block ends; `read_block` reads blocks of whole rows.
"""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import io
from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv

from lakehouse.ingest.dialect import Csv
from lakehouse.ingest.read.columns import check_names, convert_new, gather
from lakehouse.ingest.read.content import Content
from lakehouse.ingest.read.encoding import as_text, bom_problem, text_problem, without_bom
from lakehouse.ingest.read.problems import ProblemError
from lakehouse.ingest.read.records import Record, csv_records, first_record, is_plain, line_end
from lakehouse.ingest.read.text import from_text
from lakehouse.ingest.read.typed import Typed, one, with_gaps
from lakehouse.ingest.source import Source

# A header that is longer is none.
LONGEST_HEADER = 2**20


class Header(NamedTuple):
    """What stands before the rows of a file.

    Args:
        names: of the columns, in the file's order.
        size: how many bytes (of UTF-8) it takes, with mark, comments and skipped lines.
        lines: how many lines.
    """

    names: list[str]
    size: int
    lines: int


def header(source: Source, first: bytes) -> Header:
    """The columns' names, and how much of a file stands before its rows.

    Args:
        first: the beginning of the file as UTF-8; LONGEST_HEADER bytes, or all of it, are enough.

    Raises:
        ProblemError: the file is empty or has no whole header, lacks a column, or has one too many.
    """
    dialect = source.csv
    if problem := bom_problem(_as_read(dialect.encoding), first):
        raise ProblemError(problem)
    at, lines = without_bom(first), 0
    end = line_end(dialect)
    for _ in range(dialect.skip_lines):
        at, lines = _next_line(first, end, at, lines)
    if not dialect.header:
        if not first:
            raise ProblemError("is empty")
        return Header(list(source.delivered_names), at, lines)
    if not first[at:]:
        raise ProblemError("is empty, without even a header")
    comment = dialect.comment.encode() if dialect.comment else None
    while comment is not None and first.startswith(comment, at):
        at, lines = _next_line(first, end, at, lines)
    rest = first[at:]
    size = _first_record(dialect, rest)
    if not rest[:size].strip(b"\r\n"):
        raise ProblemError(f"line {lines + 1} is blank, where the header should be")
    names = _names(dialect, rest[:size])
    check_names(source, names)
    return Header(names, at + size, lines + rest[:size].count(end))


def _as_read(encoding: str) -> str:
    # What was transcoded has lost the mark of UTF-16, and may have that of UTF-8.
    return "utf-8" if encoding.startswith(("utf-16", "utf-32")) else encoding


def _next_line(first: bytes, end: bytes, at: int, lines: int) -> tuple[int, int]:
    found = first.find(end, at) + 1
    if found == 0:
        raise ProblemError(f"has {lines + 1} lines, and no header behind them")
    return found, lines + 1


def _first_record(dialect: Csv, rest: bytes) -> int:
    first = first_record(dialect, rest[:LONGEST_HEADER], final=len(rest) <= LONGEST_HEADER)
    if first is not None and first.line == 1:
        if first.problem:
            raise ProblemError(f"its header {first.problem}")
        return len(first.raw)
    size = rest.find(line_end(dialect)) + 1
    if size == 0:
        raise ProblemError(cut_off(1))
    return size


def _names(dialect: Csv, raw: bytes) -> list[str]:
    if problem := text_problem(dialect.encoding, raw):
        raise ProblemError(f"its header {problem}")
    return pyarrow.csv.read_csv(io.BytesIO(raw), parse_options=_parse_options(dialect)).column_names


def read_block(
    source: Source,
    names: list[str],
    block: bytes,
    first_line: int,
    taken_up: Mapping[str, str],
) -> Content:
    """The rows of a block, those that are not declared as text.

    Args:
        names: of the header.
        block: whole rows, as UTF-8.
        first_line: the line of the file at which the block begins, from 1.
        taken_up: type of each undeclared column that bronze already took up.

    Raises:
        ProblemError: bronze has a column that is not declared with another type than text.
    """
    found = cells(source.csv, block, first_line, len(names))

    def where(order: list[int]) -> list[tuple[int, str]]:
        records = found.records()
        return [(records[index].line, as_text(records[index].raw).rstrip("\r\n")) for index in order]

    columns = dict(zip(names, map(one, found.texts.columns), strict=True))
    declared: dict[str, Typed] = {}
    for column in source.columns:
        texts = columns.pop(column.delivered_name)
        typed = from_text(texts, column, column.type, source.csv)
        said = {
            index: f"{what or f'invalid value {texts[index].as_py()!r}'}, declared {column.type}"
            for index, what in typed.bad.items()
        }
        declared[column.name] = Typed(typed.values, said)
    added = {name: Typed(convert_new(name, texts, taken_up)) for name, texts in columns.items()}
    return gather(source, declared, added, found.bad, where)


class Cells(NamedTuple):
    """The values of a block's rows as text.

    Args:
        texts: a row for each of the block's, of missing values where it is not read.
        bad: why a row is not read, by index.
        records: gives the rows as they are written.
    """

    texts: pa.Table
    bad: dict[int, str]
    records: Callable[[], list[Record]]


def cells(dialect: Csv, block: bytes, first_line: int, width: int) -> Cells:
    """Cut the rows of a block into values.

    Args:
        block: whole rows, as UTF-8.
        first_line: the line of the file at which the block begins, from 1.
        width: how many values a row has.
    """

    @cache
    def records() -> list[Record]:
        return csv_records(dialect, block, first_line, width)

    kept, bad = block, dict[int, str]()
    if not (is_plain(dialect, block) and text_problem("utf-8", block) is None):
        bad = _odd(dialect, records())
        kept = b"".join(record.raw for index, record in enumerate(records()) if index not in bad)
    table, widths = _parse(dialect, kept, width)
    if widths:
        good = [index for index in range(len(records())) if index not in bad]
        bad |= {
            good[row]: f"has {found} values, the header has {width} columns" for row, found in widths.items()
        }
    total = table.num_rows + len(bad)
    if bad and len(records()) != total:
        went = f"{table.num_rows} and {len(bad)}"
        raise ProblemError(f"from line {first_line} on, {len(records())} rows came in, and {went} went out")
    return Cells(with_gaps(table, bad, total), bad, records)


def _odd(dialect: Csv, records: list[Record]) -> dict[int, str]:
    problems = (record.problem or text_problem(dialect.encoding, record.raw) for record in records)
    return {index: problem for index, problem in enumerate(problems) if problem is not None}


def _parse(dialect: Csv, rows: bytes, width: int) -> tuple[pa.Table, dict[int, int]]:
    """Rows as text, and the rows that have another number of values, with that number."""
    names = [str(position) for position in range(width)]
    if not rows.strip(b"\r\n"):
        return pa.table({name: pa.array([], pa.string()) for name in names}), {}
    widths: dict[int, int] = {}

    def note(row: pyarrow.csv.InvalidRow) -> str:
        widths[row.number - 1] = row.actual_columns
        return "skip"

    table = pyarrow.csv.read_csv(
        io.BytesIO(rows),
        # One block and one thread: only then does Arrow say which row has too many values.
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=len(rows) + 1, column_names=names),
        parse_options=_parse_options(dialect, note),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=dialect.null_values,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return table, widths


def _parse_options(
    dialect: Csv, note: Callable[[pyarrow.csv.InvalidRow], str] | None = None
) -> pyarrow.csv.ParseOptions:
    return pyarrow.csv.ParseOptions(
        delimiter=dialect.delimiter,
        quote_char=dialect.quote or False,
        double_quote=dialect.escape is None,
        escape_char=dialect.escape or False,
        newlines_in_values=True,
        invalid_row_handler=note,
    )


def cut_off(line: int) -> str:
    """That the last line of a file has no line break."""
    return f"line {line} has no line break at its end: the file was cut off"
