"""The processes of the servers: started, started again with back-off when they die, all ended at the end.

They are handled here, as honcho (2.0, read and weighed) would take little of it away: it knows no `ready`, it
ends all when one dies, and it gives each command to a shell.
"""

import asyncio
import os
import re
import signal
import subprocess
from asyncio.subprocess import PIPE, STDOUT, Process
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from lakehouse.errors import LakehouseError
from lakehouse.process import dying_with_us
from lakehouse.settings import PROJECT_ROOT

_STOP_SECONDS = 20
_LOOK_SECONDS = 0.1
# Started again after 1, 2, 4 … and at last 60 seconds; who lived for a minute begins again with one.
_LONGEST_WAIT_SECONDS = 60.0
_LIVED_SECONDS = 60.0
# A line may be long: a page of HTML in an error.
_LINE_BYTES = 2**20


@dataclass(frozen=True)
class Program:
    """What runs.

    Args:
        name: for people.
        ready: the line of its output that says that it is up; None for one that nobody waits for.
        once: it ends by itself, and is not started again.
    """

    name: str
    command: Sequence[str]
    ready: re.Pattern[str] | None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    once: bool = False


def wait_seconds(deaths: int) -> float:
    """How long a program that died so many times in a row is left dead.

    >>> [wait_seconds(number) for number in (1, 2, 3, 7, 2000)]
    [1.0, 2.0, 4.0, 60.0, 60.0]
    """
    return min(2.0 ** min(deaths - 1, 10), _LONGEST_WAIT_SECONDS)


class Supervised:
    """A program that runs until it is stopped.

    Args:
        environment: all variables of the process.
        say: told what people should know.
    """

    def __init__(self, program: Program, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
        self.program, self._environment, self._say = program, environment, say
        self.is_up = asyncio.Event()
        self.starts = 0
        self._was_up = False
        self.task: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self._last_lines: deque[str] = deque(maxlen=15)
        # Of lives that ended while a child went on: the group, and who reads what it says.
        self._left: list[tuple[int, asyncio.Task[None]]] = []

    @property
    def pid(self) -> int | None:
        """Its process, while it has one."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def last_lines(self) -> str:
        """What it said last."""
        return "\n".join(self._last_lines)

    async def first_start(self) -> None:
        """Start it, and wait until it is up for the first time.

        Raises:
            LakehouseError: it ended instead.
        """
        task = self.start()
        up = asyncio.create_task(self.is_up.wait())
        await asyncio.wait({up, task}, return_when=asyncio.FIRST_COMPLETED)
        if not up.done():
            up.cancel()
            await task

    def start(self) -> asyncio.Task[None]:
        """Start it, and keep it going; the task ends where that makes no sense."""
        if self.task is None:
            self.task = asyncio.create_task(self._keep())
        return self.task

    async def _keep(self) -> None:
        deaths = 0
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            code = await self._run()
            if self.program.once:
                if code != 0:
                    self._say(f"{self.program.name} failed; it last said:\n{self.last_lines}")
                return
            if not self._was_up and self.program.ready is not None:
                # Wrong from the start: to try it again says the same.
                raise LakehouseError(
                    f"{self.program.name} ended; it last said:\n{self.last_lines}",
                    "the other processes were stopped too",
                )
            deaths = 1 if loop.time() - began > _LIVED_SECONDS else deaths + 1
            pause = wait_seconds(deaths)
            self._say(f"{self.program.name} died (exit code {code}); it starts again in {pause:.0f} s")
            await asyncio.sleep(pause)

    async def _run(self) -> int:
        """One life of it; returns its exit code."""
        self.starts += 1
        # A session of its own: Ctrl-C reaches this process alone, which stops the others in order.
        process = self._process = await asyncio.create_subprocess_exec(
            *dying_with_us(self.program.command),
            stdin=subprocess.DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            cwd=PROJECT_ROOT,
            env={**self._environment, **self.program.environment},
            start_new_session=True,
            limit=_LINE_BYTES,
        )
        reading = asyncio.create_task(self._read(process))
        code = await _exited(process)
        self.is_up.clear()
        # What it said last. A child that outlives it, such as a run, is read on: else it would wait for that.
        await asyncio.wait({reading}, timeout=_LOOK_SECONDS)
        self._left = [each for each in (*self._left, (process.pid, reading)) if not each[1].done()]
        return code

    async def _read(self, process: Process) -> None:
        """Read to the end, so that it never waits for a reader."""
        while process.stdout is not None and (line := await _line(process.stdout)):
            self._last_lines.append(line.decode(errors="replace").rstrip())
            if self.program.ready is not None and self.program.ready.search(self._last_lines[-1]):
                self._was_up = True
                self.is_up.set()

    async def end(self) -> None:
        """Ask it to end, and end it by force where it does not; it is not started again."""
        if self.task is not None:
            self.task.cancel()
        for group, reading in self._left:
            if not reading.done():
                with suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGINT)
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        try:
            await asyncio.wait_for(_exited(process), _STOP_SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await _exited(process)


async def _exited(process: Process) -> int:
    """Wait for the exit code alone: asyncio's own wait lasts while a child holds the output."""
    while process.returncode is None:
        await asyncio.sleep(_LOOK_SECONDS)
    return process.returncode


async def _line(output: asyncio.StreamReader) -> bytes:
    try:
        return await output.readline()
    except ValueError:
        # Longer than any line should be; what is left of it comes as the next one.
        return b"\n"


async def stop(running: Sequence[Supervised]) -> None:
    """End programs and all that they started: first by asking all of them, then by force."""
    family = [child for each in running if each.pid is not None for child in _children(each.pid)]
    await asyncio.gather(*(each.end() for each in running))
    # Their own children, which the kernel gave to another parent by now.
    _, alive = await asyncio.to_thread(psutil.wait_procs, family, _STOP_SECONDS)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    await asyncio.to_thread(psutil.wait_procs, alive, 5)


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
