"""In one of Spark's tasks: packs the rows of a push and writes them; none passes through the client."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from lakehouse.errors import LakehouseError
from lakehouse.online.packing import key_text, packed_rows, schema_of
from lakehouse.online.state import NEWEST, OnlineWriter, PackedRow, Push
from lakehouse.online.target import Target

ANSWER = "written bigint, problem string"


def write_rows(batches: Iterable[pa.RecordBatch], push: str, target: str) -> Iterator[pa.RecordBatch]:
    """Write all rows of a task; answers with their number, or with what went wrong.

    Args:
        push: a `Push`, as text.
        target: a `Target`, as text.
    """
    written, problem = 0, None
    try:
        writer = Target.from_text(target).writer()
        try:
            for batch in batches:
                written += write_batch(batch, Push.from_text(push), writer)
        finally:
            writer.close()
    except LakehouseError as error:
        problem = error.what
    yield pa.RecordBatch.from_pydict(
        {"written": [written], "problem": [problem]},
        schema=pa.schema([("written", pa.int64()), ("problem", pa.string())]),
    )


def write_batch(batch: pa.RecordBatch, push: Push, writer: OnlineWriter) -> int:
    """Write the rows of a batch; returns how many were written."""
    schema = schema_of(batch.schema)
    packed = packed_rows(batch, schema)
    keys, days = keys_of(batch, push.entity), _days(batch, push.day)
    rows = [PackedRow(key, day, push.wrapped(row)) for key, day, row in zip(keys, days, packed, strict=True)]
    return writer.put(push, schema, rows)


def keys_of(batch: Any, entity: Sequence[str]) -> list[str]:
    """The store's name of each row's entity."""
    columns = [batch.column(name).to_pylist() for name in entity]
    return [key_text(dict(zip(entity, values, strict=True))) for values in zip(*columns, strict=True)]


def _days(batch: pa.RecordBatch, day: str | None) -> list[str]:
    if day is None:
        return [NEWEST] * batch.num_rows
    return [each.isoformat() for each in batch.column(day).cast(pa.date32()).to_pylist()]
