"""In Spark's workers: reads the JSON values of records strictly, as lines of a file are read.

Each value is a row, or there is a reason why it is none.
"""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import base64
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.ingest.declared import Column
from lakehouse.ingest.model import Declared
from lakehouse.ingest.read.columns import NO_VALUE
from lakehouse.ingest.read.json_lines import Line, parse_lines, to_typed
from lakehouse.ingest.read.typed import as_mask

TOMBSTONE = "has no value (a tombstone: bronze keeps what was, and deletes nothing)"
_CONFLUENT_HEADER = 5


class JsonReader(Declared):
    """What is read of each value.

    Args:
        columns: as declared.
        required: the names of those that have a value in every row.
        schema_id: that of Confluent's header, which each value then begins with.
    """

    columns: list[Column]
    required: frozenset[str]
    schema_id: int | None = None

    def as_json(self) -> str:
        """As `model_validate_json` reads it."""
        return self.model_dump_json(by_alias=True, exclude_unset=True)

    def read(self, values: Iterable[bytes | None]) -> tuple[pa.Table, list[str | None]]:
        """The rows, and the problem of each that is none; a bad value's row is all NULL."""
        lines: list[Line] = []
        bad: dict[int, str] = {}
        for index, value in enumerate(values):
            body, problem = self._body(value)
            lines.append(Line(index, body))
            if problem is not None:
                bad[index] = problem
        objects, not_objects = parse_lines(lines, "utf-8")
        bad = not_objects | bad
        names = {column.delivered_name for column in self.columns}
        for index, found in enumerate(objects):
            if more := sorted(found.keys() - names):
                bad.setdefault(index, f"has column {', '.join(more)}, which is not declared")
        read: list[pa.Array] = []
        for column in self.columns:
            typed = to_typed(column, objects)
            name = column.path or column.delivered_name
            for index, said in typed.bad.items():
                bad.setdefault(index, f"column {name}: {said}")
            if column.name in self.required:
                for index in np.flatnonzero(as_mask(typed.values.is_null())).tolist():
                    bad.setdefault(index, f"column {name}: {NO_VALUE}")
            read.append(typed.values)
        problems = [bad.get(index) for index in range(len(lines))]
        good = pa.array([problem is None for problem in problems], pa.bool_())
        nothing = {array.type: pa.scalar(None, array.type) for array in read}
        arrays = [pc.call_function("if_else", [good, array, nothing[array.type]]) for array in read]
        return pa.table(arrays, names=[column.name for column in self.columns]), problems

    def _body(self, value: bytes | None) -> tuple[bytes, str | None]:
        """A value without Confluent's header; or an empty object in its place, and what is wrong with it."""
        if value is None:
            return b"{}", TOMBSTONE
        if self.schema_id is None:
            return value, None
        if len(value) < _CONFLUENT_HEADER or value[0] != 0:
            return b"{}", "does not begin with Confluent's header"
        found = int.from_bytes(value[1:_CONFLUENT_HEADER], "big")
        if found != self.schema_id:
            return b"{}", f"has schema {found} of the registry, and {self.schema_id} is declared"
        return value[_CONFLUENT_HEADER:], None


def read_values(batches: Iterable[pa.RecordBatch], reader: str) -> Iterator[pa.RecordBatch]:
    """For `mapInArrow`: records of a topic as rows, and those that are none as text with the reason.

    Args:
        batches: `key`, `value`, `_partition`, `_offset`, `_record_at`.
        reader: a `JsonReader`, as JSON.
    """
    asked = JsonReader.model_validate_json(reader)
    for batch in batches:
        values, keys = batch.column("value").to_pylist(), batch.column("key").to_pylist()
        rows, problems = asked.read(values)
        for name in ("_partition", "_offset", "_record_at"):
            rows = rows.append_column(name, batch.column(name))
        for name, texts in _set_aside(values, keys, problems).items():
            rows = rows.append_column(name, pa.array(texts, pa.string()))
        yield from rows.to_batches()


def _set_aside(
    values: Sequence[bytes | None], keys: Sequence[bytes | None], problems: Sequence[str | None]
) -> dict[str, list[str | None]]:
    aside: list[tuple[str | None, str | None, str | None]] = [
        (None, None, None) if problem is None else _as_text(value, key)
        for value, key, problem in zip(values, keys, problems, strict=True)
    ]
    return {
        "record_key": [key for _, key, _ in aside],
        "raw": [raw for raw, _, _ in aside],
        "encoding": [encoding for _, _, encoding in aside],
        "reason": list(problems),
    }


def _as_text(value: bytes | None, key: bytes | None) -> tuple[str | None, str | None, str]:
    """Value and key as text, both as base64 where one of them is not."""
    try:
        texts = [None if each is None else each.decode() for each in (value, key)]
        return texts[0], texts[1], "text"
    except UnicodeDecodeError:
        encoded = [None if each is None else base64.b64encode(each).decode() for each in (value, key)]
        return encoded[0], encoded[1], "base64"
