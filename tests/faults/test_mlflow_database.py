"""MLflow's database, made by several processes at once."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.faults.engine_helpers import start

OPENS = """
from ml.tracking.runs import client
print("ready", flush=True)
input()
print(client().search_experiments()[0].name, flush=True)
"""


def test_three_processes_at_once_make_one_database(tmp_path: Path) -> None:
    racers = [start(OPENS, tmp_path) for _ in range(3)]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline().strip() == "ready"
    assert not (tmp_path / "mlflow").exists(), "nobody was first"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    for racer in racers:
        printed, errors = racer.communicate(timeout=240)
        assert (racer.returncode, printed.strip()) == (0, "Default"), errors
    with closing(sqlite3.connect(tmp_path / "mlflow" / "mlflow.db")) as database:
        assert database.execute("select count(*) from alembic_version").fetchone() == (1,)
