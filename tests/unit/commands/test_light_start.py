"""A command loads what it runs when it runs: help and wrong usage are answered in a fraction of a second."""

import subprocess
import sys

import pytest

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
