"""One screen for long work: its chapters, how long is left, what is being done and what came of it.

All else that the process and its children print goes to a log, which the screen names.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_SHOWN_LINES = 8
_TAIL = 4096


class Screen:
    """Shows chapters while it is open; in a pipe or a log it prints a line for each thing that is said.

    Args:
        chapters: name → seconds that each takes on the machine it was measured on, in their order. What is
            left is told from these, by how this machine did so far.
        log: the file that standard output and standard error go to meanwhile; an older one is replaced.
    """

    def __init__(self, chapters: Mapping[str, float], log: Path) -> None:
        self._expected, self._log = dict(chapters), log
        self._took: dict[str, float] = {}
        self._current, self._since = "", time.monotonic()
        self._said = deque[str](maxlen=_SHOWN_LINES)

    def __enter__(self) -> "Screen":
        self._log.parent.mkdir(parents=True, exist_ok=True)
        sys.stdout.flush()
        sys.stderr.flush()
        self._streams = (os.dup(1), os.dup(2))
        # On standard error, as all progress: standard output is the result alone.
        self._console = Console(file=os.fdopen(os.dup(2), "w"), highlight=False)
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        self._live = Live(
            get_renderable=self._draw,
            console=self._console,
            refresh_per_second=2,
            # What this process prints belongs into the log, too.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        if self._console.is_terminal:
            self._live.start()
        else:
            self._console.print(f"all that is printed meanwhile: {self._log}", soft_wrap=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._end_chapter()
        try:
            if self._console.is_terminal:
                self._live.stop()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, kept in enumerate(self._streams, 1):
                os.dup2(kept, number)
                os.close(kept)
            self._console.file.close()

    def chapter(self, name: str) -> None:
        """A chapter begins, and the one before it ends."""
        self._end_chapter()
        self._current, self._since = name, time.monotonic()
        self._print(f"── {name}")

    def say(self, text: str) -> None:
        """What came of something, or what comes next."""
        self._said.append(text)
        self._print(text)

    def _print(self, text: str) -> None:
        if not self._console.is_terminal:
            self._console.print(text, markup=False, soft_wrap=True)
            self._console.file.flush()

    def _end_chapter(self) -> None:
        if self._current:
            self._took[self._current] = time.monotonic() - self._since
            self._current = ""

    def _draw(self) -> Group:
        elapsed = time.monotonic() - self._since
        chapters = Table.grid(padding=(0, 2))
        for name, expected in self._expected.items():
            if name in self._took:
                chapters.add_row(Text("✓", "green"), name, _minutes(self._took[name]))
            elif name == self._current:
                chapters.add_row(Text("▶", "bold"), Text(name, "bold"), _minutes(elapsed))
            else:
                about = Text(f"about {_minutes(expected * self._pace())}", "dim")
                chapters.add_row("·", Text(name, "dim"), about)
        # The chapters go on meanwhile, in another thread.
        took = dict(self._took)
        done = sum(took.values()) + (elapsed if self._current else 0)
        left = seconds_left(self._expected, took, self._current, elapsed)
        progress = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=max(done + left, 1), completed=done, width=40)
        progress.add_row(bar, f"{_minutes(done)}, about {_minutes(left)} left")
        said = [Text(line, overflow="ellipsis", no_wrap=True) for line in list(self._said)]
        doing = Text(last_line(self._log), "dim", overflow="ellipsis", no_wrap=True)
        log = Text(f"log: {self._log}", "dim", overflow="fold")
        return Group(chapters, "", progress, "", *said, doing, log)

    def _pace(self) -> float:
        return _pace(self._expected, self._took)


def seconds_left(
    expected: Mapping[str, float], took: Mapping[str, float], current: str, elapsed: float
) -> float:
    """How long is left, at the pace of the chapters that are done.

    >>> seconds_left({"a": 10, "b": 10, "c": 20}, {"a": 20}, "b", 5)
    55.0
    """
    pace = _pace(expected, took)
    waiting = [each for name, each in expected.items() if name not in took and name != current]
    return sum(waiting) * pace + max(0.0, expected.get(current, 0) * pace - elapsed)


def last_line(path: Path) -> str:
    """The last line of a file that says something; nothing of a file that is gone."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _pace(expected: Mapping[str, float], took: Mapping[str, float]) -> float:
    done = sum(expected.get(name, 0) for name in took)
    return sum(took.values()) / done if done else 1.0


def _minutes(seconds: float) -> str:
    """Seconds as a person reads them.

    >>> _minutes(75), _minutes(9.4)
    ('1:15', '0:09')
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
