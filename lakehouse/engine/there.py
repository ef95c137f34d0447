"""Files that only the engine's machines see: on a cluster's disk, or in an object store.

Its tasks do the looking and the reading, so this machine needs neither the disk nor the store's credentials.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from lakehouse.engine.worker_code import in_workers

# A task reads so much, and a job so much: Spark keeps a job's answers within `spark.driver.maxResultSize`.
_PART_BYTES, _JOB_BYTES = 32 * 2**20, 256 * 2**20
_MODULE = "lakehouse.engine.files_there"


@dataclass(frozen=True)
class FileThere:
    """A file as the engine's machines see it; its time of change in nanoseconds."""

    name: str
    size: int
    modified_ns: int


def look(spark: SparkSession, folder: str, names: Sequence[str] | None = None) -> dict[str, FileThere]:
    """The files of a folder by name, without what is missing.

    Args:
        folder: a URI.
        names: paths below it; by default all files that lie in it.
    """
    if names is not None and not names:
        return {}
    asked = json.dumps({"folder": folder.rstrip("/"), "names": None if names is None else list(names)})
    rows = _job(spark, "look", asked, "name string, size bigint, modified_ns bigint").collect()
    return {row[0]: FileThere(*row) for row in rows}


def fetch(spark: SparkSession, folder: str, files: Sequence[FileThere], into: Path) -> None:
    """Copy files of a folder to this machine, in chunks; each appears under its name when it is whole.

    Args:
        folder: a URI.
        into: they keep their paths below it, and their times.
    """
    for file in files:
        path = into / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        _unfinished(path).touch()
    for parts in _jobs(files):
        asked = json.dumps({"folder": folder.rstrip("/"), "parts": parts})
        rows = _job(spark, "read", asked, "name string, start bigint, content binary", len(parts))
        for row in rows.toLocalIterator():
            with _unfinished(into / row[0]).open("r+b") as written:
                written.seek(row[1])
                written.write(row[2])
    for file in files:
        path = into / file.name
        os.utime(_unfinished(path), ns=(file.modified_ns, file.modified_ns))
        _unfinished(path).rename(path)


def make_folder(spark: SparkSession, folder: str) -> None:
    """Make a folder where the engine's machines see it."""
    _job(spark, "make", folder, "name string").collect()


def remove_folder(spark: SparkSession, folder: str) -> None:
    """Remove a folder there with all that is in it."""
    _job(spark, "remove", folder, "name string").collect()


def folders(spark: SparkSession, folder: str) -> list[str]:
    """The names of the folders in a folder there."""
    return [row[0] for row in _job(spark, "folders", folder, "name string").collect()]


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _job(spark: SparkSession, function: str, asked: str, schema: str, tasks: int = 1) -> DataFrame:
    numbers = spark.range(0, tasks, 1, tasks)
    return numbers.mapInArrow(in_workers(_MODULE, function, asked), schema)


def _jobs(files: Iterable[FileThere]) -> Iterator[list[tuple[str, int, int]]]:
    """Parts of files (name, first byte, number of bytes) that one job reads."""
    parts: list[tuple[str, int, int]] = []
    gathered = 0
    for file in files:
        for start in range(0, file.size, _PART_BYTES):
            size = min(_PART_BYTES, file.size - start)
            if parts and gathered + size > _JOB_BYTES:
                yield parts
                parts, gathered = [], 0
            parts.append((file.name, start, size))
            gathered += size
    if parts:
        yield parts
