"""Metastore, MLflow and Dagster on PostgreSQL, moved there from the warehouse; and a server of MLflow's."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psycopg2
import pytest

from lakehouse.engine import server
from lakehouse.engine.ports import free_port
from lakehouse.settings import PROJECT_ROOT, Settings
from tests.faults.engine_helpers import environment, output, start
from tests.postgres import Postgres

HELPERS = """
import json
from tests.integration.ml import backup_helpers as warehouse, story_helpers as helpers
from tests.integration.orchestration import records_helpers as records
"""
HEAP = {"LAKEHOUSE_HEAP_MB": "1024", "MLFLOW_DISABLE_TELEMETRY": "true"}
SCHEMA = "flights"

pytestmark = pytest.mark.slow


def _run(call: str, warehouse: Path, **extra: str) -> Any:
    """What a helper returns, called by a process of its own."""
    code = f"{HELPERS}print(json.dumps({call}))"
    process = start(code, warehouse, cwd=PROJECT_ROOT, **HEAP | extra)
    return json.loads(output(process, seconds=900).splitlines()[-1])


def _lakehouse(warehouse: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lakehouse"), *arguments],
        env=environment(warehouse, **HEAP | extra),
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass(frozen=True)
class Moved:
    """A warehouse whose databases were moved, and what it held before.

    Args:
        on: the settings that name the new ones.
        said: what the command said, as JSON.
    """

    warehouse: Path
    on: dict[str, str]
    before: dict[str, Any]
    said: dict[str, dict[str, int]]


def _databases(postgres: Postgres) -> dict[str, str]:
    marks = secrets.token_hex(4)
    for what in ("metastore", "mlflow", "dagster"):
        postgres.run(f"create database {what}_{marks}")
    # As people write it; the settings name the driver.
    address = f"postgresql://{postgres.user}:{postgres.password}@127.0.0.1:{postgres.port}"
    return {
        "LAKEHOUSE_METASTORE_URL": postgres.url(f"metastore_{marks}"),
        "LAKEHOUSE_METASTORE_USER": postgres.user,
        "LAKEHOUSE_METASTORE_PASSWORD": postgres.password,
        "LAKEHOUSE_MLFLOW_TRACKING_URI": f"{address}/mlflow_{marks}",
        "LAKEHOUSE_DAGSTER_DATABASE": f"{address}/dagster_{marks}",
    }


def _contents(warehouse: Path, **extra: str) -> dict[str, Any]:
    calls = "{'tables': warehouse.contents(), 'mlflow': records.records(), 'dagster': records.history()}"
    return _run(calls, warehouse, **extra)


@pytest.fixture(scope="module")
def moved(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    """Made in the warehouse's own files, moved, and these files taken away."""
    warehouse = tmp_path_factory.mktemp("moved") / "warehouse"
    on = _databases(postgres)
    try:
        _run("[warehouse.make()['run_id'], records.graph_run()]", warehouse)
        before = _contents(warehouse)
        assert server.stop_engine(Settings(warehouse=warehouse), force=True)
        done = _lakehouse(warehouse, "move-databases", "--json", **on)
        assert done.returncode == 0, done.stderr
        for old in ("metastore", "mlflow/mlflow.db", "dagster/history", "dagster/schedules"):
            (warehouse / old).rename(warehouse.with_name(old.replace("/", "-")))
        yield Moved(warehouse, on, before, json.loads(done.stdout))
    finally:
        server.stop_engine(Settings(warehouse=warehouse), force=True)


def test_all_that_was_known_is_known_after_the_move(moved: Moved, postgres: Postgres) -> None:
    assert _contents(moved.warehouse, **moved.on) == moved.before
    assert moved.said["metastore"]["TBLS"] >= 6
    assert moved.said["mlflow"]["runs"] == 1
    assert moved.said["dagster"]["runs"] == 1
    events = sum(len(run[4]) for run in moved.before["dagster"]["runs"])
    assert moved.said["dagster"]["events"] == events > 10
    for what, table in (("mlflow", "runs"), ("dagster", "event_logs")):
        database = moved.on[f"LAKEHOUSE_{'MLFLOW_TRACKING_URI' if what == 'mlflow' else 'DAGSTER_DATABASE'}"]
        with psycopg2.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(f"select count(*) from {table}")
            assert cursor.fetchone() == ((1,) if what == "mlflow" else (events,))


