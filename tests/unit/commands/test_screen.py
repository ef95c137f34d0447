"""A long story is told on one screen; whatever else is printed meanwhile goes to its log."""

import doctest
import os
import pty
import subprocess
import sys
from pathlib import Path

import commands.screen

TOLD = """
import os, subprocess, sys
from pathlib import Path
from commands.screen import Screen
with Screen({{"first": 10, "second": 20}}, Path({log!r})) as screen:
    screen.chapter("first")
    print("noise of this process")
    subprocess.run(["sh", "-c", "echo noise of a child; echo and its errors >&2"])
    screen.say("three flights landed")
    screen.chapter("second")
    screen.say("all is well")
    {then}
print("after the story")
"""


def told(log: Path, then: str = "") -> subprocess.CompletedProcess[str]:
    code = TOLD.format(log=str(log), then=then)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_doctests() -> None:
    outcome = doctest.testmod(commands.screen)
    assert outcome.attempted > 1
    assert outcome.failed == 0


def test_a_pipe_gets_chapters_and_what_was_said_and_the_log_the_rest(tmp_path: Path) -> None:
    log = tmp_path / "warehouse" / "demo.log"
    done = told(log)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["after the story"]
    assert done.stderr.splitlines() == [
        f"all that is printed meanwhile: {log}",
        "── first", "three flights landed", "── second", "all is well",
    ]  # fmt: skip
    assert {"noise of this process", "noise of a child", "and its errors"} <= set(
        log.read_text().splitlines()
    )


def test_an_error_is_told_where_it_belongs(tmp_path: Path) -> None:
    failed = told(tmp_path / "log", "raise ValueError('a step failed')")
    assert failed.returncode == 1
    assert failed.stderr.rstrip().endswith("ValueError: a step failed")
    assert "a step failed" not in (tmp_path / "log").read_text()


def test_a_terminal_shows_the_chapters_and_what_is_left(tmp_path: Path) -> None:
    master, terminal = pty.openpty()
    code = TOLD.format(log=str(tmp_path / "log"), then="")
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    command = [sys.executable, "-c", code]
    subprocess.run(command, stdout=terminal, stderr=terminal, env=environment, check=True)
    os.close(terminal)
    shown = os.read(master, 100_000).decode()
    for text in ("✓", "first", "second", "left", "three flights landed", "all is well", "log: "):
        assert text in shown
    # On its last line the screen shows the log's.
    assert "noise of this process" not in shown
    assert {"noise of this process", "noise of a child"} <= set((tmp_path / "log").read_text().splitlines())
