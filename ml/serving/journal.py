"""The journal of what was answered: appended and durable before the answer is sent, lost by no kill.

    WAREHOUSE/serving/journal/SERVICE-NUMBER.log

    one line a request: CRC-32 of what follows, where the write that it belongs to begins, and JSON;
    then zeros

A service holds a lock on the segment that it writes. Records that come while others are being written to the
disk are written together, by the next sync. A segment that is large or old is closed and another one begun;
`lakehouse serve flush` removes it once its rows are in Delta.

A segment is filled with zeros before its first record, by another thread: a sync then writes data alone. A
file that grows has its size written as well, by the file system's own journal, where it waits for whatever
other processes write: beside a busy engine 19 ms instead of 5 at the 99th percentile, 237 instead of 12 at
worst.
"""

import fcntl
import logging
import os
import queue
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lakehouse.errors import LakehouseError

SUFFIX = ".log"
UNMADE = ".new"
_log = logging.getLogger(__name__)
_IDLE_SECONDS = 1.0
_ZEROS = bytes(2**18)


class JournalError(LakehouseError):
    """A record could not be made durable."""


Done = Callable[[JournalError | None], None]


class Entry(NamedTuple):
    """A record that waits for the disk.

    Args:
        record: one line of JSON.
        done: is called once it is durable, or could not be made so.
    """

    record: bytes
    done: Done


@dataclass
class _Segment:
    path: Path
    descriptor: int
    bytes: int
    opened: float


def line_of(record: bytes, begin: int) -> bytes:
    """A record as it stands in a segment.

    Args:
        begin: where the write that it belongs to begins. After a machine's crash a page of the last write may
            lack while a later one is there; a line of a later write proves that an earlier one was whole.
    """
    checked = b"%08x %s" % (begin, record)
    return b"%08x %s\n" % (zlib.crc32(checked), checked)


def used_bytes(descriptor: int) -> int:
    """Where the zeros of a segment begin; no byte of a record is zero."""
    low, high = 0, os.fstat(descriptor).st_size
    while low < high:
        middle = (low + high) // 2
        if os.pread(descriptor, 1, middle) in (b"\0", b""):
            high = middle
        else:
            low = middle + 1
    return low


