"""Both stores: what is read is what the newest release has, whoever pushed, died or came late."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lakehouse.delta.table import TableVersion
from lakehouse.online.redis_store import RedisStore, RedisWriter
from lakehouse.online.sqlite_store import SqliteStore, SqliteWriter
from lakehouse.online.state import OnlineWriter
from tests.redis_server import RedisServer
from tests.unit.lakehouse.online_stores import (
    DAYS,
    TABLE,
    TWO_DAYS,
    State,
    Store,
    in_window,
    push_to,
    put_rows,
    release,
)

Make = Callable[[], Store]


@pytest.fixture(params=["sqlite", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes an empty store."""
    if request.param == "sqlite":

        def sqlite() -> Store:
            path = tmp_path / f"{uuid.uuid4().hex}.sqlite"
            return Store(SqliteWriter(path, 5), SqliteStore(path, 1))

        return sqlite
    server: RedisServer = request.getfixturevalue("redis_server")

    def on_redis() -> Store:
        warehouse = uuid.uuid4().hex
        return Store(RedisWriter(server.address, warehouse, 5), RedisStore(server.address, warehouse, 1))

    return on_redis


class Killed(BaseException):
    """As by kill -9: nothing after it is done."""


@dataclass
class Interrupted:
    """A writer that does something else before one of its calls, or dies there."""

    writer: OnlineWriter
    at: int
    instead: Callable[[], object]
    calls: int = field(default=0, init=False)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.writer, name)

        def call(*arguments: Any) -> Any:
            self.calls += 1
            if self.calls - 1 == self.at:
                self.instead()
            return method(*arguments)

        return call


def killed() -> None:
    raise Killed


ENTITIES = ["a", "b", "c", "d"]
STATES = st.dictionaries(
    st.sampled_from(ENTITIES),
    st.tuples(st.integers(0, len(DAYS) - 1), st.sampled_from([0.5, -0.0, 1.0])),
)
# The version of a push, the call before which it dies, and the one before which another push comes between:
# of the release before, of the same, or of the one after.
PUSHES = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.none() | st.integers(0, 9),
        st.none() | st.tuples(st.integers(0, 9), st.integers(-1, 1), st.none() | st.integers(0, 9)),
    ),
    max_size=4,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(versions=st.lists(STATES, min_size=4, max_size=4), pushes=PUSHES)
@example(
    # An entity moves to another day, and the push that says so dies after it began.
    versions=[{"a": (1, 0.5)}, {"a": (2, 1.0)}, {"a": (2, 1.0)}, {"a": (2, 1.0)}],
    pushes=[(0, None, None), (1, 3, None), (0, None, None)],
)
@example(
    # An entity moves from a day that is too new for an older version, and the push of that dies.
    versions=[{"a": (0, 0.5)}, {}, {}, {"a": (1, 0.5)}],
    pushes=[(3, None, None), (0, 4, None)],
)
@example(
    # A push is planned, then an older one goes through.
    versions=[{"b": (3, 0.5)}, {"a": (4, 0.5)}, {}, {"a": (4, 0.5)}],
    pushes=[(3, None, None), (1, None, (1, -1, None))],
)
@example(
    # One goes through, then an older plan that knows nothing of it moves its entity.
    versions=[{"a": (3, 0.5)}, {}, {}, {"a": (0, 0.5)}],
    pushes=[(0, None, (1, -1, None))],
)
def test_after_any_pushes_the_store_has_what_a_full_one_gives(
    make: Make, versions: list[State], pushes: list[tuple[int, int | None, Any]]
) -> None:
    store = make()
    sequence = 0

    def one(
        version: int, number: int, dies: int | None, between: Callable[[], object] | None, at: int
    ) -> None:
        writer: Any = store.writer
        if between is not None:
            writer = Interrupted(writer, at, between)
        if dies is not None:
            writer = Interrupted(writer, dies, killed)
        with contained():
            push_to(writer, versions, release(number, version))

    for version, dies, other in pushes:
        sequence += 3
        between = None
        if other is not None:
            _, later, other_dies = other
            others = (version + later) % 4, sequence + later, other_dies
            between = once(partial(one, *others, None, 0))
        one(version, sequence, dies, between, other[0] if other is not None else 0)
    last = release(sequence + 2, 3)
    while not push_to(store.writer, versions, last):
        pass

    assert store.reader.release(TABLE) == last.release_id
    assert store.read(ENTITIES) == in_window(versions[3])
    assert {day for day, each in store.writer.held(TABLE).days.items() if not each.is_whole} == set()
    whole = make()
    assert push_to(whole.writer, versions, last, full=True)
    assert whole.read(ENTITIES) == store.read(ENTITIES)
    assert whole.writer.held(TABLE).days.keys() == store.writer.held(TABLE).days.keys()


