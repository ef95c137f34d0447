"""A real Airflow runs a day with the real commands on a warehouse of its own, twice."""

import json
import os
import subprocess

import pytest

from lakehouse.settings import PROJECT_ROOT

# Installs Airflow, starts an engine and builds a day of everything twice.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

PYTHON = PROJECT_ROOT / ".venv" / "bin" / "python"
DAY = "2013-01-02"
PUBLISH = """
from datetime import date
from demo.publish import publish
publish(date(2013, 1, 1), date(2013, 1, 2))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("airflow")
    subprocess.run([PROJECT_ROOT / "scripts" / "install-airflow.sh"], check=True)
    return os.environ | {
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT_ROOT / "deploy" / "airflow" / "dags"),
        "LAKEHOUSE_WAREHOUSE": str(folder / "warehouse"),
        "LAKEHOUSE_HEAP_MB": "2048",
        "PATH": f"{PROJECT_ROOT}/.venv/bin:{os.environ['PATH']}",
    }


def run(environment: dict[str, str], *command: object) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        env=environment,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def airflow(environment: dict[str, str], *words: str) -> str:
    return run(environment, PROJECT_ROOT / ".setup" / "airflow" / "bin" / "airflow", *words)


ROWS = """
import json
from lakehouse.engine.session import spark_session
spark = spark_session()
tables = ("bronze.flight_schedule", "features.flight_features")
print(json.dumps([spark.table(name).count() for name in tables]))
"""


def states(environment: dict[str, str]) -> dict[str, str]:
    told = airflow(
        environment, "tasks", "states-for-dag-run", "lakehouse_day", f"{DAY}T00:00:00+00:00", "-o", "json"
    )
    return {each["task_id"]: each["state"] for each in json.loads(told[told.index("[") :])}


def test_a_day_runs_and_runs_again(environment: dict[str, str]) -> None:
    airflow(environment, "db", "migrate")
    run(environment, PYTHON, "-c", PUBLISH)
    try:
        airflow(environment, "dags", "test", "lakehouse_day", DAY)
        schedule, features = json.loads(run(environment, PYTHON, "-c", ROWS))
        assert schedule > 800 and features > 800
        # No month ends today; a spec that was never trained is no failure of its day.
        wanted = {"ingest": "success", "features": "success", "train": "skipped", "promote": "skipped"}
        assert states(environment) == wanted | {"score": "success"}
        airflow(environment, "dags", "test", "lakehouse_day", DAY)
        assert json.loads(run(environment, PYTHON, "-c", ROWS)) == [schedule, features]
    finally:
        run(environment, "lakehouse", "down", "--force")
