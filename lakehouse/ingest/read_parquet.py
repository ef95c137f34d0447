"""Reads Parquet as its source declares it."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import io
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.ingest.columns import as_declared, check_names, convert
from lakehouse.ingest.problems import ProblemError
from lakehouse.ingest.source import Source


def read_parquet(source: Source, content: bytes) -> pa.Table:
    """A Parquet file as it is, with the columns that its source declares.

    Raises:
        ProblemError: it is cut off or damaged, lacks a column, or has one too many.
    """
    if not content:
        raise ProblemError("is empty, without even a footer")
    try:
        rows = pq.read_table(io.BytesIO(content))
        rows.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise ProblemError(f"is cut off or damaged: {error}") from error
    check_names(source, rows.column_names)
    return rows


def typed_parquet(source: Source, rows: pa.Table, taken_up: Mapping[str, str]) -> pa.Table:
    """Rows of a Parquet file, typed as declared.

    Raises:
        ProblemError: a column is of another kind.
        RowProblemError: a value does not fit, or is missing.
    """
    columns = {name: rows.column(name) for name in rows.column_names}
    for field in source.delivered_schema:
        columns[field.name] = convert(field.name, columns[field.name], field.type)
    return as_declared(source, pa.table(columns), taken_up)
