"""The lock of production inside one process: blocks in blocks, threads, and what stays behind."""

import os
import threading
from pathlib import Path

import pytest

from lakehouse.errors import LakehouseError
from lakehouse.production import VARIABLE, holder, production

pytestmark = pytest.mark.usefixtures("own_warehouse")


def test_the_holder_is_named_while_it_holds() -> None:
    assert holder() is None
    with production("lakehouse check features"):
        known = holder()
        assert known is not None
        assert str(known) == f"process {os.getpid()} (lakehouse check features)"
    assert holder() is None


def test_blocks_in_blocks_are_one() -> None:
    with production("outer"):
        with production("inner"):
            assert str(holder()).endswith("(outer)")
        assert holder() is not None
    assert holder() is None


def test_a_thread_of_the_holder_is_let_in_and_keeps_the_lock_until_it_leaves() -> None:
    entered, leave = threading.Event(), threading.Event()

    def work() -> None:
        with production("thread"):
            entered.set()
            leave.wait(30)

    thread = threading.Thread(target=work)
    with production("main"):
        thread.start()
        assert entered.wait(30)
    assert holder() is not None
    leave.set()
    thread.join()
    assert holder() is None


def test_an_error_inside_frees_the_lock() -> None:
    with pytest.raises(ZeroDivisionError), production("fails"):
        raise ZeroDivisionError
    assert holder() is None


def test_the_variable_is_taken_back_and_new_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "of another time:1")
    seen: list[str] = []
    for _ in range(2):
        with production("again"):
            seen.append(os.environ[VARIABLE])
        assert os.environ[VARIABLE] == "of another time:1"
    assert seen[0] != seen[1]


def test_without_waiting_it_is_refused_by_name(own_warehouse: Path) -> None:
    import fcntl

    (own_warehouse / "engine").mkdir(parents=True)
    with (own_warehouse / "engine" / "production.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write('{"pid": 7, "what": "dbt build", "since": "2013-01-01T00:00:00+00:00", "token": "t"}')
        file.flush()
        with pytest.raises(LakehouseError, match=r"process 7 \(dbt build\)"), production("b", wait=False):
            pass
    with production("b", wait=False):
        assert holder() is not None
