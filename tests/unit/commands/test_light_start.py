"""A command loads what it runs when it runs: help and wrong usage are answered in a fraction of a second."""

import socket
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from commands.app import COMMANDS

HEAVY = (
    "pyspark",
    "grpc",
    "torch",
    "mlflow",
    "dagster",
    "dbt",
    "great_expectations",
    "pandas",
    "pyarrow",
    "numpy",
    "deltalake",
)
CALL = f"""
import sys
from commands.app import main
sys.argv[1:] = {{arguments!r}}
try:
    main()
finally:
    print("loaded", *(name for name in {HEAVY!r} if name in sys.modules))
"""


def called(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = CALL.format(arguments=list(arguments))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_and_wrong_usage_load_no_library(command: str) -> None:
    wrong = called(command, "--no-such-option")
    assert wrong.returncode == 2, wrong.stderr
    assert "No such option" in wrong.stderr
    assert wrong.stdout.splitlines() == ["loaded"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train"], "there is nothing to train as of"),
        (["train", "--as-of", "2013-10-01"], "--spec is missing: there is more than one model"),
        (["tune", "--as-of", "2013-10-01"], "they are arrival_delay, cancellation"),
        (["explain", "--entity", "AA"], "--spec is missing"),
        (["score", "--date", "2013-10-01"], "--spec is missing"),
        (["score"], "there is no day to score"),
        (
            ["score", "--from", "2013-10-02", "--to", "2013-10-01"],
            "--to 2013-10-01 lies before --from 2013-10-02",
        ),
        (["check", "bronze", "--to", "2013-10-01"], "--from and --to go together"),
        (["materialize", "--select", "*", "--date", "2013-10-01", "--to", "2013-10-01"], "were both given"),
        (["promote", "--by", "me"], "--by and --reason go with --version"),
        (["ingest", "--supersede", "b"], "--by"),
        (["reproduce"], "give a run's id"),
        (["reproduce", "--import", "run.tar"], "holds SQL and Python of whoever made it"),
        (["reproduce", "0" * 32, "--trust"], "--trust is about a file that somebody else made"),
        (["source", "new", "readings"], "give one of --file, --url, --table"),
        (["source", "new", "Readings", "--file", "a.csv"], "cannot be a source's name"),
        (["source", "new", "readings", "--table", "t"], "belong together"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_loaded(arguments: list[str], said: str) -> None:
    refused = called(*arguments)
    assert refused.returncode == 3, refused.stderr
    assert said in refused.stderr
    assert refused.stdout.splitlines() == ["loaded"]


def test_what_needs_no_spark_loads_none() -> None:
    status = called("status")
    assert status.returncode in (0, 1), status.stderr
    assert status.stdout.splitlines()[-1] == "loaded"


@pytest.mark.parametrize("arguments", [["doctor"], ["maintain", "--dry-run"]])
def test_what_looks_at_files_alone_loads_no_client_of_the_engine(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "tables" / "features.db" / "feat_flights"
    write_deltalake(table, pa.table({"flight_id": ["AA-1-JFK-201310010600"]}))
    monkeypatch.setenv("LAKEHOUSE_WAREHOUSE", str(tmp_path))
    looked = called(*arguments)
    assert looked.returncode in (0, 1), looked.stderr
    _, *loaded = looked.stdout.splitlines()[-1].split()
    # Delta's logs are read by Arrow.
    assert set(loaded) <= {"pyspark", "pyarrow", "numpy", "deltalake"}


def test_a_rollback_loads_no_network() -> None:
    refused = called("rollback", "--spec", "arrival_delay")
    assert refused.returncode == 3, refused.stderr
    assert "has had no champion before" in refused.stderr
    # MLflow itself imports pandas and Spark.
    assert not {"torch", "grpc", "dagster", "dbt"} & set(refused.stdout.split())


def test_the_service_loads_what_scores_and_nothing_of_the_warehouse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_WAREHOUSE", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = called("serve", "--port", str(taken.getsockname()[1]))
    assert refused.returncode == 3, refused.stderr
    assert "cannot be listened on" in refused.stderr
    assert set(refused.stdout.splitlines()[-1].split()) == {"loaded", "torch", "pyarrow", "numpy"}
