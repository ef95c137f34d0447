"""Programs that die, that never come up, and that started others."""

import asyncio
import os
import re
import sys
from pathlib import Path

import psutil
import pytest

from commands.ui import processes
from commands.ui.processes import Program, Supervised, stop
from lakehouse.errors import LakehouseError

FOREVER = "import signal; print('up', flush=True); signal.pause()"


def program(code: str, ready: str | None = "up", *, once: bool = False) -> Program:
    pattern = re.compile(ready) if ready is not None else None
    return Program("it", [sys.executable, "-c", code], pattern, once=once)


def test_what_dies_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "wait_seconds", lambda deaths: 0.0)
    said: list[str] = []

    async def run() -> None:
        died = asyncio.Event()

        def say(text: str) -> None:
            said.append(text)
            died.set()

        each = Supervised(program(FOREVER), os.environ, say)
        await each.first_start()
        first = each.pid
        assert first is not None
        psutil.Process(first).kill()
        await died.wait()
        await each.is_up.wait()
        assert each.pid not in (None, first)
        await stop([each])
        assert each.pid is None

    asyncio.run(asyncio.wait_for(run(), 60))
    assert said == ["it died (exit code -9); it starts again in 0 s"]


def test_a_death_is_seen_while_a_child_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of Dagster's code while a run of it trains: the run holds the output open for hours."""
    monkeypatch.setattr(processes, "wait_seconds", lambda deaths: 0.0)
    code = (
        "import subprocess, sys, signal\n"
        f"child = subprocess.Popen([sys.executable, '-c', {FOREVER.replace('up', 'child')!r}])\n"
        f"open({str(tmp_path / 'pid')!r}, 'a').write(f'{{child.pid}} ')\n"
        "print('up', flush=True)\n"
        "signal.pause()"
    )

    async def run() -> list[int]:
        died = asyncio.Event()
        each = Supervised(program(code), os.environ, lambda _: died.set())
        await each.first_start()
        first = each.pid
        assert first is not None
        psutil.Process(first).kill()
        await died.wait()
        await each.is_up.wait()
        children = [int(pid) for pid in (tmp_path / "pid").read_text().split()]
        assert len(children) == 2 and all(map(psutil.pid_exists, children)), "what it began goes on"
        await stop([each])
        return children

    left = [psutil.Process(pid) for pid in asyncio.run(asyncio.wait_for(run(), 60)) if psutil.pid_exists(pid)]
    assert not psutil.wait_procs(left, 10)[1], "and ends with all"


def test_what_never_comes_up_says_why() -> None:
    async def run() -> None:
        await Supervised(
            program("print('no such file'); raise SystemExit(3)"), os.environ, print
        ).first_start()

    with pytest.raises(LakehouseError, match="it ended; it last said:\nno such file"):
        asyncio.run(asyncio.wait_for(run(), 60))


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    child = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    )
    code = (
        "import subprocess, sys, signal\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True)\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "signal.pause()"
    )

    async def run() -> int:
        each = Supervised(program(code), os.environ, print)
        await each.first_start()
        found = int((tmp_path / "pid").read_text())
        assert psutil.pid_exists(found)
        await stop([each])
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "_STOP_SECONDS", 0.5)
        assert not psutil.pid_exists(asyncio.run(asyncio.wait_for(run(), 60)))


def test_what_ends_by_itself_is_left(tmp_path: Path) -> None:
    async def run() -> None:
        each = Supervised(program("pass", None, once=True), os.environ, print)
        await each.start()
        assert each.starts == 1

    asyncio.run(asyncio.wait_for(run(), 60))
