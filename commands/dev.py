"""`lakehouse dev`: the engine and the UIs, until Ctrl-C."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

import psutil

from commands.output import facts, progress
from lakehouse.engine import server
from lakehouse.engine.ports import is_free
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT, settings

EPILOG = "Example: LAKEHOUSE_DAGSTER_PORT=3100 lakehouse dev"

_STOP_SECONDS = 20

# MLflow's server keeps eight more processes for jobs that nothing here uses: half a gigabyte.
_MLFLOW = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


@dataclass
class Ui:
    """One of the UIs: how it is started, and which line of its output says that it is up."""

    name: str
    port: int
    variable: str
    command: list[str]
    ready: re.Pattern[str]
    process: subprocess.Popen[str] | None = None
    last_lines: deque[str] = field(default_factory=lambda: deque[str](maxlen=15))

    @property
    def url(self) -> str:
        """Its address in a browser."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class _Event:
    """A UI is up, or has ended."""

    ui: Ui
    kind: str


def dev() -> None:
    """Open engine, Dagster, MLflow and Data Docs on loopback, print the links, and stop all on Ctrl-C.

    An engine that ran before is left running, as others may use it; so is one that others use by then.
    """
    from expectations.docs import site_dir

    uis = _uis()
    check_ports(uis)
    site_dir().mkdir(parents=True, exist_ok=True)
    engine_was_there = server.running() is not None
    progress("engine …")
    engine = server.ensure_engine()
    # Dagster and MLflow take seconds to import: an occupied port is told before.
    from ml.tracking.runs import client
    from orchestration.instance import environment

    # Both UIs open MLflow's database as they start.
    client()

    signal.signal(signal.SIGTERM, _interrupt)
    try:
        events: queue.Queue[_Event] = queue.Queue()
        for ui in uis:
            progress(f"{ui.name} …")
            _start(ui, {**os.environ, **environment(), **_MLFLOW}, events)
        for _ in uis:
            _expect(events.get(), "ready")
        facts(
            {
                "Dagster": uis[0].url,
                "lineage": f"{uis[0].url}/asset-groups",
                "MLflow": uis[1].url,
                "Data Docs": uis[2].url,
                "engine": engine.address,
                "": "Ctrl-C stops them",
            }
        )
        _expect(events.get(), "never")
    except KeyboardInterrupt:
        progress("stopping …")
    finally:
        _stop(uis)
        if not engine_was_there:
            stop_engine()


def stop_engine() -> None:
    """Stop the engine that this command started, unless others use it by now."""
    try:
        server.stop_engine()
    except LakehouseError as error:
        progress(f"{error.what}: it is left running, and stops when it is idle")


def check_ports(uis: list[Ui]) -> None:
    """Refuse to start when a port is taken.

    Raises:
        LakehouseError: naming the port, what it is for, and the process that has it where that can be seen.
    """
    for place, ui in enumerate(uis):
        for other in uis[:place]:
            if other.port == ui.port:
                raise LakehouseError(
                    f"port {ui.port} is to be {other.name}'s and {ui.name}'s",
                    f"set {other.variable} or {ui.variable} to another port",
                )
        if not is_free(ui.port):
            raise LakehouseError(
                f"port {ui.port}, for {ui.name}, is taken{_holder(ui.port)}",
                f"stop it, or set {ui.variable} to another port",
            )


def _holder(port: int) -> str:
    for connection in psutil.net_connections("tcp"):
        if connection.status != psutil.CONN_LISTEN or not connection.laddr or connection.pid is None:
            continue
        _, listens_on = connection.laddr
        if listens_on == port:
            return f" by process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return ""


def _uis() -> list[Ui]:
    from expectations.docs import site_dir

    # Scripts of this environment, whatever PATH says.
    scripts = Path(sys.executable).parent
    store = f"sqlite:///{settings().mlflow_dir / 'mlflow.db'}"
    pages = site_dir()
    dagster_port, mlflow_port = settings().dagster_port, settings().mlflow_port
    return [
        Ui(
            "Dagster",
            dagster_port,
            "LAKEHOUSE_DAGSTER_PORT",
            [
                # What to load stands in pyproject.toml.
                *(str(scripts / "dagster"), "dev"),
                *("--host", "127.0.0.1", "--port", str(dagster_port), "--log-level", "info"),
            ],
            re.compile(r"Serving dagster-webserver"),
        ),
        Ui(
            "MLflow",
            mlflow_port,
            "LAKEHOUSE_MLFLOW_PORT",
            [
                *(str(scripts / "mlflow"), "server", "--backend-store-uri", store, "--workers", "1"),
                *("--host", "127.0.0.1", "--port", str(mlflow_port)),
            ],
            re.compile(r"Application startup complete"),
        ),
        Ui(
            "Data Docs",
            settings().docs_port,
            "LAKEHOUSE_DOCS_PORT",
            [
                *(sys.executable, "-u", "-m", "http.server", str(settings().docs_port)),
                *("--bind", "127.0.0.1", "--directory", str(pages)),
            ],
            re.compile(r"Serving HTTP"),
        ),
    ]


def _start(ui: Ui, environment: dict[str, str], events: queue.Queue[_Event]) -> None:
    # A session of its own: Ctrl-C reaches this process alone, which stops the others in order.
    ui.process = subprocess.Popen(
        ui.command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd=PROJECT_ROOT,
        env=environment,
        start_new_session=True,
    )
    threading.Thread(target=_follow, args=(ui, ui.process.stdout, events), daemon=True).start()


def _follow(ui: Ui, output: IO[str], events: queue.Queue[_Event]) -> None:
    """Read what a UI prints, so that it never waits for a reader; tell when it is up and when it ended."""
    is_up = False
    for line in output:
        ui.last_lines.append(line.rstrip())
        if not is_up and ui.ready.search(line):
            is_up = True
            events.put(_Event(ui, "ready"))
    events.put(_Event(ui, "ended"))


def _expect(event: _Event, wanted: str) -> None:
    if event.kind != wanted:
        raise LakehouseError(
            f"{event.ui.name} ended; it last said:\n" + "\n".join(event.ui.last_lines),
            "the other processes were stopped too",
        )


def _stop(uis: list[Ui]) -> None:
    """End the UIs and all they started: first by asking all of them, then by force."""
    started = [ui.process.pid for ui in uis if ui.process is not None and ui.process.poll() is None]
    leaders = [psutil.Process(pid) for pid in started]
    everyone = [*leaders, *(child for leader in leaders for child in leader.children(recursive=True))]
    for pid in started:
        os.killpg(pid, signal.SIGINT)
    _, alive = psutil.wait_procs(everyone, timeout=_STOP_SECONDS)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=5)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
