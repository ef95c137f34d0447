"""Reads JSON lines as their source declares them, by Arrow's reader, and names the line in the way."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import io
import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.json

from lakehouse.ingest.columns import check_names
from lakehouse.ingest.numbers import InexactError, new_numbers_as_double
from lakehouse.ingest.problems import ProblemError, RowProblemError
from lakehouse.ingest.read_csv import check_end
from lakehouse.ingest.source import Source

_INTEGER_LIMITS = {"int": 2**31, "bigint": 2**63}


def read_json_lines(source: Source, content: bytes, taken_up: Mapping[str, str], is_part: bool) -> pa.Table:
    """The rows, with the columns' names in the file; those that are not declared with their own type.

    Args:
        taken_up: type of each undeclared column that bronze already took up.
        is_part: whether the content is some lines of a file, which need not have each column.

    Raises:
        ProblemError: the file was cut off, lacks a column, or has one too many.
        RowProblemError: a line is not an object, or has a value of another type.
    """
    if not content:
        return source.delivered_schema.empty_table()
    _check_json_end(content)
    _check_utf8(content)
    # Arrow takes a time without a zone for UTC, and a text that looks like a time for one: cast afterwards.
    texts = pa.schema(
        [
            (field.name, pa.string() if pa.types.is_temporal(field.type) else field.type)
            for field in source.delivered_schema
        ]
    )
    try:
        rows = _parse_json(content, texts)
        inferred = [field.name for field in rows.schema if pa.types.is_temporal(field.type)]
        if inferred:
            rows = _parse_json(content, pa.schema([*texts, *((name, pa.string()) for name in inferred)]))
        lines = sum(1 for line in content.split(b"\n") if line.strip())
        if rows.num_rows != lines:
            raise pa.ArrowInvalid(f"{rows.num_rows} objects on {lines} lines")
        if not is_part:
            check_names(
                source,
                [
                    name
                    for name in rows.column_names
                    if name not in texts.names or _occurs(rows, name, content)
                ],
            )
        types = {field.name: field.type for field in source.delivered_schema}
        rows = rows.cast(
            pa.schema([(field.name, types.get(field.name, field.type)) for field in rows.schema])
        )
    except pa.ArrowException as error:
        said = _json_error(source, content) or RowProblemError(f"is not JSON lines: {error}")
        raise said from error
    try:
        return new_numbers_as_double(rows, content, types, taken_up)
    except InexactError as error:
        raise RowProblemError(str(error), f"line {error.line}, ", error.line - 1) from error


def _check_json_end(content: bytes) -> None:
    if content.endswith(b"\n"):
        return
    lines = content.split(b"\n")
    try:
        json.loads(lines[-1])
    except ValueError:
        raise ProblemError(f"line {len(lines)} is cut off") from None
    check_end(content)


def _check_utf8(content: bytes) -> None:
    """Arrow takes any bytes of JSON for text, and who reads the table fails."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RowProblemError(f"is not UTF-8: {error.reason}", f"line {line} ", line - 1) from error


def _parse_json(content: bytes, schema: pa.Schema) -> pa.Table:
    return pyarrow.json.read_json(
        io.BytesIO(content),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(content) + 1),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer"),
    )


def _occurs(rows: pa.Table, name: str, content: bytes) -> bool:
    """Whether a column stands in the file at all: one without any value may be there, or be missing."""
    return rows.column(name).null_count < rows.num_rows or json.dumps(name).encode() in content


def _json_error(source: Source, content: bytes) -> RowProblemError | None:
    """What is wrong with the first line that is not an object with values of the declared types."""
    for number, line in enumerate(content.split(b"\n"), start=1):
        said = _json_problem(source, line) if line.strip() else None
        if said is not None:
            return RowProblemError(said.what, f"line {number}{', ' if said.is_of_value else ' '}", number - 1)
    return None


class _Said(NamedTuple):
    what: str
    is_of_value: bool = False


def _json_problem(source: Source, line: bytes) -> _Said | None:
    try:
        row = json.loads(line)
    except ValueError as error:
        return _Said(f"is not JSON: {error}")
    if not isinstance(row, dict):
        return _Said("is not an object")
    for column in source.columns:
        value = row.get(column.delivered_name)
        if value is not None and not _is_json(column.type, value):
            shown = f"{json.dumps(value)} is not a value of type {column.type}"
            return _Said(f"column {column.delivered_name}: {shown}", is_of_value=True)
    return None


def _is_json(declared: str, value: Any) -> bool:
    try:
        match declared:
            case "string":
                return isinstance(value, str)
            case "boolean":
                return isinstance(value, bool)
            case "double":
                return isinstance(value, int | float) and not isinstance(value, bool)
            case "date":
                return bool(date.fromisoformat(value))
            case "timestamp":
                return datetime.fromisoformat(value).tzinfo is not None
            case _:
                limit = _INTEGER_LIMITS[declared]
                return isinstance(value, int) and not isinstance(value, bool) and -limit <= value < limit
    except (ValueError, TypeError):
        return False
