"""Files copied with their checksums, into a folder that has no name before it is whole."""

import hashlib
import os
import secrets
import shutil
import sqlite3
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from lakehouse.backup.contents import File
from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress


@contextmanager
def appearing(folder: Path) -> Generator[Path]:
    """A folder beside this one that takes its name when the block ends well, and goes away otherwise."""
    unfinished = folder.with_name(f".{folder.name}.unfinished-{secrets.token_hex(4)}")
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        # On the disk before it has its name: a power cut leaves nothing that looks whole either.
        os.sync()
        unfinished.rename(folder)
    finally:
        if unfinished.exists():
            shutil.rmtree(unfinished)


def refuse_small_disk(folder: Path, needed: int) -> None:
    """Tell before the work that it cannot end well.

    Raises:
        LakehouseError: the disk of this folder, which need not exist yet, has less space than so many bytes.
    """
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise LakehouseError(
            f"{shown(needed)} are needed in {existing}, and {shown(free)} are free",
            "free some space, or name a folder on another disk",
        )


def told(sizes: Mapping[str, int], progress: Progress) -> Iterator[str]:
    """The paths, one after another; each tenth of their bytes is told."""
    total, done, tenths = max(sum(sizes.values()), 1), 0, 0
    for path, size in sizes.items():
        yield path
        done += size
        if done * 10 // total > tenths:
            tenths = done * 10 // total
            progress(f"{tenths * 10} % of {shown(total)}")


def copy(source: Path, target: Path) -> File:
    """Copy a file, and say what the copy is.

    Raises:
        LakehouseError: it is gone.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        modified_ns = source.stat().st_mtime_ns
        if _is_sqlite(source):
            # MLflow's and Dagster's pages may be open: SQLite copies a state between two transactions.
            with closing(sqlite3.connect(source)) as database, closing(sqlite3.connect(target)) as copied:
                database.backup(copied)
        else:
            shutil.copyfile(source, target)
    except FileNotFoundError as error:
        raise LakehouseError(
            f"{source} went away while it was copied", "stop what writes there, such as `lakehouse dev`"
        ) from error
    return File(size=target.stat().st_size, sha256=_sha256(target), modified_ns=modified_ns)


def copy_checked(source: Path, target: Path, expected: File) -> bool:
    """Copy a file that should have these bytes, with its time of change; whether it does."""
    if not source.is_file():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    os.utime(target, ns=(expected.modified_ns, expected.modified_ns))
    return _sha256(target) == expected.sha256


def shown(size: int) -> str:
    """Bytes for people.

    >>> shown(5 * 2**20), shown(3 * 2**30)
    ('5.0 MiB', '3.0 GiB')
    """
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
