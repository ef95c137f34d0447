"""What a backup holds: the files of a warehouse that are carried, and the list that names each of them."""

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Annotated

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from lakehouse.delta.log import live_files
from lakehouse.errors import LakehouseError

FORMAT_VERSION = 1
LIST, FILES = "backup.json", "warehouse"
# Written by SQLite beside a database that is open; a copy that SQLite makes has it inside.
_SQLITE_SUFFIXES = ("-wal", "-shm", "-journal")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _below(path: str) -> str:
    """A list that came from elsewhere names no file outside the folder that is restored."""
    parts = path.split("/")
    if path != PurePosixPath(path).as_posix() or {"", ".."} & set(parts) or "\0" in path:
        raise ValueError(f"{path!r} is no path below the warehouse")
    return path


BelowWarehouse = Annotated[str, AfterValidator(_below)]


class File(_Part):
    """A file as it was copied. Delta dates its commits by `modified_ns`, so that it is restored too."""

    size: int
    sha256: str
    modified_ns: int


class Backup(_Part):
    """`backup.json`, written last.

    Args:
        warehouse: the folder that was copied, whose path stands in metastore and MLflow.
        left_out: tables whose files lie elsewhere, as `schema.table`.
        empty_folders, files: by path below the warehouse.
    """

    format_version: int
    created_at: datetime
    warehouse: Path
    left_out: tuple[str, ...]
    empty_folders: tuple[BelowWarehouse, ...]
    files: dict[BelowWarehouse, File]


def read_list(folder: Path) -> Backup:
    """What a backup holds.

    Raises:
        LakehouseError: the folder is no finished backup, or one of another format.
    """
    try:
        found = Backup.model_validate_json((folder / LIST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LakehouseError(f"{folder} is not a backup: it has no {LIST}", "was it copied whole?") from None
    except ValidationError as error:
        raise LakehouseError(f"{folder / LIST} is damaged, or of another version: {error}") from error
    if found.format_version != FORMAT_VERSION:
        raise LakehouseError(
            f"{folder} has format {found.format_version}, this code knows {FORMAT_VERSION}",
            "restore it with the code that made it",
        )
    return found


def carried(warehouse: Path) -> tuple[dict[str, int], list[str]]:
    """The files of a warehouse that are carried, with their sizes, and its empty folders; links are followed.

    What belongs to this machine or to a process stays: the engine's folder with its token and locks, Derby's
    locks, and what SQLite keeps beside an open database.
    """
    sizes: dict[str, int] = {}
    empty: list[str] = []
    for parent, folders, names in os.walk(warehouse, followlinks=True):
        here = Path(parent)
        if here == warehouse:
            folders[:] = [name for name in folders if name != "engine"]
        folders.sort()
        if not folders and not names:
            empty.append(here.relative_to(warehouse).as_posix())
        sizes |= {
            path.relative_to(warehouse).as_posix(): path.stat().st_size
            for path in (here / name for name in sorted(names))
            if path.is_file() and path.suffix != ".lck" and not path.name.endswith(_SQLITE_SUFFIXES)
        }
    return sizes, empty


def shallow_clones(warehouse: Path, paths: Iterable[str]) -> dict[str, str]:
    """The tables with rows in other tables' files, by absolute path, which no other place has.

    Returns:
        the path of each below the warehouse → `schema.table`.

    Raises:
        LakehouseError: a table's log cannot be read.
    """
    tables = sorted({path.partition("/_delta_log/")[0] for path in paths if "/_delta_log/" in path})
    return {
        table: table.removeprefix("tables/").replace(".db/", ".")
        for table in tables
        if _has_absolute_paths(warehouse / table)
    }


def _has_absolute_paths(table: Path) -> bool:
    try:
        actions = live_files(DeltaTable(table))
    except DeltaError as error:
        raise LakehouseError(
            f"the Delta log of {table} cannot be read: {error}", "repair the table, or drop it"
        ) from error
    return any(path.startswith(("/", "file:")) for path in actions.column("path").to_pylist())
