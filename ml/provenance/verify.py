"""Whether pinned versions are still what they were: the tables, their logs, their files."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.delta.log import live_files
from lakehouse.delta.place import log_folder, look
from lakehouse.delta.table import id_at, table_exists
from lakehouse.errors import LakehouseError
from ml.data.parquet import file_list_hash
from ml.provenance.differences import Difference
from ml.provenance.manifest import PinnedTable


def pin_differences(spark: SparkSession, pin: PinnedTable) -> tuple[Difference, ...]:
    """What of a pinned version is gone or changed, by Delta's log and the files' sizes; no row is read."""
    if not table_exists(spark, pin.name):
        return (Difference("table", pin.name, pin.table_id, "does not exist"),)
    try:
        found_id = id_at(spark, pin.table)
    except DeltaError as error:
        return (Difference("log", pin.name, f"reaches version {pin.version}", str(error)),)
    if found_id != pin.table_id:
        return (Difference("table", pin.name, pin.table_id, f"{found_id} (dropped and recreated)"),)
    folder = log_folder(spark, pin.name, pin.version)
    try:
        files = file_list_hash(folder, pin.version)
    except LakehouseError as error:
        return (Difference("log", pin.name, f"reaches version {pin.version}", str(error)),)
    changed = (
        [Difference("files", pin.name, pin.file_list_hash, files)] if files != pin.file_list_hash else []
    )
    return (*changed, *_file_differences(spark, pin, folder))


def is_gone(differences: Iterable[Difference]) -> bool:
    """Whether rows of a pinned version cannot be read any more."""
    return any(
        each.kind in ("table", "log") or (each.kind == "file" and not each.after.endswith("bytes"))
        for each in differences
    )


def is_unreadable_file(error: PySparkException) -> bool:
    """Whether a statement failed at a file that is missing or damaged."""
    return (error.getCondition() or "").startswith("FAILED_READ_FILE")


def _file_differences(spark: SparkSession, pin: PinnedTable, folder: Path) -> list[Difference]:
    differences: list[Difference] = []
    logged_files = _files(folder, pin.version)
    found = look(spark, pin.name, [path for path, _, _ in logged_files])
    for path, size, _ in logged_files:
        logged, there = f"{PurePosixPath(path).name}, {size} bytes", found.get(path)
        if there is None:
            differences.append(Difference("file", pin.name, logged, "missing"))
        elif there.size != size:
            differences.append(Difference("file", pin.name, logged, f"{there.size} bytes"))
    return differences


def touched_files(spark: SparkSession, pins: Iterable[PinnedTable]) -> tuple[Difference, ...]:
    """Files that were written again after the commit that added them: a row was changed in place."""
    touched: list[Difference] = []
    for pin in pins:
        files = _files(log_folder(spark, pin.name, pin.version), pin.version)
        found = look(spark, pin.name, [path for path, _, _ in files])
        touched += [
            Difference(
                "source",
                pin.name,
                f"{PurePosixPath(path).name} of {_time(written)}",
                f"written again {_time(found[path].modified_ns // 10**6)}",
            )
            for path, _, written in files
            if path in found and found[path].modified_ns // 10**6 > written
        ]
    return tuple(touched)


def _files(folder: Path, version: int) -> list[tuple[str, int, int]]:
    """Path below the table's folder, bytes, and milliseconds of writing, of each of a version's files."""
    try:
        actions = live_files(DeltaTable(folder, version=version)).to_pylist()
    except DeltaError as error:
        raise LakehouseError(f"version {version} of {folder} cannot be read: {error}") from error
    return sorted(
        (str(each["path"]), int(each["size_bytes"]), _milliseconds(each["modification_time"]))
        for each in actions
    )


def _milliseconds(instant: datetime | int) -> int:
    return instant if isinstance(instant, int) else round(instant.replace(tzinfo=UTC).timestamp() * 1000)


def _time(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
