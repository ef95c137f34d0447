"""A table's many small files put together, so that a year of days costs what a month does.

Each day writes small files. Put together they are an OPTIMIZE commit: the rows stay, and the earlier versions
keep their files for whoever pinned them, until `lakehouse vacuum` finds that nobody needs them.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.delta.log import live_files
from lakehouse.delta.retention import warehouse_tables
from lakehouse.delta.table import is_conflict
from lakehouse.engine.server import tables_are_here
from lakehouse.errors import LakehouseError

# A day's replacement writes each file anew that has rows of the day: one of this size takes a second.
FILE_BYTES = 32 * 2**20
# Reading a table of so many small files costs nothing that a statement of Spark would not cost anyway.
MOST_SMALL_FILES = 100


@dataclass(frozen=True)
class SmallFiles:
    """The files of a table's newest version that are much smaller than they could be.

    Args:
        name: `schema.table`.
        files: how many are smaller than half of what files are put together to.
    """

    name: str
    files: int
    size_bytes: int


@dataclass(frozen=True)
class Compacted:
    """A table whose small files were put together.

    Args:
        problem: why they were not, where they were not.
    """

    name: str
    files_before: int
    files_after: int
    problem: str | None = None


# Of bronze, what is read whole: what landed, and which records of topics did.
_LEDGERS = ("bronze.deliveries", "bronze.stream_batches")


def small_files(bronze: str = "bronze") -> list[SmallFiles]:
    """The small files of each table in the warehouse, the most first; no engine is asked.

    Args:
        bronze: the schema of which the ledgers alone are looked at. Files of what was delivered hold a day
            each, by which readers of a day skip the others, and the schema is never vacuumed.
    """
    found: list[SmallFiles] = []
    for name, folder in warehouse_tables().items():
        # One whose log cannot be read is `doctor`'s to name.
        with suppress(DeltaError):
            if name in _LEDGERS or not name.startswith(f"{bronze}."):
                small = [size for size in _sizes(folder) if size < FILE_BYTES // 2]
                found.append(SmallFiles(name, len(small), sum(small)))
    return sorted(found, key=lambda each: (-each.files, each.name))


def crowded() -> list[SmallFiles]:
    """The tables that have more small files than a table should, the most first."""
    return [each for each in small_files() if each.files > MOST_SMALL_FILES]


def compact(spark: SparkSession, tables: Collection[str]) -> list[Compacted]:
    """Put the small files of tables together, each in one commit that keeps all rows.

    Where a writer comes between, the table is left for the next time, and its problem says so.

    Raises:
        LakehouseError: the warehouse is another server's.
    """
    if not tables_are_here():
        raise LakehouseError(
            "only tables on the disk of the project's own engine are put together",
            "unset SPARK_REMOTE, or ask its owner; `optimize TABLE` does it in an object store",
        )
    folders = warehouse_tables()
    spark.conf.set("spark.databricks.delta.optimize.maxFileSize", str(FILE_BYTES))
    try:
        return [_compact(spark, name, folders[name]) for name in tables]
    finally:
        spark.conf.unset("spark.databricks.delta.optimize.maxFileSize")


def _compact(spark: SparkSession, name: str, folder: Path) -> Compacted:
    before = len(_sizes(folder))
    try:
        spark.sql(f"optimize {name}").collect()
    except PySparkException as error:
        if not is_conflict(error):
            raise
        return Compacted(name, before, before, "somebody wrote to it meanwhile: run this again")
    return Compacted(name, before, len(_sizes(folder)))


def _sizes(folder: Path) -> list[int]:
    actions = live_files(DeltaTable(folder))
    return [int(size) for size in actions.column("size_bytes").to_pylist()]
