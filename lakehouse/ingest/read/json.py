"""Reads JSON lines as their source declares them, block by block.

Arrow reads a block where its values are of the declared types; where one is not, or a column needs more than
that, each line is read by itself. Both take the same values, and a test says so.
"""

# pyarrow ships no types, and makes its functions when it is imported.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

import io
import json
import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from lakehouse.ingest.declared import Column
from lakehouse.ingest.read.columns import convert_new, gather
from lakehouse.ingest.read.content import Content
from lakehouse.ingest.read.encoding import as_text, text_problem
from lakehouse.ingest.read.json_lines import Line, parse_lines, to_typed, typed_new
from lakehouse.ingest.read.problems import ProblemError
from lakehouse.ingest.read.text import from_text
from lakehouse.ingest.read.typed import Typed, one
from lakehouse.ingest.source import Source
from lakehouse.ingest.types import arrow_type, element_type, type_name

# Whole numbers beyond it are not all doubles.
_EXACT = 2**53
# Arrow takes small numbers for zero, words for numbers, and dies (in release 25) of a null that is no field.
_DOUBTFUL = re.compile(rb"\}\s*null|[eE]-[0-9]{3}|0\.0{100}|:\s*[-+]?(?:NaN|Inf)")


def read_block(source: Source, block: bytes, first_line: int, taken_up: Mapping[str, str]) -> Content:
    """The rows of a block, with those columns that are not declared of their own type.

    Args:
        block: whole lines, as UTF-8.
        first_line: the line of the file at which the block begins, from 1.
        taken_up: type of each undeclared column that bronze already took up.

    Raises:
        ProblemError: a new column has a type that bronze does not take up.
    """
    fast = _by_arrow(source, block, taken_up)
    return read_line_by_line(source, block, first_line, taken_up) if fast is None else fast


def _by_arrow(source: Source, block: bytes, taken_up: Mapping[str, str]) -> Content | None:
    """All rows of a block; None where one is not as declared, or Arrow could not tell."""
    schema = _schema(source)
    if not block or schema is None or _DOUBTFUL.search(block):
        return None
    count = _count(block)
    if count is None or text_problem("utf-8", block) is not None:
        return None
    try:
        rows = pyarrow.json.read_json(
            io.BytesIO(block),
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(block) + 1),
            parse_options=pyarrow.json.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="infer"
            ),
        )
    except pa.ArrowException:
        return None
    if rows.num_rows != count:
        return None
    declared: dict[str, Typed] = {}
    for column in source.columns:
        values = one(rows.column(column.delivered_name))
        if len(column.steps) > 1:
            values = pc.struct_field(values, list(column.steps[1:]))
        numbers = values.flatten() if pa.types.is_list(values.type) else values
        if pa.types.is_floating(numbers.type) and _is_rounded(numbers):
            return None
        is_text = column.type in ("date", "timestamp")
        texts = values.cast(pa.string()) if is_text and column.unit else values
        declared[column.name] = from_text(texts, column, column.type) if is_text else Typed(values)
        if declared[column.name].bad:
            return None
    added: dict[str, Typed] = {}
    for name in set(rows.column_names) - set(source.delivered_names):
        values = one(rows.column(name))
        if pa.types.is_null(values.type):
            continue
        if not (pa.types.is_boolean(values.type) or pa.types.is_string(values.type)):
            # Of numbers, only their text says whether a double holds them.
            return None
        kind = type_name(values.type)
        if taken_up.get(name, kind) != kind:
            return None
        added[name] = Typed(convert_new(name, values, taken_up))
    content = gather(source, declared, added, {}, lambda order: [(0, "")] * len(order))
    if content.unreadable:
        return None
    seen = (name for name in rows.column_names if _occurs(rows, name, block))
    return Content(content.rows, (), frozenset(seen))


def _count(block: bytes) -> int | None:
    """How many lines hold something; None where an object may go on in the next line, as Arrow lets it."""
    lines = [line for line in map(bytes.strip, block.split(b"\n")) if line]
    return len(lines) if all(line[0] == ord("{") and line[-1] == ord("}") for line in lines) else None


def _schema(source: Source) -> pa.Schema | None:
    """How Arrow is to parse lines; None where a column asks for more than it does."""
    tree: dict[str, Any] = {}
    for column in source.columns:
        steps = column.steps or (column.delivered_name,)
        *way, last = (step for step in steps if isinstance(step, str))
        is_of_times = element_type(column.type) in ("date", "timestamp")
        if column.allow_inf_nan or is_of_times or len(way) + 1 < len(steps):
            return None
        fields = tree
        for step in way:
            fields = fields.setdefault(step, {})
            if not isinstance(fields, dict):
                return None
        if last in fields:
            return None
        fields[last] = _as_parsed(column)
    return pa.schema(list(_struct(tree)))


def _struct(tree: Mapping[str, Any]) -> pa.StructType:
    return pa.struct(
        [(name, _struct(found) if isinstance(found, dict) else found) for name, found in tree.items()]
    )


def _as_parsed(column: Column) -> pa.DataType:
    """Times are read as text: Arrow would take one without a zone for UTC."""
    if column.unit is not None:
        return pa.int64()
    return pa.string() if column.type in ("date", "timestamp") else arrow_type(column.type)


def _is_rounded(values: pa.Array) -> bool:
    largest = pc.max(pc.abs(values)).as_py()
    return largest is not None and not largest < _EXACT


def _occurs(rows: pa.Table, name: str, block: bytes) -> bool:
    """Whether a column stands in the block at all: one without any value may be there, or be missing."""
    if rows.column(name).null_count < rows.num_rows:
        return True
    quoted = json.dumps(name, ensure_ascii=False).encode()
    if quoted not in block and b"\\u" not in block:
        return False
    return any(name in json.loads(line) for line in block.split(b"\n") if line.strip())


def read_line_by_line(source: Source, block: bytes, first_line: int, taken_up: Mapping[str, str]) -> Content:
    lines = [
        Line(number, raw) for number, raw in enumerate(block.split(b"\n"), start=first_line) if raw.strip()
    ]
    objects, bad = parse_lines(lines, source.json_lines.encoding)
    declared = {column.name: to_typed(column, objects) for column in source.columns}
    names = {name for each in objects for name in each}
    added: dict[str, Typed] = {}
    for name in names - set(source.delivered_names):
        try:
            new = typed_new(name, [each.get(name) for each in objects], taken_up)
        except ValueError as error:
            raise ProblemError(str(error)) from error
        if new is not None:
            added[name] = new
    content = gather(
        source,
        declared,
        added,
        bad,
        lambda order: [(lines[index].number, as_text(lines[index].raw).strip("\r\n")) for index in order],
    )
    return Content(content.rows, content.unreadable, frozenset(names))


def json_cut_off(rest: bytes, line: int) -> str:
    """What is wrong with the last line of a file, which has no line break."""
    try:
        json.loads(rest)
    except ValueError:
        return f"line {line} is cut off"
    return f"line {line} has no line break at its end: the file was cut off"
