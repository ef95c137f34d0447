"""MLflow's records and Dagster's history, moved from a warehouse into PostgreSQL; no engine is needed."""

import json
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lakehouse.settings import PROJECT_ROOT
from tests.faults.engine_helpers import environment
from tests.postgres import Postgres

# Several processes, each of which imports MLflow and Dagster.
pytestmark = pytest.mark.slow

_FIRST = """
from ml.tracking.runs import client, training_run, log_bytes
with training_run("first", "a run") as run_id:
    client().log_metric(run_id, "log_loss", 0.25, step=1)
    client().log_param(run_id, "epochs", "6")
    log_bytes(run_id, "note.txt", b"here")
client().create_registered_model("model")
client().create_model_version("model", source="file:///nowhere", run_id=run_id)
client().set_registered_model_alias("model", "champion", "1")
helpers.graph_run()
"""
_LOOK = "print(json.dumps([helpers.records(), helpers.history()]))"
_SECOND = """
from ml.tracking.runs import training_run
with training_run("second", "after the move"):
    pass
helpers.graph_run()
"""


def _python(code: str, warehouse: Path, **on: str) -> list[Any]:
    """What another process prints, line by line, as JSON."""
    prelude = "import json\nfrom tests.integration.orchestration import records_helpers as helpers\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{prelude}{code}"],
        env=environment(warehouse, **on),
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def _move(warehouse: Path, **on: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lakehouse"), "move-databases", "--json"],
        env=environment(warehouse, **on),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_all_that_was_known_is_known_after_the_move_and_work_goes_on(
    postgres: Postgres, tmp_path: Path
) -> None:
    mark = secrets.token_hex(4)
    address = f"postgresql://{postgres.user}:{postgres.password}@127.0.0.1:{postgres.port}"
    for what in ("mlflow", "dagster"):
        postgres.run(f"create database {what}_{mark}")
    # As people write it; the settings name the driver.
    on = {
        "LAKEHOUSE_MLFLOW_TRACKING_URI": f"{address}/mlflow_{mark}",
        "LAKEHOUSE_DAGSTER_DATABASE": f"{address}/dagster_{mark}",
    }
    (before,) = _python(f"{_FIRST}\n{_LOOK}", tmp_path)

    done = _move(tmp_path, **on)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    events = sum(len(run[4]) for run in before[1]["runs"])
    assert (said["mlflow"]["runs"], said["mlflow"]["model_versions"]) == (1, 1)
    assert (said["dagster"]["runs"], said["dagster"]["events"]) == (1, events)
    assert events > 10
    counted = postgres.run("select count(*) from event_logs", database=f"dagster_{mark}")
    assert counted == [(events,)]

    # Nothing is read from the old files.
    for old in ("mlflow/mlflow.db", "dagster/history", "dagster/schedules"):
        (tmp_path / old).rename(tmp_path / old.replace("/", "-"))
    after, (records, history) = _python(f"{_LOOK}\n{_SECOND}\n{_LOOK}", tmp_path, **on)
    assert after == before
    assert len(records["runs"]) == len(history["runs"]) == 2
    assert sorted(each[1] for each in records["experiments"]) == ["Default", "first", "second"]
    assert history["latest"] == history["runs"][1][0]
    for old in ("mlflow/mlflow.db", "dagster/history", "dagster/schedules"):
        assert not (tmp_path / old).exists(), old

    (tmp_path / "mlflow-mlflow.db").rename(tmp_path / "mlflow" / "mlflow.db")
    used = _move(tmp_path, **on)
    assert used.returncode != 0
    assert "holds experiments already" in used.stderr
    assert postgres.password not in used.stderr
    readable = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in readable if postgres.password.encode() in path.read_bytes()]
