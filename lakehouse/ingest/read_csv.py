"""Reads CSV as its source declares it, by Arrow's reader, with its messages in the words of the file."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import csv
import io
import re

import pyarrow as pa
import pyarrow.csv

from lakehouse.ingest.columns import check_names
from lakehouse.ingest.problems import ProblemError, RowProblemError
from lakehouse.ingest.source import Source


def read_csv(source: Source, content: bytes) -> pa.Table:
    """The rows, with the columns' names in the file; those that are not declared as text.

    Raises:
        ProblemError: the file was cut off, lacks a column, or has one too many.
        RowProblemError: a row has another number of values than the header, or a value of another type.
    """
    if not content:
        raise ProblemError("is empty, without even a header")
    check_end(content)
    first_line = content.partition(b"\n")[0].decode("utf-8-sig", errors="replace")
    names = next(csv.reader([first_line.rstrip("\r")]))
    check_names(source, names)
    types = {name: pa.string() for name in names}
    types |= {field.name: field.type for field in source.delivered_schema}
    try:
        return pyarrow.csv.read_csv(
            io.BytesIO(content),
            # One block and one thread: only then does Arrow say in which row an error is.
            read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=len(content) + 1),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowException as error:
        raise _csv_problem(str(error), names, source) from error


def _csv_problem(message: str, names: list[str], source: Source) -> RowProblemError:
    """Arrow's message in the words of the file: line, column and value."""
    wrong_value = re.search(
        r"In CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error .*?: (.*)", message, re.DOTALL
    )
    if wrong_value:
        name = names[int(wrong_value[1])]
        types = {column.delivered_name: column.type for column in source.columns}
        place = f"line {wrong_value[2]}, " if wrong_value[2] else ""
        said = f"column {name}: {wrong_value[3].strip()}, declared {types.get(name, 'string')}"
        return RowProblemError(said, place, int(wrong_value[2]) - 2 if wrong_value[2] else None)
    wrong_width = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", message)
    if wrong_width:
        said = f"has {wrong_width[3]} values, the header has {wrong_width[2]} columns"
        return RowProblemError(said, f"line {wrong_width[1]} ", int(wrong_width[1]) - 2)
    return RowProblemError(f"is not CSV: {message}")


def check_end(content: bytes) -> None:
    """Refuse a file of lines that does not end in a line break."""
    if not content.endswith(b"\n"):
        lines = content.count(b"\n") + 1
        raise ProblemError(f"line {lines} has no line break at its end: the file was cut off")
