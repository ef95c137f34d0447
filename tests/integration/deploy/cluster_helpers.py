"""A standalone cluster on this machine: master, two workers, Connect server, as docs/deploy.md says."""

import contextlib
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from lakehouse.engine.ports import accepts, free_port
from lakehouse.settings import PROJECT_ROOT
from tests.faults.engine_helpers import environment

SCRIPT = PROJECT_ROOT / "deploy" / "cluster" / "spark.py"
_SECONDS = 240


@dataclass
class Cluster:
    """A cluster that runs.

    Args:
        warehouse: of its Connect server.
    """

    folder: Path
    warehouse: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    port: int = field(default_factory=free_port)
    master_port: int = field(default_factory=free_port)

    def client(self, own: Path, **extra: str) -> dict[str, str]:
        """The environment of a client, whose own warehouse is another folder."""
        return environment(
            own,
            SPARK_REMOTE=f"sc://localhost:{self.port}",
            SPARK_CONNECT_AUTHENTICATE_TOKEN=self.token,
            **extra,
        )

    def executors(self) -> list[psutil.Process]:
        """The JVMs that the workers have started."""
        return [
            child
            for name, process in self.processes.items()
            if name.startswith("worker") and process.poll() is None
            for child in psutil.Process(process.pid).children(recursive=True)
            if "org.apache.spark.executor.CoarseGrainedExecutorBackend" in child.cmdline()
        ]

    def until_executors(self, number: int) -> None:
        """Wait until so many executors live."""
        for _ in range(_SECONDS):
            if len(self.executors()) >= number:
                return
            # Cut short when the Connect server dies, which would never ask for one again.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.processes["connect"].wait(1)
                raise AssertionError(self.log("connect"))
        raise AssertionError(f"{len(self.executors())} executors: {self.log('worker-3')}")

    def kill(self, name: str) -> int:
        """Kill a worker and its executors, as power does; returns how many processes."""
        process = psutil.Process(self.processes.pop(name).pid)
        family = [process, *process.children(recursive=True)]
        jvms = [each for each in family if "java" in each.name()]
        for each in family:
            each.kill()
        psutil.wait_procs(family, timeout=30)
        return len(jvms)

    def start(self, name: str, role: str, *arguments: str, **variables: str) -> None:
        """Start one of its processes."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        with (folder / "output").open("ab") as output:
            self.processes[name] = subprocess.Popen(
                [sys.executable, SCRIPT, role, "--folder", folder, "--secret", self.secret, *arguments],
                env=environment(self.warehouse, **variables),
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=PROJECT_ROOT,
            )

    @property
    def secret(self) -> Path:
        return self.folder / "secret"

    @property
    def url(self) -> str:
        return f"spark://127.0.0.1:{self.master_port}"

    def start_worker(self, name: str) -> None:
        self.start(name, "worker", "--master", self.url, "--cores", "1", "--memory-mb", "1536")

    def wait(self, name: str, port: int) -> None:
        """Until a process listens at its port."""
        process = self.processes[name]
        for _ in range(_SECONDS * 2):
            if accepts(port):
                return
            try:
                process.wait(0.5)
            except subprocess.TimeoutExpired:
                continue
            break
        raise AssertionError(f"{name} does not serve:\n{self.log(name)}")

    def log(self, name: str) -> str:
        """The end of what a process said."""
        files = [self.folder / name / file for file in ("output", "server.log")]
        return "\n".join(file.read_text(errors="replace")[-3000:] for file in files if file.is_file())


@contextmanager
def cluster(folder: Path, warehouse: Path, **settings: str) -> Iterator[Cluster]:
    """A cluster of two workers with one core each; it ends with the block.

    Args:
        settings: `LAKEHOUSE_…` variables of its Connect server.
    """
    found = Cluster(folder, warehouse)
    found.secret.touch(mode=0o600)
    found.secret.write_text(secrets.token_hex(16))
    try:
        found.start("master", "master", "--port", f"{found.master_port}", "--ui-port", "0")
        found.wait("master", found.master_port)
        for name in ("worker-1", "worker-2"):
            found.start_worker(name)
        found.start(
            "connect",
            "connect",
            *("--master", found.url, "--port", f"{found.port}", "--executor-mb", "1024"),
            SPARK_CONNECT_AUTHENTICATE_TOKEN=found.token,
            **{"LAKEHOUSE_HEAP_MB": "1536", "LAKEHOUSE_CORES": "2"} | settings,
        )
        found.wait("connect", found.port)
        yield found
    finally:
        # The Connect server first: the others would only tell that they lost it.
        for process in reversed(found.processes.values()):
            process.terminate()
        for process in found.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
