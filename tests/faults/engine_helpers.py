"""Processes that use an engine from outside, as a person's terminals would."""

import os
import subprocess
import sys
from pathlib import Path

PRELUDE = "from lakehouse.engine.session import spark_session\nfrom lakehouse.engine import server\n"


def environment(warehouse: Path, **extra: str) -> dict[str, str]:
    """The environment of a fresh terminal on this warehouse."""
    ours = ("SPARK_", "LAKEHOUSE_ENGINE_ADDRESS")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return kept | {"LAKEHOUSE_WAREHOUSE": str(warehouse)} | extra


def start(code: str, warehouse: Path, *, cwd: Path | None = None, **extra: str) -> subprocess.Popen[str]:
    """Run Python code as another process, with pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code],
        env=environment(warehouse, **extra),
        cwd=cwd,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def output(process: subprocess.Popen[str]) -> str:
    """What a process printed; fails with its error output when it failed."""
    printed, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    return printed.strip()
