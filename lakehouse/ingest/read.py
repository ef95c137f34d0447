"""Reads one delivered file strictly as its source declares it: all of its rows, or why it is refused."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

from collections.abc import Mapping

import pyarrow as pa

from lakehouse.ingest.columns import as_declared
from lakehouse.ingest.problems import ProblemError, RefusedFileError, RowProblemError
from lakehouse.ingest.read_csv import read_csv
from lakehouse.ingest.read_json import read_json_lines
from lakehouse.ingest.read_parquet import read_parquet, typed_parquet
from lakehouse.ingest.source import Source

__all__ = ["RefusedFileError", "read_rows", "read_text"]


def read_rows(source: Source, content: bytes, file: str, taken_up: Mapping[str, str]) -> pa.Table:
    """The rows of one file, typed as declared.

    Args:
        content: the file's bytes.
        file: its name, for the message.
        taken_up: type of each undeclared column that bronze already took up.

    Returns:
        the declared columns in declared order, then those that are new, by name.

    Raises:
        RefusedFileError: the file is cut off or damaged, lacks a column, has one too many, or has a value of
            another type or none where one is required.
    """
    try:
        if source.format == "parquet":
            return typed_parquet(source, read_parquet(source, content), taken_up)
        return read_text(source, content, taken_up)
    except ProblemError as problem:
        is_of_rows = isinstance(problem, RowProblemError)
        raise RefusedFileError(file, str(problem), is_of_rows) from problem.__cause__


def read_text(
    source: Source, content: bytes, taken_up: Mapping[str, str], *, is_part: bool = False
) -> pa.Table:
    """The rows of a CSV or JSON-lines file, or of some of its lines.

    Args:
        is_part: whether the content is only some of the file's lines (of CSV, below its header), of which
            what holds of a whole file is not asked.

    Raises:
        ProblemError: as `read_rows` refuses a file.
    """
    if source.format == "csv":
        rows = read_csv(source, content)
    else:
        rows = read_json_lines(source, content, taken_up, is_part)
    return as_declared(source, rows, taken_up)
