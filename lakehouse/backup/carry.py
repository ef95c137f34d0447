"""A warehouse into a backup, and out of it: at the same path, at another, or on another machine."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.backup.contents import (
    FILES,
    FORMAT_VERSION,
    LIST,
    Backup,
    carried,
    read_list,
    shallow_clones,
)
from lakehouse.backup.files import appearing, copy, copy_checked, refuse_small_disk, shown, told
from lakehouse.engine import metastore, server
from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress, silent
from lakehouse.settings import Settings, settings

# How many names an error repeats.
_SHOWN = 5


@dataclass(frozen=True)
class Carried:
    """What a backup or a restore came to.

    Args:
        folder: the new one: the backup, or the restored warehouse.
        warehouse: the one that was backed up.
        left_out: tables whose files lie elsewhere: shallow clones, and those with a `location` of their own.
    """

    folder: Path
    warehouse: Path
    files: int
    size_bytes: int
    left_out: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Move:
    """A warehouse on its way to another path.

    Args:
        folder: where its files lie now.
        before, after: the path that it had, and the one that it will have.
    """

    folder: Path
    before: Path
    after: Path


def backup(folder: Path, progress: Progress = silent, config: Settings | None = None) -> Carried:
    """Copy a warehouse into a new folder. An idle engine is stopped, and nobody can start one meanwhile.

    Raises:
        LakehouseError: the engine is in use, the folder exists or lies in the warehouse, the disk is too
            small, schemas lie outside of the warehouse, a table's log cannot be read, or a file went away
            while it was copied.
    """
    started = time.monotonic()
    config = config or settings()
    warehouse, folder = config.warehouse.resolve(), folder.resolve()
    _refuse_foreign_engine()
    if not config.tables_dir.is_dir():
        raise LakehouseError(f"{warehouse} holds no tables", "set LAKEHOUSE_WAREHOUSE to the one to back up")
    if folder.exists() or folder.is_relative_to(warehouse):
        where = "exists" if folder.exists() else f"lies in the warehouse {warehouse}"
        raise LakehouseError(f"{folder} {where}", "name a new folder outside of it")
    with server.stopped(config):
        elsewhere = _tables_elsewhere(config)
        sizes, empty_folders = carried(warehouse)
        clones = shallow_clones(warehouse, sizes)
        below = tuple(f"{clone}/" for clone in clones)
        kept = {path: size for path, size in sizes.items() if not path.startswith(below)}
        refuse_small_disk(folder, sum(kept.values()))
        with appearing(folder) as unfinished:
            progress(f"copying {len(kept):,} files, {shown(sum(kept.values()))}, to {folder}")
            made = Backup(
                format_version=FORMAT_VERSION,
                created_at=datetime.now(UTC),
                warehouse=warehouse,
                left_out=(*clones.values(), *elsewhere),
                empty_folders=tuple(empty_folders),
                files={
                    path: copy(warehouse / path, unfinished / FILES / path) for path in told(kept, progress)
                },
            )
            (unfinished / LIST).write_text(made.model_dump_json(indent=1), encoding="utf-8")
    return _summary(folder, made, started)


def restore(
    folder: Path,
    relocate: Callable[[Move], object],
    progress: Progress = silent,
    config: Settings | None = None,
) -> Carried:
    """Make the warehouse of the settings from a backup; every file is checked against its checksum.

    Args:
        relocate: changes absolute paths in what this package does not know, MLflow's, when all files are
            there and before the warehouse has its name. The metastore's are changed here.

    Raises:
        LakehouseError: it is not a backup, or is a damaged one (the files are named); the warehouse's folder
            is not empty, or its disk too small; tables are to be in an object store.
    """
    started = time.monotonic()
    warehouse = (config or settings()).warehouse.resolve()
    found = read_list(folder)
    if (config or settings()).tables is not None:
        raise LakehouseError(
            "LAKEHOUSE_TABLES is set: nobody would look for a backup's tables in the warehouse's folder",
            "unset it",
        )
    _refuse_taken(warehouse)
    _refuse_others_databases(found.warehouse, warehouse, config or settings())
    sizes = {path: file.size for path, file in found.files.items()}
    refuse_small_disk(warehouse, sum(sizes.values()))
    with appearing(warehouse) as unfinished:
        progress(f"copying {len(sizes):,} files, {shown(sum(sizes.values()))}, to {warehouse}")
        damaged = [
            path
            for path in told(sizes, progress)
            if not copy_checked(folder / FILES / path, unfinished / path, found.files[path])
        ]
        if damaged:
            names = ", ".join(damaged[:_SHOWN]) + (", …" if len(damaged) > _SHOWN else "")
            raise LakehouseError(
                f"{folder} is damaged; {len(damaged)} of {len(sizes)} files are missing or altered: {names}",
                "copy it again from where it was made, or restore another one",
            )
        for path in found.empty_folders:
            (unfinished / path).mkdir(parents=True, exist_ok=True)
        progress(f"changing {found.warehouse} to {warehouse} in metastore and MLflow")
        move = Move(unfinished, found.warehouse, warehouse)
        if (unfinished / "metastore").is_dir():
            metastore.relocate(unfinished / "metastore", move.before / "tables", move.after / "tables")
        relocate(move)
    return _summary(warehouse, found, started)


def _tables_elsewhere(config: Settings) -> list[str]:
    """The tables that somebody put outside of the warehouse.

    Raises:
        LakehouseError: whole schemas lie outside, so that nothing could be restored from a copy.
    """
    path = config.warehouse.resolve() / "metastore"
    found = metastore.elsewhere(path, config.tables_dir) if path.is_dir() else {}
    schemas = [f"{name} ({location})" for name, location in found.items() if "." not in name]
    if schemas:
        raise LakehouseError(
            f"these schemas do not lie in {config.tables_dir}: {', '.join(schemas[:_SHOWN])}",
            "was the warehouse moved by hand? Move it back, back it up there, and restore it here",
        )
    return sorted(found)


def _refuse_others_databases(was: Path, warehouse: Path, config: Settings) -> None:
    """Refuse a second warehouse on the databases of the first: it would write into that one's tables."""
    if warehouse == was:
        return
    named = {
        "LAKEHOUSE_METASTORE_URL": config.metastore_url,
        "LAKEHOUSE_DAGSTER_DATABASE": config.dagster_database,
    }
    for name, value in named.items():
        if value is not None:
            raise LakehouseError(
                f"the backup is of {was}, and {name} may name the database of that warehouse",
                f"unset it, restore to {warehouse}, and move its databases to new ones (docs/databases.md)",
            )


def _refuse_taken(warehouse: Path) -> None:
    if warehouse.exists() and any(warehouse.iterdir()):
        raise LakehouseError(
            f"{warehouse} is not empty", "set LAKEHOUSE_WAREHOUSE to a new folder, or move that one away"
        )
    if warehouse.is_mount():
        # What is restored takes its name at the end, which a mount point does not give up.
        raise LakehouseError(f"{warehouse} is a mount point", "set LAKEHOUSE_WAREHOUSE to a folder below it")


def _refuse_foreign_engine() -> None:
    if not server.tables_are_here():
        raise LakehouseError(
            "the tables are not in this warehouse, but on a server of your own (SPARK_REMOTE) or in an "
            "object store (LAKEHOUSE_TABLES)",
            "back them up with its own tools, or unset that variable",
        )


def _summary(folder: Path, made: Backup, started: float) -> Carried:
    size = sum(file.size for file in made.files.values())
    seconds = time.monotonic() - started
    return Carried(folder, made.warehouse, len(made.files), size, made.left_out, seconds)
