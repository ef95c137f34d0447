"""The engine's life: found, started, replaced when dead, refused when it is another one, stopped."""

import os
import select
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from lakehouse.engine import state
from lakehouse.engine.config import fingerprint
from lakehouse.engine.ports import accepts, is_connected
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT, Settings, settings


def _check_fingerprint(current: state.EngineState, config: Settings) -> None:
    ours = fingerprint(config)
    other = [part for part, value in ours.items() if current.fingerprint.get(part) != value]
    if other:
        raise LakehouseError(
            f"the engine of {config.warehouse} (process {current.pid}, started by {current.project}) "
            f"has other {', '.join(other)} than this clone",
            "run `lakehouse down`; the next command starts one that fits",
        )


def running(config: Settings | None = None) -> state.EngineState | None:
    """The engine that serves this warehouse now, or None."""
    config = config or settings()
    current = state.read_state(config.engine_dir)
    if current is None or not state.is_alive(config.engine_dir) or not accepts(current.port):
        return None
    return current


def ensure_engine(config: Settings | None = None) -> state.EngineState:
    """The engine of this warehouse, started if none lives. Two who ask at once get the same one.

    Raises:
        LakehouseError: it cannot start, or the one that runs has another fingerprint.
    """
    config = config or settings()
    current = running(config)
    if current is None:
        with state.exclusive(config.engine_dir / "start.lock"):
            current = running(config) or _start(config)
    _check_fingerprint(current, config)
    return current


def _start(config: Settings) -> state.EngineState:
    if state.is_alive(config.engine_dir):
        # Its process lives but does not answer: it may still write, so it must go before another one starts.
        _kill(config)
    readable, writable = os.pipe()
    with (config.engine_dir / "supervisor.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "lakehouse.engine.supervisor", str(writable)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(writable,),
            start_new_session=True,
            cwd=PROJECT_ROOT,
            env=_supervisor_environment(config),
        )
    os.close(writable)
    answered, _, _ = select.select([readable], [], [], config.start_timeout_seconds + 30)
    said = os.read(readable, 65_536).decode() if answered else "it did not answer in time"
    os.close(readable)
    current = state.read_state(config.engine_dir)
    if said != "ready" or current is None:
        raise LakehouseError(
            f"the engine did not start: {said or 'its supervisor died'}",
            f"see {config.engine_dir / 'supervisor.log'}",
        )
    return current


def _supervisor_environment(config: Settings) -> dict[str, str]:
    """The caller's environment with its settings spelled out, so that both compute the same fingerprint."""
    spelled = {
        f"LAKEHOUSE_{name.upper()}": str(value)
        for name, value in config.model_dump().items()
        if value is not None
    }
    return {**os.environ, **spelled, "LAKEHOUSE_WAREHOUSE": str(config.warehouse.resolve())}


def _processes(current: state.EngineState) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for pid, mark in (
        (current.supervisor_pid, "lakehouse.engine.supervisor"),
        (current.pid, "SparkConnectServer"),
    ):
        try:
            process = psutil.Process(pid)
            # A process number is reused; its command line tells whether it is still ours.
            if any(mark in argument for argument in process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def _kill(config: Settings) -> None:
    current = state.read_state(config.engine_dir)
    if current is None:
        raise LakehouseError(
            f"something keeps {config.engine_dir / 'alive.lock'} locked, and no state says what",
            "find it with `fuser` on that file, and stop it",
        )
    processes = _processes(current)
    for process in processes:
        process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=20)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=10)


def stop_engine(config: Settings | None = None) -> bool:
    """Stop the engine of this warehouse; what it was running is not committed.

    Returns:
        whether there was one.
    """
    config = config or settings()
    with state.exclusive(config.engine_dir / "start.lock"):
        if not state.is_alive(config.engine_dir):
            return False
        _kill(config)
        return True


@contextmanager
def stopped(config: Settings | None = None) -> Generator[None]:
    """No engine serves this warehouse in the block: an idle one is stopped, and who wants one waits.

    Raises:
        LakehouseError: the engine has clients; each is named.
    """
    config = config or settings()
    with state.exclusive(config.engine_dir / "start.lock"):
        users = _users(config)
        if users:
            raise LakehouseError(
                f"the engine of {config.warehouse} is in use by {', '.join(users)}",
                "wait until they are done, or stop them, and run this again",
            )
        if state.is_alive(config.engine_dir):
            _kill(config)
        yield


def _users(config: Settings) -> list[str]:
    """Whoever keeps a session on the engine that runs, ours and others."""
    current = running(config)
    if current is None:
        return []
    ours = [
        f"process {client.pid} ({client.command})"
        for _, client, alive in state.clients(config.engine_dir)
        if alive and client.instance == current.instance
    ]
    return ours or (["a client of another program"] if is_connected(current.pid, current.port) else [])


@dataclass(frozen=True)
class EngineStatus:
    """What `lakehouse status` says of the engine. Memory in MiB, Python workers included."""

    running: bool
    address: str | None
    pid: int | None
    started_at: str | None
    heap_mb: int | None
    resident_mb: int | None
    clients: list[state.Client]
    fits: bool
    remote: bool


def status(config: Settings | None = None) -> EngineStatus:
    """What runs for this warehouse, without starting anything."""
    config = config or settings()
    foreign = os.environ.get("SPARK_REMOTE")
    if foreign and not is_ours(foreign):
        return EngineStatus(True, foreign.split(";")[0], None, None, None, None, [], True, True)
    current = running(config)
    if current is None:
        return EngineStatus(False, None, None, None, None, None, [], True, False)
    process = psutil.Process(current.pid)
    family = [process, *process.children(recursive=True)]
    resident = sum(member.memory_info().rss for member in family) // 2**20
    living = [client for _, client, alive in state.clients(config.engine_dir) if alive]
    fits = fingerprint(config) == current.fingerprint
    return EngineStatus(
        True, current.address, current.pid, current.started_at, current.heap_mb, resident, living, fits, False
    )


# Set beside SPARK_REMOTE by us, so that a child process tells our address from one that its user gave.
OURS = "LAKEHOUSE_ENGINE_ADDRESS"


def is_ours(remote: str) -> bool:
    """Whether this SPARK_REMOTE was set by us (in this process or a parent), and not by the user."""
    return os.environ.get(OURS) == remote
