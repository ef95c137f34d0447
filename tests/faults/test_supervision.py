"""The engine under faults of those who look after it: each fault is seen to have fired."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from commands import dev
from lakehouse.engine import server, state
from lakehouse.errors import LakehouseError
from lakehouse.settings import Settings, settings
from tests.faults.engine_helpers import (
    LONG_WRITE,
    environment,
    newest_version,
    start,
    until_busy,
    until_quiet,
)

# Real processes, engines and gates: minutes, not seconds.
pytestmark = pytest.mark.slow

HEAP = {"LAKEHOUSE_HEAP_MB": "1024"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A warehouse whose engine these tests may kill, in a folder as people name them."""
    faulty = Settings(warehouse=tmp_path_factory.mktemp("super vision"), heap_mb=1024)
    yield faulty
    server.stop_engine(faulty, force=True)


def _until(seen: Callable[[], bool], seconds: float = 60) -> None:
    """Look again until something is so; the time is that of a busy machine, not of the thing."""
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def _log(own: Settings) -> str:
    return (own.engine_dir / "supervisor.log").read_text()


def _writing(own: Settings, engine: state.EngineState) -> subprocess.Popen[str]:
    """A client in the middle of a write of many minutes."""
    victim = start(LONG_WRITE, own.warehouse, **HEAP)
    assert victim.stdout is not None
    assert victim.stdout.readline().strip() == "writing"
    until_busy(engine.pid)
    return victim


def test_it_serves_in_a_folder_with_a_blank(own: Settings) -> None:
    """Tables, views of versions, and Python workers, which Spark starts by a path of their own."""
    assert " " in str(own.warehouse)
    code = """
spark = spark_session()
spark.sql("create table default.blank using delta as select 7 as id")
spark.sql("create view default.of_blank as select * from default.blank version as of 0")
print(spark.table("default.of_blank").mapInPandas(lambda frames: frames, "id int").collect()[0].id)
"""
    process = start(code, own.warehouse, **HEAP)
    printed, errors = process.communicate(timeout=240)
    assert printed.strip() == "7", errors
    assert (own.tables_dir / "blank" / "_delta_log").is_dir()


@pytest.mark.parametrize("content", ["", '{"pid": 1', "[]", '{"pid": 1, "of": "another version"}'])
def test_an_unreadable_client_file_is_forgotten_and_the_engine_lives(own: Settings, content: str) -> None:
    engine = server.ensure_engine(own)
    file = own.engine_dir / "clients" / "0f0f.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(content)
    _until(lambda: not file.exists())
    assert server.running(own) == engine
    assert f"{file} says nothing that can be read" in _log(own)


def test_a_failing_look_is_logged_and_the_next_ones_go_on(own: Settings) -> None:
    """A folder where a client's file should be makes every look fail, until it is gone."""
    engine, before = server.ensure_engine(own), _log(own)
    folder = own.engine_dir / "clients" / "folder.json"
    folder.mkdir(parents=True)
    try:
        _until(lambda: _log(own).removeprefix(before).count("IsADirectoryError") >= 2)
    finally:
        folder.rmdir()
    file = own.engine_dir / "clients" / "after.json"
    file.touch()
    _until(lambda: not file.exists())
    assert server.running(own) == engine


def test_a_killed_supervisor_is_replaced_and_ends_a_client_killed_meanwhile(own: Settings) -> None:
    engine = server.ensure_engine(own)
    victim = _writing(own, engine)
    before = newest_version(own, "victim")
    os.kill(engine.supervisor_pid, signal.SIGKILL)
    victim.kill()
    victim.wait(timeout=60)
    # No client comes: it is the next supervisor that notices.
    _until(lambda: not [c for _, c, _ in state.clients(own.engine_dir) if c.pid == victim.pid])
    until_quiet(engine.pid)
    assert newest_version(own, "victim") == before
    now = server.running(own)
    assert now is not None and now.instance == engine.instance
    assert now.supervisor_pid != engine.supervisor_pid and not psutil.pid_exists(engine.supervisor_pid)
    assert psutil.Process(now.supervisor_pid).is_running()


def test_an_engine_whose_parent_is_killed_dies_with_it_and_is_replaced(own: Settings) -> None:
    """What a client runs then is lost, and not committed: nobody could interrupt it any more."""
    engine = server.ensure_engine(own)
    victim = _writing(own, engine)
    before = newest_version(own, "victim")
    os.kill(engine.parent_pid, signal.SIGKILL)
    victim.kill()
    victim.wait(timeout=60)
    _until(lambda: not state.is_alive(own.engine_dir))
    assert newest_version(own, "victim") == before
    assert server.ensure_engine(own).instance != engine.instance
    assert newest_version(own, "victim") == before


def test_the_state_of_another_version_is_named_and_its_engine_can_be_stopped(own: Settings) -> None:
    engine = server.ensure_engine(own)
    (own.engine_dir / "engine.json").write_text('{"pid": 1, "token": "of a later version"}')
    with pytest.raises(LakehouseError, match=r"(?s)another version.*lakehouse down"):
        server.ensure_engine(own)
    assert server.stop_engine(own)
    assert not psutil.pid_exists(engine.pid)
    assert server.ensure_engine(own).instance != engine.instance


def test_down_and_the_end_of_dev_leave_an_engine_that_others_use(
    own: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = server.ensure_engine(own)
    client = start(
        "spark_session().range(3).count(); print('up', flush=True); input()", own.warehouse, **HEAP
    )
    assert client.stdout is not None
    assert client.stdout.readline().strip() == "up"
    refused = _lakehouse(own, "down", "--json")
    assert refused.returncode == 3
    said = json.loads(refused.stdout)["error"]
    assert f"is in use by process {client.pid} (" in said["what"]
    assert "lakehouse down --force" in said["hint"]
    monkeypatch.setenv("LAKEHOUSE_WAREHOUSE", str(own.warehouse))
    settings.cache_clear()
    try:
        dev.stop_engine()
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    assert "it is left running" in capsys.readouterr().err
    assert server.running(own) == engine

    stopped = _lakehouse(own, "down", "--force", "--json")
    assert json.loads(stopped.stdout) == {"stopped": True}, stopped.stderr
    assert not state.is_alive(own.engine_dir)
    client.communicate("\n", timeout=60)


def _lakehouse(own: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lakehouse"), *arguments],
        env=environment(own.warehouse, **HEAP),
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_engine_with_a_living_client_is_not_idle_though_nothing_is_connected(tmp_path: Path) -> None:
    """As gRPC closes a channel that was not used for half an hour of training."""
    idle = Settings(warehouse=tmp_path, heap_mb=1024, idle_minutes=0.1)
    waiting = "from lakehouse.engine.session import connect_environment\nconnect_environment()\n"
    client = start(
        waiting + "print('registered', flush=True)\ninput()",
        tmp_path,
        LAKEHOUSE_IDLE_MINUTES="0.1",
        **HEAP,
    )
    assert client.stdout is not None
    assert client.stdout.readline().strip() == "registered"
    engine = server.running(idle)
    assert engine is not None and state.living_clients(idle.engine_dir, engine.instance)
    # Three times as long as an idle engine lives.
    with pytest.raises(psutil.TimeoutExpired):
        psutil.Process(engine.pid).wait(timeout=18)
    client.communicate("\n", timeout=60)
    psutil.Process(engine.supervisor_pid).wait(timeout=60)
    assert not state.is_alive(idle.engine_dir)
