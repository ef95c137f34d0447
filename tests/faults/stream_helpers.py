"""Loads of a topic in processes that are killed where a test says so."""

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

from lakehouse.engine.session import spark_session
from lakehouse.ingest import ledger_table
from lakehouse.ingest.declarations import load_source
from lakehouse.ingest.report import IngestReport
from lakehouse.ingest.stream import batches, land

_MODULES = (batches, land, ledger_table)


def load_killed_after(declaration: Path, schema: str, table: str) -> int | None:
    """Load a topic in another process, which kills itself right after it appended to a table.

    Returns:
        its exit code: -9 where it was killed, 0 where it never appended to that table.
    """
    processes = multiprocessing.get_context("forkserver")
    # Imported once: what takes longest is then shared by all that are killed.
    processes.set_forkserver_preload([__name__])
    process = processes.Process(target=_load, args=(declaration, schema, table))
    process.start()
    process.join(300)
    return process.exitcode


def _load(declaration: Path, schema: str, table: str) -> None:
    append_once = land.append_once

    def killing(spark: Any, name: str, *args: Any, **more: Any) -> None:
        append_once(spark, name, *args, **more)
        if name.partition(".")[2] == table:
            os.kill(os.getpid(), signal.SIGKILL)

    for module in _MODULES:
        module.append_once = killing
    land.land_stream(spark_session(), load_source(declaration), IngestReport(), schema=schema)
