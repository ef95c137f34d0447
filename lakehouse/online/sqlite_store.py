"""The embedded online store: one SQLite file in the warehouse, read by any process while one writes (WAL).

rows      one per table and entity: its day, the stamp of the push that wrote it, when it expires, its value
days      one per table and day that was pushed, see `HeldDay`
markers   of each table: the claim, how many pushes there were, and the release that was pushed last
schemas   columns of packed rows, by digest
"""

import contextlib
import sqlite3
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

from lakehouse.online.packing import RowSchema, key_text
from lakehouse.online.state import (
    Held,
    HeldDay,
    Marker,
    PackedRow,
    Push,
    digest_in,
    now_ms,
    online_row,
    sequence_of,
    stamp_of,
)
from lakehouse.online.store import OnlineRow, OnlineStoreUnavailable

_TABLES = """
    create table if not exists rows (
        table_name text not null, key text not null, day text not null, stamp text not null,
        expires_ms integer not null, value blob not null, primary key (table_name, key)
    );
    create index if not exists rows_by_day on rows (table_name, day, stamp);
    create table if not exists days (
        table_name text not null, day text not null, held text not null, primary key (table_name, day)
    );
    create table if not exists markers (
        table_name text not null primary key, claim text not null, attempts integer not null, marker text
    );
    create table if not exists schemas (digest blob not null primary key, columns text not null);
"""
# SQLite's own limit of parameters is far above.
_KEYS_AT_ONCE = 500


