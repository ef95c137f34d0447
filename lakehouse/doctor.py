"""What a machine must have: each need checked by name, with what to do (`lakehouse doctor`)."""

import os
import platform
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse.delta.compaction import MOST_SMALL_FILES, small_files
from lakehouse.delta.log import check_log
from lakehouse.delta.retention import is_readable, property_problems, set_properties, warehouse_tables
from lakehouse.delta.schema_locks import leftovers
from lakehouse.engine import server
from lakehouse.engine.jars import jar_paths
from lakehouse.engine.java import MAJORS, java
from lakehouse.engine.ports import is_free
from lakehouse.errors import LakehouseError
from lakehouse.private import is_private
from lakehouse.settings import Settings, settings

MIN_MEMORY_GIB = 6
MIN_DISK_GIB = 5


@dataclass(frozen=True)
class Finding:
    """One need of the machine: what was looked at, what was found, and what to do when it is not enough."""

    what: str
    ok: bool
    found: str
    hint: str


def _python() -> Finding:
    found = platform.python_version()
    return Finding(
        "Python 3.11", found.startswith("3.11."), found, "install Python 3.11 and run `make setup`"
    )


def _tried(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look(), "")
    except LakehouseError as error:
        return Finding(what, False, error.what, error.hint)


def _memory() -> Finding:
    total = psutil.virtual_memory().total / 2**30
    hint = f"at least {MIN_MEMORY_GIB} GiB are needed for the demo; see LAKEHOUSE_HEAP_MB in docs/settings.md"
    return Finding(f"memory ≥ {MIN_MEMORY_GIB} GiB", total >= MIN_MEMORY_GIB, f"{total:.1f} GiB", hint)


def _disk(folder: Path) -> Finding:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free / 2**30
    hint = f"free some space in {existing}, or set LAKEHOUSE_WAREHOUSE to another disk"
    return Finding(
        f"disk ≥ {MIN_DISK_GIB} GiB", free >= MIN_DISK_GIB, f"{free:.1f} GiB free in {existing}", hint
    )


def _port(what: str, port: int, variable: str) -> Finding:
    free = is_free(port)
    hint = f"stop what listens there (`ss -ltnp sport = :{port}`), or set {variable} to another port"
    return Finding(f"port {port} for {what}", free, "free" if free else "occupied", hint)


def _engine(config: Settings) -> Finding:
    status = server.status(config)
    found = "runs" if status.running else "not running; started when needed"
    return Finding(
        "engine", status.fits, found if status.fits else "another one runs", "run `lakehouse down`"
    )


def _tables() -> Finding:
    tables = warehouse_tables()
    problems = [problem for of_table in property_problems(tables).values() for problem in of_table]
    found = "; ".join(problems[:3]) + ("; …" if problems[3:] else "") or f"{len(tables)} tables, all of them"
    return Finding("older versions stay", not problems, found, "run `lakehouse doctor --fix`")


def _logs() -> Finding:
    damaged: list[str] = []
    for name, folder in warehouse_tables().items():
        try:
            check_log(folder, DeltaTable(folder, without_files=True).version())
        except (LakehouseError, DeltaError) as error:
            damaged.append(f"{name}: {error}")
    return Finding(
        "logs have all files that were written",
        not damaged,
        "; ".join(damaged) or "all of them",
        "restore what is named from a backup (docs/reliability.md)",
    )


def fix_tables() -> list[str]:
    """Set the properties that keep older versions readable, on the tables that lack them.

    Returns:
        the tables that were altered.
    """
    # To look at a machine needs no Spark, whose client takes a second to import.
    from lakehouse.engine.session import spark_session

    tables = warehouse_tables()
    # A log that cannot be read is named by the look that follows; it cannot be mended here.
    sound = {name: tables[name] for name in property_problems(tables) if is_readable(tables[name])}
    return set_properties(spark_session(), sound) if sound else []


def _small_files() -> Finding:
    most = next(iter(small_files()), None)
    found = f"at most {most.files}, in {most.name}" if most else "no tables yet"
    return Finding(
        f"small files ≤ {MOST_SMALL_FILES} per table",
        most is None or most.files <= MOST_SMALL_FILES,
        found,
        "run `lakehouse maintain`",
    )


# What a year adds to: folder below the warehouse → MiB that it may hold, and what makes room. A day of the
# graph leaves 2 MiB of history; the others are bounded by what writes them.
GROWTH = {
    "dagster/history": (
        4096,
        "run `lakehouse maintain`; LAKEHOUSE_KEPT_RUN_DAYS says how long runs stay",
    ),
    "dagster/dbt": (1024, "remove the folder: it holds dbt's artifacts of past steps, to look at"),
    "data_docs": (1024, "remove the folder: what each check found stays in lakehouse.gate_results"),
    "mlflow/checkpoints": (1024, "run `lakehouse maintain`: they are of trainings that nobody resumed"),
    "engine": (8192, "`lakehouse down`: what a stopped engine left is removed when the next one starts"),
}


def growth(warehouse: Path) -> list[Finding]:
    """How large each folder is that grows with time, beside what it may hold."""
    found: list[Finding] = []
    for name, (most, hint) in GROWTH.items():
        size = size_of(warehouse / name) / 2**20
        found.append(Finding(f"{name} ≤ {most:,} MiB", size <= most, f"{size:,.0f} MiB", hint))
    return found


def size_of(folder: Path) -> int:
    """Bytes of a folder's files; those that go away meanwhile count as nothing."""
    size = 0
    for where, _, files in os.walk(folder):
        for name in files:
            with suppress(FileNotFoundError):
                size += (Path(where) / name).lstat().st_size
    return size


def _leftovers() -> Finding:
    found = leftovers()
    hint = "give the command that made each again: it replaces what is left; or drop them"
    return Finding("no schema left by a kill", not found, ", ".join(found) or "none", hint)


def _private(warehouse: Path) -> Finding:
    mode = f"{warehouse.stat().st_mode & 0o777:o}" if warehouse.exists() else "not there yet"
    hint = f"`chmod 700 {warehouse}`, unless others of this machine are to read it"
    return Finding("the warehouse is its owner's alone", is_private(warehouse), mode, hint)


def check_machine(config: Settings | None = None) -> list[Finding]:
    """Look at everything that set-up, engine and UIs need."""
    config = config or settings()
    return [
        _python(),
        _tried(f"Java {' or '.join(map(str, MAJORS))}", lambda: f"{java()[1]} at {java()[0]}"),
        _tried("Delta's JARs", lambda: f"{len(jar_paths())} with their checksums"),
        _memory(),
        _disk(config.warehouse.resolve()),
        _private(config.warehouse.resolve()),
        _port("`lakehouse dev`", config.ui_port, "LAKEHOUSE_UI_PORT"),
        *(
            [_port("Spark's UI", config.spark_ui_port, "LAKEHOUSE_SPARK_UI_PORT")]
            if config.spark_ui_port
            else []
        ),
        _engine(config),
        _tables(),
        _logs(),
        _small_files(),
        _leftovers(),
        *growth(config.warehouse.resolve()),
    ]
