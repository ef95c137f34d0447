"""A store that is away, hangs or is locked is said in time, and found again."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.errors import LakehouseError
from lakehouse.online.redis_store import RedisStore, RedisWriter
from lakehouse.online.sqlite_store import SqliteStore, SqliteWriter
from lakehouse.online.store import OnlineStoreUnavailable
from tests.redis_server import RedisServer
from tests.unit.lakehouse.online_stores import (
    TABLE,
    TWO_DAYS,
    Store,
    push_to,
    release,
)


def within(seconds: float, call: Callable[[], object]) -> None:
    """The call fails as it should, in time."""
    started = time.monotonic()
    with pytest.raises(OnlineStoreUnavailable) as raised:
        call()
    assert time.monotonic() - started < seconds
    assert isinstance(raised.value, LakehouseError)


def test_a_redis_that_is_away_or_hangs_is_said_in_time_and_found_again(own_redis: RedisServer) -> None:
    store = Store(RedisWriter(own_redis.address, "w", 5), RedisStore(own_redis.address, "w", 0.2))
    push_to(store.writer, TWO_DAYS, release(1, 0))
    assert store.read(["a"]) == {"a": 0.5}

    own_redis.freeze()
    within(1.5, lambda: store.read(["a"]))
    within(1.5, lambda: store.reader.release(TABLE))
    own_redis.thaw()
    assert store.read(["a"]) == {"a": 0.5}

    own_redis.kill()
    within(1.5, lambda: store.read(["a"]))
    own_redis.start()
    # It came back empty: the next push sees that, and writes all of it.
    assert store.read(["a"]) == {}
    assert push_to(store.writer, TWO_DAYS, release(1, 0))
    assert store.read(["a"]) == {"a": 0.5}


def test_a_wrong_password_is_said_without_telling_the_right_one(own_redis: RedisServer) -> None:
    wrong = own_redis.address.replace(own_redis.password, "guessed-wrong")
    with pytest.raises(OnlineStoreUnavailable, match=f"127.0.0.1:{own_redis.port} did not answer") as raised:
        RedisStore(wrong, "w", 1).release(TABLE)
    assert "guessed-wrong" not in str(raised.value)


def test_a_file_that_another_process_locks_is_said_in_time_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    writer, reader = SqliteWriter(path, 5), SqliteStore(path, 0.2)
    push_to(writer, TWO_DAYS, release(1, 0))
    writer.close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("pragma locking_mode = exclusive")
    holder.execute("begin exclusive")
    holder.execute("update markers set attempts = attempts")
    within(1.5, lambda: reader.release(TABLE))
    holder.execute("rollback")
    holder.close()
    assert reader.release(TABLE) == "release-1"


def test_a_reader_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    writer, reader = SqliteWriter(path, 5), SqliteStore(path, 0.2)
    push_to(writer, TWO_DAYS, release(1, 0))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    other.execute("delete from rows")
    assert len(reader.rows(TABLE, [{"flight_id": "a"}])) == 1
    assert reader.rows(TABLE, [{"flight_id": "a"}])[0] is not None
    other.execute("rollback")
    other.close()
