"""Another program: its lines as they come, its errors, its end."""

import os
import sys
from pathlib import Path

import psutil
import pytest

from lakehouse.process import run_process

# Writes more errors than a pipe holds before it prints.
TALKS = """
import sys
sys.stderr.write("e" * 200_000 + "\\n")
print("first", flush=True)
print("second")
sys.exit(3)
"""
# Waits for what never comes.
WAITS = """
import os
reading, _writing = os.pipe()
print(os.getpid(), flush=True)
os.read(reading, 1)
"""


def test_its_lines_are_told_and_its_errors_kept(tmp_path: Path) -> None:
    told: list[str] = []
    ended = run_process([sys.executable, "-c", TALKS], tmp_path, os.environ, told.append)
    assert told == ["first", "second"]
    assert ended.code == 3
    assert ended.output.startswith("first\nsecond\neee")
    assert ended.end(1) == "e" * 200_000


def test_it_runs_where_and_with_what_it_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    asks = "import os; print(os.getcwd()); print(os.environ['OF_ITS_OWN'])"
    run_process([sys.executable, "-c", asks], tmp_path, os.environ | {"OF_ITS_OWN": "x"}, told.append)
    assert told == [str(tmp_path.resolve()), "x"]


def test_it_is_killed_when_its_reader_fails(tmp_path: Path) -> None:
    started: list[int] = []

    def fail(line: str) -> None:
        started.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_process([sys.executable, "-c", WAITS], tmp_path, os.environ, fail)
    assert not psutil.pid_exists(started[0])
