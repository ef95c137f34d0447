"""What keeps older versions of tables readable, checked and not assumed."""

import re
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyspark.sql import SparkSession

from lakehouse.delta.files import data_files
from lakehouse.delta.table import DELETED_FILE_RETENTION, TableVersion, sql_text, table_properties
from lakehouse.settings import settings


def warehouse_tables() -> dict[str, Path]:
    """Every Delta table in the warehouse, `schema.table` to its folder; no engine is asked."""
    folders = [log.parent for log in sorted(settings().tables_dir.glob("*.db/*/_delta_log"))]
    return {
        f"{folder.parent.name.removesuffix('.db')}.{folder.name}": folder
        for folder in folders
        if DeltaTable.is_deltatable(str(folder))
    }


def property_problems(folders: Mapping[str, Path]) -> dict[str, list[str]]:
    """What lets Delta forget versions of a table, or hold what our vacuum cannot tell apart, by table.

    Args:
        folders: as `warehouse_tables` has them.
    """
    problems: dict[str, list[str]] = {}
    for name, folder in folders.items():
        try:
            wrong = _wrong_properties(folder)
        except DeltaError as error:
            problems[name] = [f"{name} has a log that cannot be read: {error}"]
            continue
        if wrong:
            problems[name] = [
                f"{name} has {key} = {found or 'nothing'}, and needs '{table_properties()[key]}'"
                for key, found in wrong.items()
            ]
    return problems


def is_readable(folder: Path) -> bool:
    """Whether the log of the table in a folder can be read."""
    try:
        DeltaTable(folder, without_files=True)
    except DeltaError:
        return False
    return True


def set_properties(spark: SparkSession, folders: Mapping[str, Path]) -> list[str]:
    """Give each table the properties that it lacks, in one commit each; the rows stay as they are.

    Args:
        folders: as `warehouse_tables` has them.

    Returns:
        the tables that were altered.

    Raises:
        DeltaError: a table's log cannot be read.
    """
    altered: list[str] = []
    for name, folder in folders.items():
        wrong = _wrong_properties(folder)
        if wrong:
            listed = ", ".join(f"{sql_text(key)} = {sql_text(table_properties()[key])}" for key in wrong)
            spark.sql(f"alter table {name} set tblproperties ({listed})")
            altered.append(name)
    return altered


def _wrong_properties(folder: Path) -> dict[str, str | None]:
    """The properties of a table that are not what they must be, as they are."""
    found = DeltaTable(folder, without_files=True).metadata().configuration
    wrong: dict[str, str | None] = {}
    for key, wanted in table_properties().items():
        value = found.get(key)
        is_kept = duration(value) >= duration(wanted) if duration(wanted) else value == wanted
        if not is_kept:
            wrong[key] = value
    return wrong


def duration(text: str | None) -> timedelta:
    """What one of Delta's intervals says; nothing where it is not one.

    >>> duration("interval 2 weeks").days
    14
    >>> duration("false") or duration(None)
    datetime.timedelta(0)
    """
    found = re.fullmatch(r"(?:interval )?(\d+) (week|day|hour|minute|second)s?", text or "", re.IGNORECASE)
    return timedelta(**{f"{found[2].lower()}s": int(found[1])}) if found else timedelta()


def why_unreadable(folder: Path, version: TableVersion) -> str | None:
    """Why Delta's log refuses a version of the table that lies in a folder; None where it does not."""
    commit = folder / "_delta_log" / f"{version.version:020}.json"
    try:
        found = str(DeltaTable(folder, version=version.version, without_files=True).metadata().id)
        newest = DeltaTable(folder, without_files=True)
        committed_at = commit.stat().st_mtime
    except (DeltaError, FileNotFoundError) as error:
        return f"the log does not reach version {version.version} of table {version.table_id}: {error}"
    if found != version.table_id:
        return f"the table was dropped and recreated: pinned {version.table_id}, found {found}"
    # Delta goes by the time of the commit's file, and always reads the newest version.
    kept = duration(newest.metadata().configuration.get(DELETED_FILE_RETENTION))
    if version.version != newest.version() and time.time() - committed_at > kept.total_seconds():
        return (
            f"it is older than {kept.days} days, which is all that {DELETED_FILE_RETENTION} lets Delta read"
        )
    return None


def missing_files(folder: Path, version: TableVersion) -> str | None:
    """Which files of a version that the log knows are gone; None where all are there."""
    missing = sorted(path.name for path in data_files(folder, version.version) if not path.exists())
    return f"{len(missing)} of its files are gone, {missing[0]} first" if missing else None
