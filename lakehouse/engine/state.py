"""What lies in WAREHOUSE/engine: the engine's state, token and locks, and one file for each client.

A lock says who lives: the engine's process keeps `alive.lock` and each client its own file, both until the
kernel closes them, so that a kill -9, a reboot or a reused process number cannot be mistaken for life.
"""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from lakehouse.errors import LakehouseError

_Record = TypeVar("_Record")


@dataclass(frozen=True)
class EngineState:
    """A running engine, as its parent process wrote it down.

    Args:
        pid: the JVM's process number.
        supervisor_pid: the supervisor's; 0 while the engine starts.
        started_at: ISO 8601, UTC.
        heap_mb: MiB.
        project: the clone that started it.
        fingerprint: see `lakehouse.engine.config.fingerprint`.
    """

    instance: str
    pid: int
    supervisor_pid: int
    port: int
    started_at: str
    heap_mb: int
    project: str
    fingerprint: dict[str, str]
    parent_pid: int = 0

    @property
    def address(self) -> str:
        """Spark Connect's address; with a token it must say localhost, or the client tries TLS."""
        return f"sc://localhost:{self.port}"


@dataclass(frozen=True)
class Client:
    """A process that uses the engine. `session_id` and `user_id` name its session on the server."""

    pid: int
    instance: str
    session_id: str
    user_id: str
    command: str
    since: str


def write_private(path: Path, text: str) -> None:
    """Write a file at once (rename) that only its owner can read, and that survives a power cut whole."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to disk: without it a power cut may leave a renamed file with no bytes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def token(engine_dir: Path) -> str:
    """The secret that the engine asks of its clients, made on first use."""
    path = engine_dir / "token"
    found = path.read_text().strip() if path.exists() else ""
    if not found:
        # One that a power cut left empty is replaced: no engine runs with it.
        found = secrets.token_urlsafe(32)
        write_private(path, found)
    return found


def write_state(engine_dir: Path, state: EngineState) -> None:
    write_private(engine_dir / "engine.json", json.dumps(asdict(state), indent=2))


def read_state(engine_dir: Path) -> EngineState | None:
    """The engine that was last started here, alive or not.

    Raises:
        LakehouseError: what stands there is damaged, or was written by another version of this code.
    """
    path = engine_dir / "engine.json"
    try:
        found = _read(EngineState, path)
    except FileNotFoundError:
        return None
    if found is None:
        raise LakehouseError(
            f"the engine's state in {path} is damaged, or of another version of this project",
            "run `lakehouse down`; the next command starts an engine that fits",
        )
    return found


def _read(kind: type[_Record], path: Path) -> _Record | None:
    """A record from a JSON file, without fields that are not known here; None where one is missing."""
    try:
        content: Any = json.loads(path.read_text())
    except ValueError:
        return None
    if not isinstance(content, dict):
        return None
    known: dict[str, Any] = {}
    for field in fields(kind):  # pyright: ignore[reportArgumentType]
        if field.name in content:
            known[field.name] = content[field.name]
        elif field.default is MISSING:
            return None
    return kind(**known)


def is_locked(path: Path) -> bool:
    """Whether a living process keeps this file locked."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two who look at once do not take each other for the owner.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def is_alive(engine_dir: Path) -> bool:
    """Whether an engine's process lives in this warehouse."""
    return is_locked(engine_dir / "alive.lock")


@contextmanager
def exclusive(path: Path) -> Generator[None]:
    """Hold a lock file for a while; others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def clients(engine_dir: Path) -> list[tuple[Path, Client, bool]]:
    """Every registered client: its file, what it says, and whether it lives."""
    return [(path, client, alive) for path, client, alive in _client_files(engine_dir) if client is not None]


def unreadable_clients(engine_dir: Path) -> list[Path]:
    """Files of dead clients that do not say which session was theirs, as a power cut may leave them."""
    return [path for path, client, alive in _client_files(engine_dir) if client is None and not alive]


def living_clients(engine_dir: Path, instance: str) -> list[Client]:
    """The clients of an engine whose processes live."""
    return [client for _, client, alive in clients(engine_dir) if alive and client.instance == instance]


def _client_files(engine_dir: Path) -> list[tuple[Path, Client | None, bool]]:
    found: list[tuple[Path, Client | None, bool]] = []
    for path in sorted((engine_dir / "clients").glob("*.json")):
        # Removed by its owner between the listing and here: no client any more.
        with contextlib.suppress(FileNotFoundError):
            found.append((path, _read(Client, path), is_locked(path)))
    return found


def register_client(engine_dir: Path, client: Client) -> int:
    """Write a client's file and lock it for as long as this process lives.

    Returns:
        the descriptor that holds the lock.
    """
    folder = engine_dir / "clients"
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / f".{client.session_id}"
    descriptor = os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    # Locked before it has its name: nobody can see it without its lock and take its owner for dead.
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(descriptor, json.dumps(asdict(client)).encode())
    os.fsync(descriptor)
    scratch.rename(folder / f"{client.session_id}.json")
    sync_folder(folder)
    return descriptor


def clear_scratch(engine_dir: Path) -> None:
    """Remove what processes left that were killed before they gave a file its name.

    Only while no engine lives: nobody registers then.
    """
    for pattern in (".engine.json.*", ".token.*", "clients/.*"):
        for path in engine_dir.glob(pattern):
            if not is_locked(path):
                path.unlink(missing_ok=True)
