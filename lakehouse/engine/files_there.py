"""In Spark's workers: looks at, reads and removes files that only the engine's machines see."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import json
import os
from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem, S3FileSystem
from pyspark.core.files import SparkFiles

# One row of an answer; a whole file would not fit into a message.
_CHUNK_BYTES = 2**20

# As the settings read them.
_ENDPOINTS = ("LAKEHOUSE_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")

Batches = Iterable[pa.RecordBatch]


# What a client sent with its session, by its name there.
SENT = "sent:"


def at(uri: str) -> tuple[FileSystem, str]:
    """The file system of a URI or an absolute path, and the path in it."""
    if uri.startswith(SENT):
        return LocalFileSystem(), SparkFiles.get(uri.removeprefix(SENT))
    if uri.startswith("file:/"):
        # Hadoop decodes no escapes in it, and Arrow would.
        return LocalFileSystem(), f"/{uri.removeprefix('file:').lstrip('/')}"
    if uri.startswith("s3a://"):
        # The warehouse's store, when it is not Amazon's: deliveries (`s3://`) may lie in another one.
        endpoint = next(filter(None, map(os.environ.get, _ENDPOINTS)), None)
        region = {} if endpoint is None else {"endpoint_override": endpoint, "region": "us-east-1"}
        return S3FileSystem(**region), uri.removeprefix("s3a://")
    return FileSystem.from_uri(uri)


def look(batches: Batches, asked: str) -> Iterator[pa.RecordBatch]:
    """What there is: path, size in bytes, time of the last change in nanoseconds; nothing of what is missing.

    Args:
        asked: `folder`, and `names` below it; without names, all files in it. As JSON.
    """
    question = json.loads(asked)
    filesystem, folder = at(question["folder"])
    names: list[str] | None = question["names"]
    for batch in batches:
        if not batch.num_rows:
            continue
        if names is None:
            found = filesystem.get_file_info(FileSelector(folder, allow_not_found=True))
        else:
            found = filesystem.get_file_info([f"{folder}/{name}" for name in names])
        files = [each for each in found if each.type == FileType.File]
        yield pa.record_batch(
            {
                "name": pa.array([each.path[len(folder) + 1 :] for each in files], pa.string()),
                "size": pa.array([each.size for each in files], pa.int64()),
                "modified_ns": pa.array([each.mtime_ns for each in files], pa.int64()),
            }
        )


def read(batches: Batches, asked: str) -> Iterator[pa.RecordBatch]:
    """Parts of files, each row a chunk of one.

    Args:
        asked: `folder`, and `parts`, of which each row's number names one: file, first byte, number of bytes.
    """
    question = json.loads(asked)
    filesystem, folder = at(question["folder"])
    for batch in batches:
        for number in batch.column(0).to_pylist():
            name, start, size = question["parts"][number]
            with filesystem.open_input_file(f"{folder}/{name}") as file:
                file.seek(start)
                for first in range(start, start + size, _CHUNK_BYTES):
                    content = file.read(min(_CHUNK_BYTES, start + size - first))
                    yield pa.record_batch(
                        {
                            "name": pa.array([name], pa.string()),
                            "start": pa.array([first], pa.int64()),
                            "content": pa.array([content], pa.binary()),
                        }
                    )


def make(batches: Batches, folder: str) -> Iterator[pa.RecordBatch]:
    """Make a folder, with those above it."""
    filesystem, path = at(folder)
    for batch in batches:
        filesystem.create_dir(path, recursive=True)
        yield _done(batch)


def remove(batches: Batches, folder: str) -> Iterator[pa.RecordBatch]:
    """Remove a folder with all that is in it; one that is not there is no error."""
    filesystem, path = at(folder)
    for batch in batches:
        if filesystem.get_file_info(path).type == FileType.Directory:
            filesystem.delete_dir(path)
        yield _done(batch)


def folders(batches: Batches, folder: str) -> Iterator[pa.RecordBatch]:
    """The names of the folders in a folder."""
    filesystem, path = at(folder)
    for batch in batches:
        if batch.num_rows:
            found = filesystem.get_file_info(FileSelector(path, allow_not_found=True))
            names = [each.base_name for each in found if each.type == FileType.Directory]
            yield pa.record_batch({"name": pa.array(names, pa.string())})


def _done(batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.record_batch({"name": pa.array([""] * batch.num_rows, pa.string())})
