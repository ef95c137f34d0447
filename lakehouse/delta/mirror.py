"""Copies of tables that only the engine's machines see, for what reads Delta's log and files by path.

The engine's tasks read the log, and where rows are wanted the files of one version, byte by byte: the copy is
that version, with its id, its list of files and their bits. It goes with this process.
"""

import atexit
import os
import re
import shutil
import threading
from collections.abc import Collection
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyspark.sql import SparkSession

from lakehouse.engine import there
from lakehouse.errors import LakehouseError
from lakehouse.owned_folders import abandoned, folder_name
from lakehouse.settings import settings

_KIND = "mirror"
_COPYING = threading.Lock()
_LOG = "_delta_log"
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint.*\.parquet")


def log(spark: SparkSession, uri: str, table_id: str, version: int) -> Path:
    """A folder with a table's log as far as a version needs it.

    Args:
        uri: of the table's folder.
        table_id: what lies there now, so that a copy of what lay there before is not taken for it.
    """
    folder = _copies(os.getpid()) / f"{table_id}-{version}"
    # Named when it is whole: a copy that broke off would be taken for a table that is gone.
    with _COPYING:
        if not (folder / _LOG).is_dir():
            found = there.look(spark, f"{uri}/{_LOG}")
            needed = [found[name] for name in needed_log(found, version)]
            begun = folder / f".{_LOG}"
            shutil.rmtree(begun, ignore_errors=True)
            there.fetch(spark, f"{uri}/{_LOG}", needed, begun)
            begun.rename(folder / _LOG)
    return folder


def files(spark: SparkSession, uri: str, table_id: str, version: int) -> Path:
    """A folder with the log and the files of a version.

    Raises:
        LakehouseError: the version, or one of its files, is gone.
    """
    folder = log(spark, uri, table_id, version)
    try:
        actions = DeltaTable(folder, version=version).get_add_actions(flatten=True)
    except DeltaError as error:
        raise LakehouseError(f"version {version} of {uri} cannot be read: {error}") from error
    paths = [unquote(str(path)) for path in actions.column("path").to_pylist()]
    wanted = [path for path in paths if not (folder / path).exists()]
    found = there.look(spark, uri, wanted)
    missing = sorted(set(wanted) - found.keys())
    if missing:
        raise LakehouseError(
            f"version {version} of {uri} cannot be read: {len(missing)} of its files are gone, "
            f"{missing[0]} first",
            "they may have been vacuumed; `lakehouse reproduce` tells what is left",
        )
    there.fetch(spark, uri, [found[path] for path in wanted], folder)
    return folder


def needed_log(names: Collection[str], version: int) -> list[str]:
    """The files of a log that tell a version: the newest checkpoint up to it, and the commits since.

    >>> log = [f"{number:020}.json" for number in range(4)] + [f"{2:020}.checkpoint.parquet"]
    >>> [name.lstrip("0") for name in needed_log(log, 3)]
    ['2.checkpoint.parquet', '2.json', '3.json']
    >>> [name.lstrip("0") or "0" for name in needed_log(log, 1)]
    ['.json', '1.json']
    """
    commits = {int(found[1]): name for name in names if (found := _COMMIT.fullmatch(name))}
    checkpoints = {name: int(found[1]) for name in names if (found := _CHECKPOINT.fullmatch(name))}
    start = max((number for number in checkpoints.values() if number <= version), default=0)
    return sorted(
        [
            *(name for name, number in checkpoints.items() if number == start),
            *(name for number, name in commits.items() if start <= number <= version),
        ]
    )


@cache
def _copies(process: int) -> Path:
    root = settings().engine_dir / "mirror"
    root.mkdir(parents=True, exist_ok=True)
    for dead in abandoned(_KIND, (path.name for path in root.iterdir())):
        shutil.rmtree(root / dead, ignore_errors=True)
    folder = root / folder_name(_KIND)
    folder.mkdir(mode=0o700)
    atexit.register(_remove, process, folder)
    return folder


def _remove(process: int, folder: Path) -> None:
    # A forked process runs what its parent has registered, too.
    if process == os.getpid():
        shutil.rmtree(folder, ignore_errors=True)
