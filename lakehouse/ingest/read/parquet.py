"""Reads Parquet as its source declares it, batch by batch."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.ingest.read.arrow_values import from_arrow
from lakehouse.ingest.read.calendar import Calendar, calendar_of, is_utc
from lakehouse.ingest.read.columns import check_names, convert_new, gather
from lakehouse.ingest.read.content import Content
from lakehouse.ingest.read.problems import ProblemError
from lakehouse.ingest.read.typed import Typed, one
from lakehouse.ingest.source import Source

_ROWS = 65_536
_INT96 = "INT96"


@dataclass(frozen=True)
class Written:
    """What a file's footer says of how it was written."""

    calendar: Calendar
    int96_calendar: Calendar
    is_utc: bool
    int96: frozenset[str]


@dataclass(frozen=True)
class Batch:
    """Some rows of a Parquet file as they are.

    Args:
        fine: columns of INT96 once more, in nanoseconds; beyond the years 1678 to 2261 these are wrong.
        first_row: the number of the first one in the file, from 1.
    """

    rows: pa.Table
    fine: Mapping[str, pa.Array]
    written: Written
    first_row: int


def batches(source: Source, file: Any, rows: int = _ROWS) -> Iterator[Batch]:
    """The rows of a Parquet file, some at a time.

    Args:
        file: opened, or its path; its end is read first.
        rows: at most so many in a batch.

    Raises:
        ProblemError: it is cut off or damaged, lacks a column, or has one too many.
    """
    try:
        opened = pq.ParquetFile(file, coerce_int96_timestamp_unit="us")
        written = _written(opened)
        check_names(source, opened.schema_arrow.names)
        fine = _fine(file, sorted(written.int96), rows)
        first = 1
        for batch, nanos in zip(opened.iter_batches(batch_size=rows), fine, strict=False):
            batch.validate(full=True)
            yield Batch(pa.Table.from_batches([batch]), nanos, written, first)
            first += batch.num_rows
        if first == 1:
            yield Batch(opened.schema_arrow.empty_table(), {}, written, 1)
    except (pa.ArrowException, OSError) as error:
        size = getattr(file, "getbuffer", None)
        is_empty = size is not None and len(size()) == 0
        raise ProblemError(
            "is empty, without even a footer" if is_empty else f"is cut off or damaged: {error}"
        ) from error


def _written(opened: pq.ParquetFile) -> Written:
    metadata = {
        key.decode(): value.decode(errors="replace")
        for key, value in (opened.metadata.metadata or {}).items()
    }
    columns = (opened.schema.column(index) for index in range(len(opened.schema)))
    int96 = frozenset(column.path.split(".")[0] for column in columns if column.physical_type == _INT96)
    writer = opened.metadata.created_by or ""
    return Written(
        calendar=calendar_of(writer, metadata),
        int96_calendar=calendar_of(writer, metadata, is_int96=True),
        is_utc=is_utc(metadata),
        int96=int96,
    )


def _fine(file: Any, names: list[str], rows: int) -> Iterator[Mapping[str, pa.Array]]:
    if not names:
        return repeat({})
    again = pq.ParquetFile(file).iter_batches(batch_size=rows, columns=names)
    return ({name: batch.column(name) for name in names} for batch in again)


def read_batch(source: Source, batch: Batch, taken_up: Mapping[str, str]) -> Content:
    """Rows of a Parquet file, typed as declared.

    Raises:
        ProblemError: a column is of another kind.
    """
    columns = {name: one(batch.rows.column(name)) for name in batch.rows.column_names}
    added = {name: values for name, values in columns.items() if name not in source.delivered_names}
    declared: dict[str, Typed] = {}
    for column in source.columns:
        name = column.delivered_name
        declared[column.name] = from_arrow(
            column, columns[name], batch.written, batch.fine.get(name), source.parquet.legacy_calendar
        )
    new = {
        name: Typed(convert_new(name, values, taken_up))
        for name, values in added.items()
        if not pa.types.is_null(values.type)
    }

    def where(order: list[int]) -> list[tuple[int, str]]:
        raw = batch.rows.take(pa.array(order, pa.int64()))
        texts = (json.dumps(_shown(raw.slice(at, 1))) for at in range(len(order)))
        return [(batch.first_row + index, text) for index, text in zip(order, texts, strict=True)]

    return gather(source, declared, new, {}, where)


def _shown(row: pa.Table) -> dict[str, object]:
    return {name: _as_json(row.column(name)) for name in row.column_names}


def _as_json(column: pa.ChunkedArray) -> object:
    try:
        value = column[0].as_py()
    except (ValueError, OverflowError, pa.ArrowException):
        # Python has no year 10000, and no nanoseconds: the number as it is stored.
        return getattr(column[0], "value", None)
    return value if isinstance(value, bool | int | float | str | None) else _plain(value)


def _plain(value: object) -> object:
    if isinstance(value, list):
        return [each if isinstance(each, bool | int | float | str | None) else str(each) for each in value]
    return str(value)
