"""Processes that use an engine from outside, as a person's terminals would."""

import os
import subprocess
import sys
from pathlib import Path

from lakehouse.settings import PROJECT_ROOT, Settings

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


def bare_dbt(command: str, config: Settings, target: Path, **extra: str) -> subprocess.Popen[str]:
    """`dbt build` (or `run`) of two small nodes as an analyst types it; nothing of ours is called before."""
    return subprocess.Popen(
        [Path(sys.executable).with_name("dbt"), command, "--select", "us_holidays", "stg_airlines"],
        env=environment(
            config.warehouse,
            LAKEHOUSE_HEAP_MB=str(config.heap_mb),
            LAKEHOUSE_DBT_SCHEMA="analyst",
            DBT_TARGET_PATH=str(target),
            DBT_LOG_PATH=str(target),
            **extra,
        ),
        cwd=PROJECT_ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def output(process: subprocess.Popen[str]) -> str:
    """What a process printed; fails with its error output when it failed."""
    printed, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors or printed
    return printed.strip()