def once(action: Callable[[], object]) -> Callable[[], object]:
    waiting = [action]
    return lambda: waiting.pop()() if waiting else None


@contextmanager
def contained() -> Iterator[None]:
    with suppress(Killed):
        yield


def test_an_older_push_that_comes_late_changes_nothing(make: Make) -> None:
    store = make()
    assert push_to(store.writer, TWO_DAYS, release(2, 1))
    assert not push_to(store.writer, TWO_DAYS, release(1, 0))
    assert store.read(ENTITIES) == {"a": 7.0}
    assert store.reader.release(TABLE) == "release-2"


def test_a_row_says_which_version_and_release_it_comes_from(make: Make) -> None:
    store = make()
    versions: list[State] = [TWO_DAYS[0], {"a": (1, 0.5), "b": (2, 3.0)}]
    push_to(store.writer, versions, release(1, 0))
    push_to(store.writer, versions, release(2, 1))
    unchanged, changed, unknown = store.reader.rows(TABLE, [{"flight_id": name} for name in "abc"])
    assert unknown is None and unchanged is not None and changed is not None
    assert (unchanged.table.version, unchanged.release_id) == (0, "release-1")
    assert (changed.table, changed.release_id) == (TableVersion(TABLE, "a-table", 1), "release-2")
    assert changed.values == {"flight_id": "b", "day": DAYS[2], "delay": 3.0}


def test_a_release_is_noted_when_all_of_it_is_there(make: Make) -> None:
    store = make()
    push_to(store.writer, TWO_DAYS, release(1, 0))
    for dies in range(9):
        with contained():
            push_to(Interrupted(store.writer, dies, killed), TWO_DAYS, release(2, 1))  # type: ignore[arg-type]
        if store.reader.release(TABLE) == "release-2":
            break
        assert store.reader.release(TABLE) == "release-1"
    assert dies > 3
    assert store.read(ENTITIES) == {"a": 7.0}


def test_rows_expire(make: Make) -> None:
    store = make()
    stamp = store.writer.begin(TABLE, 1, "", {"2013-01-02": False}, 60)
    assert stamp is not None
    put = put_rows(store.writer, {"a": (1, 0.5)}, release(1, 0), stamp, ["2013-01-02"], ttl_ms=60)
    until = time.monotonic() + 5
    seen = set()
    while store.read(["a"]) and time.monotonic() < until:
        seen.add("there")
    assert put == 1
    assert store.read(["a"]) == {}
    # What expired is written again, though the table did not change.
    assert push_to(store.writer, [{"a": (1, 0.5)}], release(1, 0))
    assert store.read(["a"]) == {"a": 0.5}


def test_many_keys_are_answered_in_order_and_some_twice(make: Make) -> None:
    store = make()
    state: State = {f"f{number}": (1, float(number)) for number in range(1200)}
    assert push_to(store.writer, [state], release(1, 0))
    asked = ["f7", "unknown", "f1199", "f7", *(f"f{number}" for number in range(1100))]
    rows = store.reader.rows(TABLE, [{"flight_id": name} for name in asked])
    assert [row and row.values["flight_id"] for row in rows] == [
        None if name == "unknown" else name for name in asked
    ]
    assert store.reader.rows(TABLE, []) == []


def test_nothing_was_pushed_yet(make: Make) -> None:
    store = make()
    assert store.reader.rows(TABLE, [{"flight_id": "a"}]) == [None]
    assert store.reader.release(TABLE) is None
    assert SqliteStore(Path("/nowhere/store.sqlite"), 1).rows(TABLE, [{"flight_id": "a"}]) == [None]


def test_warehouses_on_one_server_do_not_see_each_other(redis_server: RedisServer) -> None:
    writer = RedisWriter(redis_server.address, "one", 5)
    assert push_to(writer, [{"a": (1, 0.5)}], release(1, 0))
    other = RedisStore(redis_server.address, "another", 1)
    assert other.rows(TABLE, [{"flight_id": "a"}]) == [None]


def test_everything_on_the_server_expires_but_what_is_noted_of_days(redis_server: RedisServer) -> None:
    warehouse = uuid.uuid4().hex
    writer = RedisWriter(redis_server.address, warehouse, 5)
    assert push_to(writer, TWO_DAYS, release(1, 0))
    client = redis_server.client()
    stays = {key for key in client.scan_iter(f"lakehouse:{{{warehouse}:*") if client.pttl(key) == -1}
    names = {key.decode().rpartition("}:")[2] for key in stays}
    assert names == {"days", "marker", "claim", "attempts"}
