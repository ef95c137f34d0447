"""Reads one delivered file strictly as its source declares it: all of its rows, or why it is refused."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import csv
import io
import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from lakehouse.errors import LakehouseError
from lakehouse.ingest.source import ARROW_TYPES, Source

_INTEGER_LIMITS = {"int": 2**31, "bigint": 2**63}


class RefusedFileError(LakehouseError):
    """A file that is not what its source declares. `what` begins with the file's name."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}", "deliver it again, or change its declaration in sources/")
        self.file = file
        self.reason = reason


class _ProblemError(Exception):
    """Why a file is refused."""


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
    readers = {"csv": _read_csv, "jsonl": _read_json_lines, "parquet": _read_parquet}
    try:
        rows = readers[source.format](source, content)
        rows = _with_new_columns(source, rows, taken_up)
        _check_required(source, rows)
    except _ProblemError as problem:
        raise RefusedFileError(file, str(problem)) from problem.__cause__
    return rows


def _read_csv(source: Source, content: bytes) -> pa.Table:
    if not content:
        raise _ProblemError("is empty, without even a header")
    _check_end(content)
    first_line = content.partition(b"\n")[0].decode("utf-8-sig", errors="replace")
    names = next(csv.reader([first_line.rstrip("\r")]))
    _check_names(source, names)
    types = {name: pa.string() for name in names} | {field.name: field.type for field in source.arrow_schema}
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
        raise _ProblemError(_csv_error(str(error), names, source)) from error


def _csv_error(message: str, names: list[str], source: Source) -> str:
    """Arrow's message in the words of the file: line, column and value."""
    wrong_value = re.search(
        r"In CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error .*?: (.*)", message, re.DOTALL
    )
    if wrong_value:
        name = names[int(wrong_value[1])]
        declared = next((column.type for column in source.columns if column.name == name), "string")
        at = f"line {wrong_value[2]}, " if wrong_value[2] else ""
        return f"{at}column {name}: {wrong_value[3].strip()}, declared {declared}"
    wrong_width = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", message)
    if wrong_width:
        return f"line {wrong_width[1]} has {wrong_width[3]} values, the header has {wrong_width[2]} columns"
    return f"is not CSV: {message}"


