"""Reads one delivered file strictly as its source declares it: all of its rows, or why it is refused."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import csv
import io
import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from lakehouse.errors import LakehouseError
from lakehouse.ingest.numbers import InexactError, new_numbers_as_double
from lakehouse.ingest.source import ARROW_TYPES, Source

_INTEGER_LIMITS = {"int": 2**31, "bigint": 2**63}


class RefusedFileError(LakehouseError):
    """A file that is not what its source declares. `what` begins with the file's name.

    Args:
        by_row: whether some of its rows are the reason, so that others may be all right.
    """

    def __init__(self, file: str, reason: str, by_row: bool = False) -> None:
        super().__init__(f"{file}: {reason}", "deliver it again, or change its declaration in sources/")
        self.file = file
        self.reason = reason
        self.by_row = by_row


class ProblemError(Exception):
    """Why a file is refused."""


class RowProblemError(ProblemError):
    """Why a row is refused.

    Args:
        what: the problem, without the place.
        place: the line or row, in words.
        index: which row it is, from 0; None where the reader does not say it.
    """

    def __init__(self, what: str, place: str = "", index: int | None = None) -> None:
        super().__init__(f"{place}{what}")
        self.what = what
        self.index = index


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
        rows = _read_csv(source, content)
    else:
        rows = _read_json_lines(source, content, taken_up, is_part)
    return _as_declared(source, rows, taken_up)


def _as_declared(source: Source, rows: pa.Table, taken_up: Mapping[str, str]) -> pa.Table:
    declared = rows.select(source.delivered_schema.names).rename_columns(source.arrow_schema.names)
    added = rows.drop_columns(source.delivered_schema.names)
    if clashing := sorted(set(added.column_names) & set(declared.column_names)):
        raise ProblemError(f"has column {', '.join(clashing)}, but bronze has another one of that name")
    rows = _with_new_columns(source, declared, added, taken_up)
    _check_required(source, rows)
    return rows


def _read_csv(source: Source, content: bytes) -> pa.Table:
    if not content:
        raise ProblemError("is empty, without even a header")
    _check_end(content)
    first_line = content.partition(b"\n")[0].decode("utf-8-sig", errors="replace")
    names = next(csv.reader([first_line.rstrip("\r")]))
    _check_names(source, names)
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


def _read_json_lines(source: Source, content: bytes, taken_up: Mapping[str, str], is_part: bool) -> pa.Table:
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
            _check_names(
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
    _check_end(content)


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
    _check_names(source, rows.column_names)
    return rows


def typed_parquet(source: Source, rows: pa.Table, taken_up: Mapping[str, str]) -> pa.Table:
    """Rows of a Parquet file, typed as declared.

    Raises:
        ProblemError: a column is of another kind.
        RowProblemError: a value does not fit, or is missing.
    """
    columns = {name: rows.column(name) for name in rows.column_names}
    for field in source.delivered_schema:
        columns[field.name] = _convert(field.name, columns[field.name], field.type)
    return _as_declared(source, pa.table(columns), taken_up)


def _convert(name: str, values: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """A wider or narrower type of the same kind, without loss; another kind is refused."""
    if not _same_kind(values.type, wanted):
        raise ProblemError(f"column {name} is {values.type}, declared {_declared_name(wanted)}")
    try:
        return values.cast(wanted)
    except pa.ArrowException as error:
        raise RowProblemError(f"column {name} does not fit {_declared_name(wanted)}: {error}") from error


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
        raise ProblemError(f"line {lines} has no line break at its end: the file was cut off")


def _check_names(source: Source, names: list[str]) -> None:
    """Every declared column once, and others only where the source allows new ones."""
    declared = source.delivered_schema.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ProblemError(f"column {', '.join(twice)} stands there twice")
    missing = [name for name in declared if name not in names]
    if missing:
        raise ProblemError(f"lacks column {', '.join(missing)}")
    extra = [name for name in names if name not in declared]
    if extra and not source.allow_new_columns:
        raise ProblemError(f"has column {', '.join(extra)}, which is not declared")
    bad = [name for name in extra if not re.fullmatch(r"[a-z][a-z0-9_]*", name)]
    if bad:
        raise ProblemError(f"new column {', '.join(map(repr, bad))} has no name of the form lower_case_1")


def _with_new_columns(
    source: Source, declared: pa.Table, added: pa.Table, taken_up: Mapping[str, str]
) -> pa.Table:
    kept = declared
    for name in sorted(added.column_names):
        values = added.column(name)
        if pa.types.is_null(values.type):
            continue
        wanted = ARROW_TYPES[taken_up[name]] if name in taken_up else _type_of_new(name, values.type)
        try:
            if name in taken_up and pa.types.is_integer(values.type) and pa.types.is_floating(wanted):
                values = values.cast(pa.float64())
            kept = kept.append_column(name, _convert(name, values, wanted))
        except pa.ArrowException as error:
            raise RowProblemError(f"column {name} does not fit {_declared_name(wanted)}: {error}") from error
        except ProblemError as problem:
            # JSON has no types of columns: a value of another kind is its row's.
            raise (RowProblemError(str(problem)) if source.format == "jsonl" else problem) from problem
    return kept


def _type_of_new(name: str, found: pa.DataType) -> pa.DataType:
    candidates = ("string", "bigint", "double", "boolean", "date", "timestamp")
    for candidate in candidates:
        if _same_kind(found, ARROW_TYPES[candidate]):
            return ARROW_TYPES[candidate]
    raise ProblemError(
        f"new column {name} is {found}: declare it, with one of the types {', '.join(candidates)}"
    )


def _check_required(source: Source, rows: pa.Table) -> None:
    for name in rows.column_names:
        if name in source.required and rows.column(name).null_count:
            index = pc.index(rows.column(name).is_null(), True).as_py()
            said = f"column {name}: has no value, and one is required"
            raise RowProblemError(said, f"row {index + 1}, ", index)
