"""What lies in WAREHOUSE/engine: the engine's state, token and locks, and one file for each client.

A lock says who lives: the engine's process keeps `alive.lock` and each client its own file, both until the
kernel closes them, so that a kill -9, a reboot or a reused process number cannot be mistaken for life.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class EngineState:
    """A running engine, as its supervisor wrote it down.

    Args:
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
    """Write a file at once (rename) that only its owner can read."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    scratch.replace(path)


def token(engine_dir: Path) -> str:
    """The secret that the engine asks of its clients, made on first use."""
    path = engine_dir / "token"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text().strip()


def write_state(engine_dir: Path, state: EngineState) -> None:
    write_private(engine_dir / "engine.json", json.dumps(asdict(state), indent=2))


def read_state(engine_dir: Path) -> EngineState | None:
    """The engine that was last started here, alive or not."""
    try:
        return EngineState(**json.loads((engine_dir / "engine.json").read_text()))
    except FileNotFoundError:
        return None


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
    found: list[tuple[Path, Client, bool]] = []
    for path in sorted((engine_dir / "clients").glob("*.json")):
        try:
            client = Client(**json.loads(path.read_text()))
        except FileNotFoundError:
            continue  # removed by its owner between the listing and here
        found.append((path, client, is_locked(path)))
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
    scratch.rename(folder / f"{client.session_id}.json")
    return descriptor