class _File:
    """A connection to the file, opened when it is first needed; one thread at a time uses it."""

    def __init__(self, path: Path, timeout: float) -> None:
        self.path = path
        self._timeout = timeout
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def use(self) -> Generator[sqlite3.Connection]:
        """The connection, alone.

        Raises:
            OnlineStoreUnavailable: another process keeps the file locked, or it cannot be read.
        """
        if not self._lock.acquire(timeout=self._timeout):
            raise OnlineStoreUnavailable(f"{self.path} did not answer within {self._timeout:g} s")
        try:
            if self._connection is None:
                self._connection = self._open()
            yield self._connection
        except sqlite3.Error as error:
            self._let_go()
            raise OnlineStoreUnavailable(
                f"{self.path} did not answer within {self._timeout:g} s: {error}",
                "does another process keep it locked, or is the disk full? Where it is damaged, delete it "
                "with its -wal and -shm: `lakehouse features push` makes it again from Delta",
            ) from error
        finally:
            self._lock.release()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self._timeout, isolation_level=None, check_same_thread=False
        )
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = normal")
        return connection

    def _let_go(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._let_go()


class SqliteStore:
    """Rows by entity, from the file.

    Args:
        path: of the file; before the first push there is none.
        timeout: seconds that a call may wait for a lock.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._file = _File(path, timeout)
        self._schemas: dict[bytes, RowSchema] = {}

    def rows(self, table: str, keys: Sequence[Mapping[str, Any]]) -> list[OnlineRow | None]:
        """See `OnlineStore`."""
        texts = [key_text(key) for key in keys]
        if not self._file.path.exists():
            return [None] * len(texts)
        with self._file.use() as connection:
            found: dict[str, bytes] = {}
            wanted = list(dict.fromkeys(texts))
            for at in range(0, len(wanted), _KEYS_AT_ONCE):
                some = wanted[at : at + _KEYS_AT_ONCE]
                found |= connection.execute(
                    "select key, value from rows where table_name = ? and expires_ms > ? "
                    f"and key in ({', '.join('?' * len(some))})",
                    (table, now_ms(), *some),
                ).fetchall()
            self._learn(connection, found.values())
        rows = {
            key: online_row(table, value, self._schemas[digest_in(value)]) for key, value in found.items()
        }
        return [rows.get(text) for text in texts]

    def _learn(self, connection: sqlite3.Connection, values: Iterable[bytes]) -> None:
        for digest in {digest_in(value) for value in values} - self._schemas.keys():
            found = connection.execute("select columns from schemas where digest = ?", (digest,)).fetchone()
            self._schemas[digest] = RowSchema.from_text(found[0])

    def release(self, table: str) -> str | None:
        """See `OnlineStore`."""
        if not self._file.path.exists():
            return None
        with self._file.use() as connection:
            marker = _marker(connection, table)
        return marker.release_id if marker else None

    def close(self) -> None:
        """See `OnlineStore`."""
        self._file.close()


def _marker(connection: sqlite3.Connection, table: str) -> Marker | None:
    found = connection.execute("select marker from markers where table_name = ?", (table,)).fetchone()
    return Marker.from_text(found[0]) if found and found[0] else None


class SqliteWriter:
    """Writes the file; each call is one transaction.

    Args:
        path: of the file, which is made where it is missing.
        timeout: seconds that a call may wait for another writer.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _File(path, timeout)
        with self._file.use() as connection:
            connection.executescript(_TABLES)

    @contextmanager
    def _write(self) -> Generator[sqlite3.Connection]:
        with self._file.use() as connection:
            connection.execute("begin immediate")
            try:
                yield connection
            except BaseException:
                connection.execute("rollback")
                raise
            connection.execute("commit")

    def held(self, table: str) -> Held:
        """See `OnlineWriter`."""
        with self._file.use() as connection:
            connection.execute("begin")
            try:
                claim, _ = _claim(connection, table)
                return Held(claim, _marker(connection, table), _days(connection, table))
            finally:
                connection.execute("rollback")

    def begin(
        self, table: str, sequence: int, seen: str, days: Mapping[str, bool], ttl_ms: int
    ) -> str | None:
        """See `OnlineWriter`."""
        with self._write() as connection:
            claim, attempts = _claim(connection, table)
            if claim != seen or (claim and sequence_of(claim) > sequence):
                return None
            stamp = stamp_of(sequence, attempts + 1)
            connection.execute("insert or ignore into markers values (?, '', 0, null)", (table,))
            connection.execute(
                "update markers set claim = ?, attempts = ? where table_name = ?",
                (stamp, attempts + 1, table),
            )
            before, expires_ms = _days(connection, table), now_ms() + ttl_ms
            for day, is_asked in days.items():
                asked = is_asked or (day in before and before[day].is_asked)
                _hold(connection, table, day, HeldDay(asked, False, expires_ms))
            connection.execute("delete from rows where table_name = ? and expires_ms <= ?", (table, now_ms()))
            return stamp

    def put(self, push: Push, schema: RowSchema, rows: Sequence[PackedRow]) -> int:
        """See `OnlineWriter`."""
        expires_ms = now_ms() + push.ttl_ms
        with self._write() as connection:
            if _claim(connection, push.name)[0] != push.stamp:
                return 0
            connection.execute(
                "insert or ignore into schemas values (?, ?)", (schema.digest, schema.as_text())
            )
            connection.executemany(
                "insert or replace into rows values (?, ?, ?, ?, ?, ?)",
                [(push.name, row.key, row.day, push.stamp, expires_ms, row.value) for row in rows],
            )
            return len(rows)

    def sweep(self, table: str, stamp: str, days: Iterable[str]) -> int:
        """See `OnlineWriter`."""
        with self._write() as connection:
            if _claim(connection, table)[0] != stamp:
                return 0
            return sum(
                connection.execute(
                    "delete from rows where table_name = ? and day = ? and stamp < ?", (table, day, stamp)
                ).rowcount
                for day in days
            )

    def finish(self, marker: Marker, days: Iterable[str], forgotten: Iterable[str]) -> bool:
        """See `OnlineWriter`."""
        name = marker.name
        with self._write() as connection:
            if _claim(connection, name)[0] != marker.stamp:
                return False
            before = _days(connection, name)
            for day in days:
                _hold(connection, name, day, replace(before[day], is_whole=True))
            connection.executemany(
                "delete from days where table_name = ? and day = ?", [(name, day) for day in forgotten]
            )
            connection.execute("update markers set marker = ? where table_name = ?", (marker.as_text(), name))
            return True

    def close(self) -> None:
        """See `OnlineWriter`."""
        self._file.close()


def _claim(connection: sqlite3.Connection, table: str) -> tuple[str, int]:
    """The claim on a table, and how many there were."""
    found = connection.execute("select claim, attempts from markers where table_name = ?", (table,))
    return found.fetchone() or ("", 0)


def _days(connection: sqlite3.Connection, table: str) -> dict[str, HeldDay]:
    found = connection.execute("select day, held from days where table_name = ?", (table,))
    return {day: HeldDay.from_text(held) for day, held in found.fetchall()}


def _hold(connection: sqlite3.Connection, table: str, day: str, held: HeldDay) -> None:
    connection.execute("insert or replace into days values (?, ?, ?)", (table, day, held.as_text()))
