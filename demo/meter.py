"""What the story costs: seconds by chapter, peak memory, and how many JVMs served it."""

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

# A look walks the page tables of every process: some hundredths of a second of CPU.
SAMPLE_SECONDS = 5.0
LAUNCHER = "org.apache.spark.launcher.Main"


@dataclass
class Cost:
    """What was measured so far.

    Args:
        chapters: seconds by chapter.
        peak_mb: MiB resident at once in this process, the engine and all their children.
        engines: process numbers of every JVM that served this warehouse.
    """

    chapters: dict[str, float] = field(default_factory=lambda: dict[str, float]())
    peak_mb: int = 0
    engines: set[int] = field(default_factory=lambda: set[int]())

    @property
    def seconds(self) -> float:
        """All chapters together."""
        return sum(self.chapters.values())


class Meter:
    """Measures chapters; memory is sampled every `SAMPLE_SECONDS` by a thread while the meter is open."""

    def __init__(self, engine_dir: Path, on_chapter: Callable[[str], None] = lambda _: None) -> None:
        self.cost = Cost()
        self._on_chapter = on_chapter
        self._engine_dir = str(engine_dir)
        self._done = threading.Event()
        self._sampler = threading.Thread(target=self._sample, name="meter", daemon=True)

    def __enter__(self) -> "Meter":
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._sampler.join()

    @contextmanager
    def chapter(self, name: str) -> Generator[None]:
        """Time one part of the story."""
        self._on_chapter(name)
        started = time.monotonic()
        yield
        self.cost.chapters[name] = time.monotonic() - started

    def _sample(self) -> None:
        own = psutil.Process()
        while not self._done.wait(SAMPLE_SECONDS):
            servers = self._servers()
            self.cost.engines |= {server.pid for server in servers}
            family = set[psutil.Process]().union(*map(_family, (own, *servers)))
            self.cost.peak_mb = max(self.cost.peak_mb, sum(map(_resident, family)) // 2**20)

    def _servers(self) -> list[psutil.Process]:
        return [
            process
            for process in psutil.process_iter(["name", "cmdline"])
            if process.info["name"] == "java" and self._serves(process.info["cmdline"] or ())
        ]

    def _serves(self, command: Sequence[str]) -> bool:
        """Whether a JVM is the engine; spark-submit starts one for a moment, to make its command."""
        return LAUNCHER not in command and any(self._engine_dir in argument for argument in command)


def _family(root: psutil.Process) -> set[psutil.Process]:
    try:
        return {root, *root.children(recursive=True)}
    except psutil.NoSuchProcess:
        return set()  # it ended between the listing and this look


def _resident(process: psutil.Process) -> int:
    """Bytes, those that processes share divided among them where the system tells."""
    try:
        memory = process.memory_full_info()
        return int(getattr(memory, "pss", memory.rss))
    except psutil.NoSuchProcess:
        return 0  # it ended between the listing and this look
