"""A source of readings, declared as a test wants it."""

import io
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from lakehouse.ingest.read.content import Content
from lakehouse.ingest.read.problems import ProblemError
from lakehouse.ingest.read.stream import read_stream
from lakehouse.ingest.source import Source

AT = "2013-07-10T10:00:00Z"


def columns_of(types: dict[str, Any]) -> list[dict[str, Any]]:
    """Declared columns: name to type, or to the fields of its declaration."""
    return [
        {"name": name, "description": name} | ({"type": kind} if isinstance(kind, str) else kind)
        for name, kind in types.items()
    ]


def declared(file_format: str, types: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A declaration of these columns and `read_at`, as YAML has it; all of its rows may be unreadable."""
    return {
        "name": "readings",
        "description": "Readings.",
        "owner": "weather",
        "format": file_format,
        "files": f"readings_{{delivery}}.{file_format}",
        "arrives": "live",
        "time_zone": "UTC",
        "reported_time": "read_at",
        "delivery_delay_minutes": 0,
        "keys": ["read_at"],
        "max_bad_share": 1,
        **more,
        "columns": columns_of({**types, "read_at": types.get("read_at", "timestamp")}),
    }


def readings(file_format: str, types: dict[str, Any], **more: Any) -> Source:
    """The source of that declaration."""
    return Source.model_validate(declared(file_format, types, **more))


class RefusedFileError(Exception):
    """A file that is not what its source declares. It begins with the file's name."""


def read_content(source: Source, content: bytes, file: str, taken_up: Mapping[str, str]) -> Content:
    """All rows of a file that is in memory.

    Args:
        content: the file's bytes.
        file: its name, for the message.
        taken_up: type of each undeclared column that bronze already took up.

    Raises:
        RefusedFileError: see `read_stream`.
    """
    try:
        parts = list(read_stream(source, io.BytesIO(content), taken_up))
    except ProblemError as problem:
        raise RefusedFileError(f"{file}: {problem}") from problem.__cause__
    empty = source.arrow_schema.empty_table()
    rows = pa.concat_tables([empty, *(part.rows for part in parts)], promote_options="default")
    new = sorted(set(rows.column_names) - set(empty.column_names))
    return Content(
        rows.select([*empty.column_names, *new]), [row for part in parts for row in part.unreadable]
    )


def values_of(source: Source, content: str | bytes) -> list[list[Any]]:
    """The rows of a file, all of them readable, without their last column."""
    raw = content.encode() if isinstance(content, str) else content
    found = read_content(source, raw, "file", {})
    assert not found.unreadable, found.unreadable
    return [list(row.values())[:-1] for row in found.rows.to_pylist()]


def read_rows(source: Source, content: bytes, file: str, taken_up: Mapping[str, str]) -> pa.Table:
    """The rows of a file, all of which are to be readable."""
    strict = source.model_copy(update={"max_bad_share": 0})
    return read_content(strict, content, file, taken_up).rows
