"""In Spark's workers: reads delivered files strictly, and stages their rows as Parquet for Spark."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import hashlib
import io
import uuid
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from typing_extensions import Buffer

from lakehouse.engine.files_there import at
from lakehouse.ingest.delivery import is_of_store
from lakehouse.ingest.offer import Found, Offer, Work
from lakehouse.ingest.read.content import Content
from lakehouse.ingest.read.problems import ProblemError
from lakehouse.ingest.read.stream import new_columns, read_stream
from lakehouse.ingest.source import Source
from lakehouse.ingest.technical import QUARANTINE_COLUMNS, TECHNICAL_COLUMNS
from lakehouse.ingest.types import ARROW_TYPES

# Rows are gathered up to so many bytes, and a file of them up to so many.
_GROUP_BYTES, _FILE_BYTES = 32 * 2**20, 256 * 2**20
_READ_BYTES = 2**20


def stage(batches: Iterable[pa.RecordBatch], work: str) -> Iterator[pa.RecordBatch]:
    """For `mapInArrow`: each row is a task's number; the answers are `Found`s, as JSON.

    Args:
        work: a `Work`, as JSON.
    """
    asked = Work.model_validate_json(work)
    for batch in batches:
        for number in batch.column(0).to_pylist():
            staging = _Staging(asked.staging)
            found = [_find(asked, offer, staging) for offer in asked.tasks[number]]
            staging.close()
            answers = [each.model_dump_json() for each in found]
            yield pa.record_batch({"found": pa.array(answers, pa.string())})


def _find(work: Work, offer: Offer, staging: "_Staging") -> Found:
    try:
        filesystem, path = at(offer.path)
        before = _look(filesystem, path)
        found = _read(work, offer, staging, filesystem, path)
        if _look(filesystem, path) != before:
            return Found(offer=offer, waiting="it is still being written")
    except OSError as error:
        why = f"cannot be read: {error.strerror or error}"
        return Found(offer=offer, waiting=why) if is_of_store(error) else Found(offer=offer, refused=why)
    return found


def _look(filesystem: pyarrow.fs.FileSystem, path: str) -> tuple[int, int]:
    info = filesystem.get_file_info(path)
    if info.type != pyarrow.fs.FileType.File:
        raise FileNotFoundError(2, "it is not there")
    return info.size, info.mtime_ns


def _read(
    work: Work, offer: Offer, staging: "_Staging", filesystem: pyarrow.fs.FileSystem, path: str
) -> Found:
    source = work.sources[offer.source]
    digest = _digest(filesystem, path)
    if offer.is_known:
        return Found(offer=offer, digest=digest)
    stamp = _Stamp(work, offer, digest)
    known = work.taken_up.get(offer.source, {})
    rows = unreadable = 0
    new: dict[str, str] = {}
    staged: set[str] = set()
    set_aside: set[str] = set()
    try:
        with _opened(filesystem, path, source) as stream:
            for part in read_stream(source, stream, known):
                new |= new_columns(source, part.rows)
                rows, unreadable = rows + part.rows.num_rows, unreadable + len(part.unreadable)
                if part.rows.num_rows:
                    staged.add(staging.write(f"{source.name}-rows", stamp.on(part.rows)))
                if part.unreadable:
                    set_aside.add(staging.write(f"{source.name}-unreadable", stamp.on(_as_text(part))))
    except ProblemError as problem:
        return Found(offer=offer, digest=digest, refused=str(problem))
    return Found(
        offer=offer,
        digest=digest,
        rows=rows,
        unreadable=unreadable,
        new_columns=new,
        staged=frozenset(staged),
        set_aside=frozenset(set_aside),
    )


def _digest(filesystem: pyarrow.fs.FileSystem, path: str) -> str:
    """SHA-256 of a file's bytes, as they were delivered."""
    digest = hashlib.sha256()
    with filesystem.open_input_stream(path, compression=None) as stream:
        while block := stream.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _opened(filesystem: pyarrow.fs.FileSystem, path: str, source: Source) -> BinaryIO:
    if source.format == "parquet":
        return cast(BinaryIO, filesystem.open_input_file(path))
    stream = filesystem.open_input_stream(path, compression=source.compression, buffer_size=_READ_BYTES)
    return cast(BinaryIO, io.BufferedReader(_Raw(stream), _READ_BYTES))


