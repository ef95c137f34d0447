"""A few days of flights, made by a process of its own on whatever engine its environment names."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from lakehouse.settings import PROJECT_ROOT

DAYS = ["-m", "tests.integration.deploy.days_of_flights"]


def printed(arguments: list[str], variables: dict[str, str], *before: str) -> dict[str, Any]:
    """What Python prints last, as JSON, run in the project's folder with these variables alone.

    Args:
        before: a command that runs it.
    """
    done = subprocess.run(
        [*before, sys.executable, *arguments],
        env=variables,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def own(folder: Path) -> dict[str, str]:
    """Variables by which a process writes nothing into the project's folder."""
    return {
        "LAKEHOUSE_SETTLE_SECONDS": "0",
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "target"),
    }