def test_work_goes_on_there_and_nothing_is_written_into_the_old_files(moved: Moved) -> None:
    found = _run(f"helpers.go_on('{SCHEMA}')", moved.warehouse, **moved.on)
    assert found["aliases"] == [
        {"champion": "1", "challenger": "2"},
        {"champion": "2", "previous": "1"},
        {"champion": "1"},
    ]
    assert found["identical"] == [True, True]
    assert found["scored"] == 16
    assert found["files"].startswith(f"file://{moved.warehouse}/mlflow/artifacts/")
    run_id = _run("records.graph_run()", moved.warehouse, **moved.on)
    history = _run("records.history()", moved.warehouse, **moved.on)
    assert [run[0] for run in history["runs"]] == [moved.before["dagster"]["latest"], run_id]
    assert (history["latest"], len(history["days"])) == (run_id, 31)
    for old in ("metastore", "mlflow/mlflow.db", "dagster/history", "dagster/schedules"):
        assert not (moved.warehouse / old).exists(), old


def test_the_metastore_outlives_its_engine(moved: Moved) -> None:
    assert server.stop_engine(Settings(warehouse=moved.warehouse), force=True)
    found = _run("warehouse.contents()", moved.warehouse, **moved.on)
    assert found["lenient"] is None
    assert found["tables"].keys() == moved.before["tables"]["tables"].keys()


def test_a_database_that_is_used_is_not_moved_into(moved: Moved, tmp_path: Path) -> None:
    (tmp_path / "mlflow").mkdir()
    old = moved.warehouse.with_name("mlflow-mlflow.db")
    (tmp_path / "mlflow" / "mlflow.db").write_bytes(old.read_bytes())
    again = _lakehouse(tmp_path, "move-databases", "mlflow", "dagster", **moved.on)
    assert again.returncode == 3
    assert "holds experiments already" in again.stderr
    assert "then run `lakehouse move-databases mlflow dagster`, or without mlflow" in again.stderr
    assert moved.on["LAKEHOUSE_METASTORE_PASSWORD"] not in again.stderr


def test_no_password_stands_in_a_file_that_others_read(moved: Moved) -> None:
    password = moved.on["LAKEHOUSE_METASTORE_PASSWORD"].encode()
    holding = [
        path
        for path in moved.warehouse.rglob("*")
        if path.is_file() and password in path.read_bytes() and path.stat().st_mode & 0o077
    ]
    assert holding == []


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[str]:
    """A team's tracking server, with its own database and its own store of files."""
    port = free_port()
    log = tmp_path / "server.log"
    with log.open("wb") as output_of_it:
        process = subprocess.Popen(
            [
                *(str(Path(sys.executable).with_name("mlflow")), "server", "--workers", "1"),
                *("--host", "127.0.0.1", "--port", str(port)),
                *("--backend-store-uri", f"sqlite:///{tmp_path / 'team.db'}"),
                *("--artifacts-destination", str(tmp_path / "files")),
            ],
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "1"},
            stdout=output_of_it,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _until_up(f"http://127.0.0.1:{port}/health", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def _until_up(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        try:
            with urlopen(address, timeout=5) as answer:  # noqa: S310 - of our own server
                if answer.status == 200:
                    return
        except OSError:
            # It listens once it has made its database; one that died is found above.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
    raise AssertionError(log.read_text())


def test_a_tracking_server_of_the_team_is_used_by_its_address(
    mlflow_server: str, tmp_path: Path, warehouse: Path, _engine: None
) -> None:
    schema = f"t_{secrets.token_hex(4)}"
    found = _run(
        f"helpers.story('{schema}')", warehouse, MLFLOW_TRACKING_URI=mlflow_server, LAKEHOUSE_HEAP_MB="2048"
    )
    assert found["aliases"] == [
        {"champion": "1", "challenger": "2"},
        {"champion": "2", "previous": "1"},
        {"champion": "1"},
    ]
    assert found["identical"] == [True, True]
    assert found["scored"] == 16
    assert found["files"].startswith("mlflow-artifacts:/")
    assert found["page"].startswith(f"{mlflow_server}/#/experiments/")
    assert f"{schema}.training_{schema}@v0" in found["needs"]
    assert "# " in found["card"]
    stored = {path.name for path in (tmp_path / "files").rglob("*") if path.is_file()}
    assert {"training_set.json", "code.tar.gz", "weights.safetensors"} <= stored
    records = _run("records.records()", warehouse, LAKEHOUSE_HEAP_MB="2048")
    assert not records["runs"].keys() & set(found["runs"])
