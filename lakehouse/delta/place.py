"""Where a table lies: in our engine's warehouse, on a disk that is shared, or only where Spark sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyspark.sql import SparkSession

from lakehouse.delta import mirror
from lakehouse.delta.local import local_folder
from lakehouse.engine import there
from lakehouse.engine.there import FileThere
from lakehouse.errors import LakehouseError


@dataclass(frozen=True)
class Detail:
    """What Spark says of a Delta table: its id now, and the URI of its folder."""

    table_id: str
    uri: str


def table_exists(spark: SparkSession, name: str) -> bool:
    """Whether `schema.table` is in the metastore, as a table or a view."""
    return local_folder(name) is not None or spark.catalog.tableExists(name)


def detail(spark: SparkSession, name: str) -> Detail:
    """What Spark says of a table.

    Raises:
        LakehouseError: there is no Delta table of this name.
    """
    if not table_exists(spark, name):
        raise LakehouseError(f"table {name} does not exist", "build it first, or look at its name")
    found = spark.sql(f"describe detail {name}").select("id", "location", "format").collect()[0]
    if found["format"] != "delta":
        raise LakehouseError(f"{name} is a {found['format']} table, not a Delta one")
    return Detail(str(found["id"]), str(found["location"]))


def location(spark: SparkSession, name: str) -> Path:
    """The folder of a table that lies on this machine's disk.

    Raises:
        LakehouseError: the table is missing, or only the engine's machines see it.
    """
    found = _here(spark, name)
    if isinstance(found, Detail):
        raise LakehouseError(f"table {name} lies at {found.uri}, not on this machine's disk")
    return found


def log_folder(spark: SparkSession, name: str, version: int) -> Path:
    """A folder with a table's log, as far as a version needs it: its own, or a copy.

    Raises:
        LakehouseError: there is no Delta table of this name.
    """
    found = _here(spark, name)
    return mirror.log(spark, found.uri, found.table_id, version) if isinstance(found, Detail) else found


def data_folder(spark: SparkSession, name: str, version: int) -> Path:
    """A folder with the log and the files of a version: the table's own, or a copy.

    Raises:
        LakehouseError: there is no Delta table of this name; of one elsewhere, the version or a file is gone.
    """
    found = _here(spark, name)
    return mirror.files(spark, found.uri, found.table_id, version) if isinstance(found, Detail) else found


def look(spark: SparkSession, name: str, files: Sequence[str]) -> Mapping[str, FileThere]:
    """Files of a table by their paths below its folder, without what is missing."""
    here = _here(spark, name)
    if isinstance(here, Detail):
        return there.look(spark, here.uri, files)
    found = {file: (here / file).stat() for file in files if (here / file).exists()}
    return {file: FileThere(file, stat.st_size, stat.st_mtime_ns) for file, stat in found.items()}


def _here(spark: SparkSession, name: str) -> Path | Detail:
    """The folder of a table where this machine sees it, and else what Spark says of it."""
    folder = local_folder(name)
    if folder is not None:
        return folder
    found = detail(spark, name)
    if not found.uri.startswith("file:"):
        return found
    # Hadoop escapes nothing in it.
    folder = Path(f"/{found.uri.removeprefix('file:').lstrip('/')}")
    try:
        # What lies here under that path may be a table of this machine's own.
        seen = str(DeltaTable(folder, without_files=True).metadata().id)
    except DeltaError:
        return found
    return folder if seen == found.table_id else found