def _read_json_lines(source: Source, content: bytes) -> pa.Table:
    if not content:
        return source.arrow_schema.empty_table()
    # Arrow takes a time without a zone for UTC, and a text that looks like a time for one: cast afterwards.
    texts = pa.schema(
        [
            (field.name, pa.string() if pa.types.is_temporal(field.type) else field.type)
            for field in source.arrow_schema
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
        _check_end(content)
        _check_names(
            source,
            [name for name in rows.column_names if name not in texts.names or _occurs(rows, name, content)],
        )
        types = {field.name: field.type for field in source.arrow_schema}
        return rows.cast(
            pa.schema([(field.name, types.get(field.name, field.type)) for field in rows.schema])
        )
    except pa.ArrowException as error:
        raise _ProblemError(_json_error(source, content) or f"is not JSON lines: {error}") from error


def _parse_json(content: bytes, schema: pa.Schema) -> pa.Table:
    return pyarrow.json.read_json(
        io.BytesIO(content),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(content) + 1),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer"),
    )


def _occurs(rows: pa.Table, name: str, content: bytes) -> bool:
    """Whether a column stands in the file at all: one without any value may be there, or be missing."""
    return rows.column(name).null_count < rows.num_rows or json.dumps(name).encode() in content


def _json_error(source: Source, content: bytes) -> str | None:
    """The first line that is not an object with values of the declared types."""
    types = {column.name: column.type for column in source.columns}
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            is_last = number == len(lines)
            return f"line {number} is cut off" if is_last else f"line {number} is not JSON: {error}"
        if not isinstance(row, dict):
            return f"line {number} is not an object"
        for name, value in row.items():
            if name in types and value is not None and not _is_json(types[name], value):
                return (
                    f"line {number}, column {name}: {json.dumps(value)} is not a value of type {types[name]}"
                )
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


def _read_parquet(source: Source, content: bytes) -> pa.Table:
    if not content:
        raise _ProblemError("is empty, without even a footer")
    try:
        rows = pq.read_table(io.BytesIO(content))
        rows.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise _ProblemError(f"is cut off or damaged: {error}") from error
    _check_names(source, rows.column_names)
    columns = {name: rows.column(name) for name in rows.column_names}
    for field in source.arrow_schema:
        columns[field.name] = _convert(field.name, columns[field.name], field.type)
    return pa.table(columns)


def _convert(name: str, values: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """A wider or narrower type of the same kind, without loss; another kind is refused."""
    if not _same_kind(values.type, wanted):
        raise _ProblemError(f"column {name} is {values.type}, declared {_declared_name(wanted)}")
    try:
        return values.cast(wanted)
    except pa.ArrowException as error:
        raise _ProblemError(f"column {name} does not fit {_declared_name(wanted)}: {error}") from error


def _same_kind(found: pa.DataType, wanted: pa.DataType) -> bool:
    is_dictionary = pa.types.is_dictionary(found)
    kind = found.value_type if is_dictionary else found
    if pa.types.is_timestamp(wanted):
        return pa.types.is_timestamp(kind) and kind.tz is not None
    kinds = (
        (pa.types.is_integer,),
        (pa.types.is_floating,),
        (pa.types.is_boolean,),
        (pa.types.is_date,),
        (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
    )
    return any(
        any(is_one(kind) for is_one in tests) and any(is_one(wanted) for is_one in tests) for tests in kinds
    )


def _declared_name(arrow_type: pa.DataType) -> str:
    return next((name for name, declared in ARROW_TYPES.items() if declared == arrow_type), str(arrow_type))


def _check_end(content: bytes) -> None:
    if not content.endswith(b"\n"):
        lines = content.count(b"\n") + 1
        raise _ProblemError(f"line {lines} has no line break at its end: the file was cut off")


def _check_names(source: Source, names: list[str]) -> None:
    """Every declared column once, and others only where the source allows new ones."""
    declared = source.arrow_schema.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _ProblemError(f"column {', '.join(twice)} stands there twice")
    missing = [name for name in declared if name not in names]
    if missing:
        raise _ProblemError(f"lacks column {', '.join(missing)}")
    extra = [name for name in names if name not in declared]
    if extra and not source.allow_new_columns:
        raise _ProblemError(f"has column {', '.join(extra)}, which is not declared")
    bad = [name for name in extra if not re.fullmatch(r"[a-z][a-z0-9_]*", name)]
    if bad:
        raise _ProblemError(f"new column {', '.join(map(repr, bad))} has no name of the form lower_case_1")


def _with_new_columns(source: Source, rows: pa.Table, taken_up: Mapping[str, str]) -> pa.Table:
    declared = source.arrow_schema.names
    kept = rows.select(declared)
    for name in sorted(set(rows.column_names) - set(declared)):
        values = rows.column(name)
        if pa.types.is_null(values.type):
            continue
        wanted = ARROW_TYPES[taken_up[name]] if name in taken_up else _type_of_new(name, values.type)
        if name in taken_up and pa.types.is_integer(values.type) and pa.types.is_floating(wanted):
            values = values.cast(pa.float64())
        kept = kept.append_column(name, _convert(name, values, wanted))
    return kept


def _type_of_new(name: str, found: pa.DataType) -> pa.DataType:
    candidates = ("string", "bigint", "double", "boolean", "date", "timestamp")
    for candidate in candidates:
        if _same_kind(found, ARROW_TYPES[candidate]):
            return ARROW_TYPES[candidate]
    raise _ProblemError(
        f"new column {name} is {found}: declare it, with one of the types {', '.join(candidates)}"
    )


def _check_required(source: Source, rows: pa.Table) -> None:
    for name in rows.column_names:
        if name in source.required and rows.column(name).null_count:
            index = pc.index(rows.column(name).is_null(), True).as_py()
            raise _ProblemError(f"row {index + 1}, column {name}: has no value, and one is required")