class _Raw(io.RawIOBase):
    """Arrow's stream as Python's, which can be read by lines."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        content = self._stream.read(len(view))
        view[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Stamp:
    """The columns that ingestion adds to the rows of a file."""

    def __init__(self, work: Work, offer: Offer, digest: str) -> None:
        self._values = {
            "_batch_id": offer.batch_id,
            "_ingested_at": work.at,
            "_source_file": offer.file,
            "_batch_digest": digest,
            "_delivered_until": offer.delivered_until,
        }

    def on(self, rows: pa.Table) -> pa.Table:
        for name, value in self._values.items():
            scalar = pa.scalar(value, ARROW_TYPES[TECHNICAL_COLUMNS[name]])
            rows = rows.append_column(name, pa.repeat(scalar, rows.num_rows))
        return rows


def _as_text(part: Content) -> pa.Table:
    values = {
        "line_number": [row.line for row in part.unreadable],
        "raw": [row.raw for row in part.unreadable],
        "reason": [row.reason for row in part.unreadable],
    }
    return pa.table(
        {name: pa.array(values[name], ARROW_TYPES[sql]) for name, (sql, _) in QUARANTINE_COLUMNS.items()}
    )


class StagingError(Exception):
    """Rows that were read cannot be kept: no delivery lands."""


class _Staging:
    """Parquet files of one task, under names that no other task nor attempt has.

    Args:
        folder: a URI or an absolute path.
    """

    def __init__(self, folder: str) -> None:
        self._filesystem, self._folder = at(folder)
        self._files: dict[str, _StagedFile] = {}

    def write(self, kind: str, rows: pa.Table) -> str:
        """Add rows to the file of their kind; returns its name.

        Raises:
            StagingError: they cannot be written.
        """
        with self._naming_itself():
            file = self._files.get(kind)
            if file is None or file.is_full or not file.schema.equals(rows.schema):
                if file is not None:
                    file.close()
                name = f"{kind}-{uuid.uuid4().hex}.parquet"
                path = f"{self._folder}/{name}"
                file = self._files[kind] = _StagedFile(self._filesystem, path, name, rows.schema)
            file.write(rows)
            return file.name

    def close(self) -> None:
        with self._naming_itself():
            for file in self._files.values():
                file.close()

    @contextmanager
    def _naming_itself(self) -> Generator[None]:
        """A full disk is not the fault of the delivery that is being read."""
        try:
            yield
        except OSError as error:
            raise StagingError(f"rows cannot be staged in {self._folder}: {error}") from error


class _StagedFile:
    """A Parquet file into which rows go in groups of some size."""

    def __init__(self, filesystem: pyarrow.fs.FileSystem, path: str, name: str, schema: pa.Schema) -> None:
        self.name = name
        self.schema = schema
        self._sink = filesystem.open_output_stream(path)
        self._writer = pq.ParquetWriter(self._sink, schema, compression="snappy", write_statistics=False)
        self._waiting: list[pa.Table] = []
        self._waiting_bytes = 0

    @property
    def is_full(self) -> bool:
        return self._sink.tell() >= _FILE_BYTES

    def write(self, rows: pa.Table) -> None:
        self._waiting.append(rows)
        self._waiting_bytes += rows.nbytes
        if self._waiting_bytes >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()
        self._sink.close()

    def _flush(self) -> None:
        if self._waiting:
            rows = pa.concat_tables(self._waiting)
            self._writer.write_table(rows, row_group_size=rows.num_rows)
        self._waiting, self._waiting_bytes = [], 0