class Journal:
    """Appends records to segments; one thread writes.

    Args:
        folder: of all segments, those of other services too.
        service: the name of this service, which no other one has.
        segment_bytes: the room of a segment; one that is larger is closed.
        segment_seconds: so is one that is older.
        max_bytes: all segments together; past it records are refused until they are flushed.
    """

    def __init__(
        self, folder: Path, service: str, *, segment_bytes: int, segment_seconds: float, max_bytes: int
    ) -> None:
        self.bytes_waiting = 0
        self.folder = folder
        self._service = service
        self._segment_bytes, self._segment_seconds = segment_bytes, segment_seconds
        self._max_bytes = max_bytes
        self._queue: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._segment: _Segment | None = None
        self._number = 0
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        # Makes the next segment ahead, and ends those that are full.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="journal-segments")
        self._ahead: Future[_Segment] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Begin to write.

        Raises:
            OSError: the folder cannot be written.
        """
        _remove_empty(self.folder)
        self._segment = self._take()
        self._thread.start()

    def append(self, record: bytes, done: Done) -> None:
        """Write a record soon; `done` is called from the thread that writes."""
        self._queue.put(Entry(record, done))

    def close(self) -> None:
        """Write what waits, and end."""
        self._queue.put(None)
        self._thread.join()
        self._let_go()
        if self._ahead is not None:
            self._pool.submit(self._remove, self._ahead)
        self._pool.shutdown()

    def _run(self) -> None:
        while True:
            entries, goes_on = self._next()
            if entries:
                self._write(entries)
            try:
                self._rotate_if_due()
            except OSError as error:
                _log.error("no new segment of the journal: %s", error)
            if not goes_on:
                return

    def _next(self) -> tuple[list[Entry], bool]:
        """All that waits, and whether more may come."""
        entries: list[Entry] = []
        try:
            each = self._queue.get(timeout=_IDLE_SECONDS)
            while each is not None:
                entries.append(each)
                each = self._queue.get_nowait()
        except queue.Empty:
            return entries, True
        return entries, False

    def _write(self, entries: Sequence[Entry]) -> None:
        problem: JournalError | None = None
        try:
            self._append([entry.record for entry in entries])
        except OSError as error:
            problem = JournalError(
                f"the journal {self.folder} cannot be written: {error}", "is the disk full?"
            )
            _log.error("%s", problem)
            self._let_go()
        except JournalError as error:
            problem = error
        for entry in entries:
            try:
                entry.done(problem)
            except Exception:  # noqa: BLE001 - logged
                # One that cannot be answered must not keep the others from being so.
                _log.exception("an answer")

    def _append(self, records: Sequence[bytes]) -> None:
        size = sum(map(len, records))
        if self.bytes_waiting + size > self._max_bytes:
            self.bytes_waiting = size_of(self.folder)
        if self.bytes_waiting + size > self._max_bytes:
            raise JournalError(
                f"the journal {self.folder} holds {self.bytes_waiting:,} bytes, the most that it may",
                "`lakehouse serve flush` moves them into Delta; LAKEHOUSE_SERVING_JOURNAL_MB allows more",
            )
        if self._segment is None:
            self._segment = self._take()
        lines = b"".join(line_of(record, self._segment.bytes) for record in records)
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(self._segment.descriptor, rest) :]
        os.fdatasync(self._segment.descriptor)
        self._segment.bytes += len(lines)
        self.bytes_waiting += len(lines)

    def _let_go(self) -> None:
        """End a segment; of a write that failed nothing stays, and nothing comes after it."""
        segment, self._segment = self._segment, None
        if segment is not None:
            self._pool.submit(_end, segment)

    @property
    def is_alive(self) -> bool:
        """Whether records are still written."""
        return self._thread.is_alive()

    def _rotate_if_due(self) -> None:
        segment = self._segment
        if segment is None or segment.bytes == 0:
            return
        is_old = time.monotonic() - segment.opened > self._segment_seconds
        if not (is_old or segment.bytes > self._segment_bytes):
            return
        if self._ahead is None:
            self._ahead = self._pool.submit(self._open)
        # A request waits for no segment to be made: until there is one, this one grows.
        if self._ahead.done():
            following = self._take()
            self._let_go()
            self._segment = following
            self.bytes_waiting = size_of(self.folder)

    def _take(self) -> _Segment:
        """The segment that was made ahead; another one is made ahead from now on.

        Raises:
            OSError: none can be made.
        """
        ready, self._ahead = self._ahead, None
        try:
            segment = (ready or self._pool.submit(self._open)).result()
        except OSError:
            if ready is None:
                raise
            # That was then: the disk may be well again.
            segment = self._pool.submit(self._open).result()
        self._ahead = self._pool.submit(self._open)
        segment.opened = time.monotonic()
        return segment

    def _open(self) -> _Segment:
        self._number += 1
        final = self.folder / f"{self._service}-{self._number:06d}{SUFFIX}"
        made = final.with_suffix(UNMADE)
        descriptor = os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            # Before anything else: a flush removes what nobody has locked.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # In small steps, each on the disk before the next: records do not wait behind all of it.
            for begin in range(0, self._segment_bytes, len(_ZEROS)):
                os.write(descriptor, _ZEROS[: self._segment_bytes - begin])
                os.fdatasync(descriptor)
            os.lseek(descriptor, 0, os.SEEK_SET)
            made.rename(final)
            _sync_folder(self.folder)
        except OSError:
            os.close(descriptor)
            made.unlink(missing_ok=True)
            raise
        return _Segment(final, descriptor, 0, time.monotonic())

    @staticmethod
    def _remove(ahead: "Future[_Segment]") -> None:
        """A segment that was made ahead and is not needed."""
        with suppress(OSError):
            segment = ahead.result()
            segment.path.unlink()
            os.close(segment.descriptor)


def _end(segment: _Segment) -> None:
    """Take off what was not written, and let go of a segment."""
    # Either may report once more that the disk is full; a reader knows zeros, and a torn line.
    with suppress(OSError):
        os.ftruncate(segment.descriptor, segment.bytes)
    with suppress(OSError):
        os.close(segment.descriptor)


def _remove_empty(folder: Path) -> None:
    """Remove segments without a record, of services that were killed: else each start costs two."""
    for path in (*folder.glob(f"*{SUFFIX}"), *folder.glob(f"*{UNMADE}")):
        # What another service or a flush holds is theirs; one without a byte is being made.
        with suppress(FileNotFoundError, BlockingIOError), path.open("r+b") as segment:
            fcntl.flock(segment, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(segment.fileno()).st_size > 0 and used_bytes(segment.fileno()) == 0:
                path.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def size_of(folder: Path) -> int:
    """Bytes of all records."""
    found = 0
    for path in folder.glob(f"*{SUFFIX}"):
        # One may be flushed meanwhile.
        with suppress(FileNotFoundError), path.open("rb") as segment:
            found += used_bytes(segment.fileno())
    return found
