"""One process at a time writes to production: whoever wants to waits, and is told for whom.

The lock is a file in the warehouse's engine folder that the kernel frees when its holder dies (flock), so
clones that share a warehouse share it. Processes that the holder starts meanwhile belong to it: dbt, run by a
step of the graph, must not wait for that step. They are let in by a variable in their environment, of which
nothing is believed: the lock must still be the one that the variable was made for, and one of the processes
that it names must be alive and an ancestor.

Whoever is let in so is a guest, and keeps a second file locked (shared). Where the holder is killed and a
guest lives on, the next one waits for the guest, too: otherwise two would write.
"""

import fcntl
import json
import os
import secrets
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import psutil

from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress, silent
from lakehouse.settings import settings

# TOKEN:PID,PID…: which taking of the lock it was, its holder, and the guests between it and this process.
VARIABLE = "LAKEHOUSE_PRODUCTION_HOLDER"


@dataclass(frozen=True)
class Holder:
    """Who writes to production.

    Args:
        what: what it does, for people.
        since: ISO 8601, UTC.
        token: another one each time that the lock is taken.
    """

    pid: int
    what: str
    since: str
    token: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.what})"


class _Held:
    """What this process holds, in all its threads together."""

    def __init__(self) -> None:
        self.mutex = threading.Lock()
        self.depth = 0
        self.descriptors: list[int] = []
        self.variable: str | None = None
        # The holder's alone: a guest has nothing to take back.
        self.file: int | None = None


_held = _Held()


def _forget() -> None:
    """In a forked process: a copy of the descriptor would keep the lock after its holder's death."""
    global _held
    for descriptor in _held.descriptors:
        os.close(descriptor)
    _held = _Held()


os.register_at_fork(after_in_child=_forget)


@contextmanager
def production(what: str, progress: Progress = silent, *, wait: bool = True) -> Generator[None]:
    """Write to production, as the only process that does; wait until the others have done.

    Blocks inside one another, in any thread of one process, are one; so are the blocks of processes that the
    holder started. Where a holder is killed, the lock is free.

    Args:
        what: what this process does, for those who wait: `lakehouse check features`.
        progress: is told whom this process waits for.
        wait: False refuses instead of waiting.

    Raises:
        LakehouseError: another process writes, and `wait` is False.
    """
    entered = _held
    _enter(what, progress, wait)
    try:
        yield
    finally:
        # A process that was forked inside the block has nothing to give back.
        if _held is entered:
            _leave()


def holder() -> Holder | None:
    """Who writes to production now; None when nobody does."""
    folder = settings().engine_dir
    try:
        descriptor = os.open(folder / "production.lock", os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(descriptor)
    finally:
        os.close(descriptor)
    return None


def _enter(what: str, progress: Progress, wait: bool) -> None:
    # Threads that come while one waits for the lock wait for that one.
    with _held.mutex:
        if _held.depth == 0 and not _be_guest():
            _take(what, progress, wait)
        _held.depth += 1


def _leave() -> None:
    with _held.mutex:
        _held.depth -= 1
        if _held.depth:
            return
        if _held.file is not None:
            # A variable that outlives its block matches nothing any more.
            os.ftruncate(_held.file, 0)
        if _held.variable is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = _held.variable
        for descriptor in _held.descriptors:
            os.close(descriptor)
        _held.descriptors, _held.file = [], None


def _take(what: str, progress: Progress, wait: bool) -> None:
    """Take the lock, and wait for what a holder that was killed has left behind."""
    lock, guests = _open("production.lock"), -1
    try:
        guests = _open("production.guests.lock")
        _lock(lock, lambda: _described(_read(lock)), progress, wait)
        _lock(guests, lambda: f"what {_described(_read(lock))} has left running", progress, wait)
        own = Holder(
            os.getpid(), what, datetime.now(UTC).isoformat(timespec="seconds"), secrets.token_hex(16)
        )
        # Written while both files are locked: as long as a guest lives, the old token stands here.
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps(asdict(own)).encode(), 0)
        os.close(guests)
        guests = -1
        _hold([lock], f"{own.token}:{own.pid}", lock)
    except BaseException:
        os.close(lock)
        if guests >= 0:
            os.close(guests)
        raise


def _be_guest() -> bool:
    """Join the holder that started this process, if one did and still holds the lock."""
    token, _, names = os.environ.get(VARIABLE, "").partition(":")
    if not token:
        return False
    lock, guests = _open("production.lock"), _open("production.guests.lock")
    try:
        # Before anything is compared: from here on nobody else can take over.
        fcntl.flock(guests, fcntl.LOCK_SH)
        known = _read(lock)
        ancestors = {str(parent.pid) for parent in psutil.Process().parents()}
        welcome = known is not None and known.token == token and not ancestors.isdisjoint(names.split(","))
        if welcome:
            _hold([guests], f"{token}:{names},{os.getpid()}")
    except BaseException:
        os.close(guests)
        raise
    finally:
        os.close(lock)
    if not welcome:
        os.close(guests)
    return welcome


def _hold(descriptors: list[int], variable: str, file: int | None = None) -> None:
    _held.variable = os.environ.get(VARIABLE)
    _held.descriptors, _held.file = descriptors, file
    os.environ[VARIABLE] = variable


def _lock(descriptor: int, by: Callable[[], str], progress: Progress, wait: bool) -> None:
    """Lock a file alone; a signal's handler that raises ends the waiting."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    except BlockingIOError:
        name = by()
    if not wait:
        raise LakehouseError(f"production is written to by {name}", "wait for its end, and run this again")
    progress(f"waits for {name}, which writes to production …")
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def _open(name: str) -> int:
    folder = settings().engine_dir
    folder.mkdir(parents=True, exist_ok=True)
    return os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600)


def _read(descriptor: int) -> Holder | None:
    """What the file says; None where its holder is about to write it, or has gone."""
    try:
        return Holder(**json.loads(os.pread(descriptor, 65_536, 0)))
    except ValueError:
        return None


def _described(known: Holder | None) -> str:
    return "another process" if known is None else str(known)
