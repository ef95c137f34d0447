"""The engine's life: found, started, replaced when dead, refused when it is another one, stopped."""

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from lakehouse.engine import state, tables_claim
from lakehouse.engine.config import fingerprint
from lakehouse.engine.ports import accepts, connected_processes
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT, Settings, settings

# Stands in the command line of an engine's JVM.
_JVM = "SparkConnectServer"
# Longer than its parent process gives it before it is killed.
STOP_SECONDS = 25


# In the fingerprint of a cluster's Connect server (deploy/cluster): of which one.
CLUSTER = "cluster"


def _refuse_a_clusters(current: state.EngineState | None, config: Settings) -> None:
    """A cluster's server is not ours to use without SPARK_REMOTE, nor to stop."""
    if current is not None and CLUSTER in current.fingerprint:
        raise LakehouseError(
            f"{config.warehouse} is served by the Connect server of {current.fingerprint[CLUSTER]} "
            f"(process {current.pid})",
            "set SPARK_REMOTE to use it; an engine of this clone can start when that server has stopped",
        )


def _check_fingerprint(current: state.EngineState, config: Settings) -> None:
    _refuse_a_clusters(current, config)
    ours = fingerprint(config)
    other = [part for part, value in ours.items() if current.fingerprint.get(part) != value]
    if other:
        raise LakehouseError(
            f"the engine of {config.warehouse} (process {current.pid}, started by {current.project}) "
            f"has other {', '.join(other)} than this clone",
            "run `lakehouse down`; the next command starts one that fits",
        )


def running(config: Settings | None = None) -> state.EngineState | None:
    """The engine that serves this warehouse now, or None.

    Raises:
        LakehouseError: one lives whose state cannot be read.
    """
    config = config or settings()
    # In this order: what a dead engine left may be damaged, and matters to nobody.
    current = state.read_state(config.engine_dir) if state.is_alive(config.engine_dir) else None
    return current if current is not None and accepts(current.port) else None


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
            [sys.executable, "-m", "lakehouse.engine.parent", str(writable)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(writable,),
            start_new_session=True,
            cwd=PROJECT_ROOT,
            env=_engine_environment(config),
        )
    os.close(writable)
    answered, _, _ = select.select([readable], [], [], config.start_timeout_seconds + 30)
    said = os.read(readable, 65_536).decode() if answered else "it did not answer in time"
    os.close(readable)
    current = state.read_state(config.engine_dir) if said == "ready" else None
    if current is None:
        raise LakehouseError(
            f"the engine did not start: {said or 'its parent process died'}",
            f"see {config.engine_dir / 'supervisor.log'}",
        )
    return current


def _engine_environment(config: Settings) -> dict[str, str]:
    """The caller's environment with its settings spelled out, so that both compute the same fingerprint."""
    spelled = {
        f"LAKEHOUSE_{name.upper()}": str(value)
        for name, value in config.model_dump().items()
        if value is not None
    }
    return {**os.environ, **spelled, "LAKEHOUSE_WAREHOUSE": str(config.warehouse.resolve())}


def _holders(lock: Path) -> list[psutil.Process]:
    """The JVMs that have a lock file open; no file is believed, as it may be damaged or of a past engine."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter(["name", "cmdline"]):
        if not any(_JVM in argument for argument in process.info["cmdline"] or ()):
            continue
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if any(Path(file.path) == lock for file in process.open_files()):
                found.append(process)
    return found


def _kill(config: Settings) -> None:
    _refuse_a_clusters(_read_if_whole(config), config)
    lock = config.engine_dir / "alive.lock"
    holders = _holders(lock)
    if not holders and state.is_locked(lock):
        raise LakehouseError(
            f"something keeps {lock} locked that is not a process of an engine that this user may stop",
            "find it with `fuser` on that file, and stop it",
        )
    # The parent process kills a JVM that does not stop when asked, and ends with it, as the supervisor does.
    for process in [*(parent for parent in map(_parent, holders) if parent is not None), *holders]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(holders, timeout=STOP_SECONDS)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=10)
    if state.is_locked(lock):
        raise LakehouseError(
            f"the engine of {config.warehouse} does not stop", "run `lakehouse down` again, or end it by hand"
        )


def _read_if_whole(config: Settings) -> state.EngineState | None:
    # A state that is damaged, or another version's, is no cluster's: that one writes it as it starts.
    with contextlib.suppress(LakehouseError):
        return state.read_state(config.engine_dir)
    return None


def _parent(jvm: psutil.Process) -> psutil.Process | None:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        parent = jvm.parent()
        # One that was orphaned has a parent that is nobody's business here.
        if parent is not None and any("lakehouse.engine" in argument for argument in parent.cmdline()):
            return parent
    return None


def stop_engine(config: Settings | None = None, *, force: bool = False) -> bool:
    """Stop the engine of this warehouse; what it was running is not committed.

    Args:
        force: also one that others use.

    Returns:
        whether there was one.

    Raises:
        LakehouseError: other processes use it; each is named.
    """
    config = config or settings()
    with state.exclusive(config.engine_dir / "start.lock"):
        if not state.is_alive(config.engine_dir):
            # What an engine left that was killed together with its parent, or a cluster's server.
            tables_claim.release(config)
            return False
        if not force:
            _refuse_if_used(
                config, "wait until they are done, or end their statements, too: `lakehouse down --force`"
            )
        _kill(config)
        # Its parent does so, too, once it gets the lock; but who called may start an engine elsewhere.
        tables_claim.release(config)
        return True


@contextmanager
def stopped(config: Settings | None = None) -> Generator[None]:
    """No engine serves this warehouse in the block: an idle one is stopped, and who wants one waits.

    Raises:
        LakehouseError: the engine has clients; each is named.
    """
    config = config or settings()
    with state.exclusive(config.engine_dir / "start.lock"):
        _refuse_if_used(config, "wait until they are done, or stop them, and run this again")
        if state.is_alive(config.engine_dir):
            _kill(config)
        yield


def _refuse_if_used(config: Settings, hint: str) -> None:
    users = users_of(config)
    if users:
        raise LakehouseError(f"the engine of {config.warehouse} is in use by {', '.join(users)}", hint)


def users_of(config: Settings | None = None) -> list[str]:
    """Whoever else keeps a session on the engine that runs, or a connection to it, in words."""
    config = config or settings()
    try:
        current = running(config)
    except LakehouseError:
        # Another version's, or damaged: who uses it cannot be known, and it serves nobody of this version.
        return []
    if current is None:
        return []
    named = {
        client.pid: f"process {client.pid} ({client.command})"
        for client in state.living_clients(config.engine_dir, current.instance)
    }
    family = {os.getpid(), current.supervisor_pid, current.parent_pid, current.pid}
    for pid in connected_processes(current.pid, current.port) - family - named.keys():
        named[pid] = f"process {pid} (a client of another program)" if pid else "a client of another program"
    return [name for pid, name in named.items() if pid not in family]


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
    if is_foreign():
        address = os.environ["SPARK_REMOTE"].split(";")[0]
        return EngineStatus(True, address, None, None, None, None, [], True, True)
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


def is_foreign() -> bool:
    """Whether this process works on a server of the user's own."""
    remote = os.environ.get("SPARK_REMOTE")
    return bool(remote) and not is_ours(remote)


def tables_are_here() -> bool:
    """Whether the tables are files of this machine's warehouse: of our own engine, and in no object store."""
    return not is_foreign() and settings().tables is None
