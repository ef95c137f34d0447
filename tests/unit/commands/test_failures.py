"""What a command tells when it fails: a message, JSON where that was asked for, an exit code by its kind."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
import typer
from pyspark.errors import AnalysisException

from commands.app import run
from commands.failure import ENGINE, INTERRUPTED, REFUSED, UNEXPECTED, USAGE
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT

PLAN = (
    ";\n'Project ['nope]\n+- Range (0, 3, step=1)\n\nJVM stacktrace:\norg.apache.spark.sql.AnalysisException"
)


def _raises(error: BaseException) -> Callable[[], NoReturn]:
    def command() -> NoReturn:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "kind", "what"),
    [
        (
            LakehouseError("table a.b does not exist", "build it"),
            REFUSED,
            "refused",
            "table a.b does not exist",
        ),
        (typer.BadParameter("1 is too small"), USAGE, "usage", "Invalid value: 1 is too small"),
        (AnalysisException("[NO_COLUMN] nope" + PLAN), ENGINE, "engine", "[NO_COLUMN] nope"),
        (ZeroDivisionError("by 0"), UNEXPECTED, "unexpected", "ZeroDivisionError: by 0"),
    ],
)
def test_an_error_is_a_message_and_json(
    error: Exception, code: int, kind: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(_raises(error), as_json=False) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert what in printed.err
    assert "org.apache.spark" not in printed.err and "Range (0" not in printed.err
    assert ("Traceback" in printed.err) == (kind == "unexpected")

    assert run(_raises(error), as_json=True) == code
    said = json.loads(capsys.readouterr().out)["error"]
    assert (said["kind"], said["what"]) == (kind, what)
    assert said["hint"]


@pytest.mark.parametrize("code", [0, 1])
def test_what_a_command_found_is_its_own_exit_code(code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda: code, as_json=True) == code
    assert capsys.readouterr().out == ""


def test_an_interrupted_command_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    # As Typer answers Ctrl-C.
    assert run(lambda: INTERRUPTED, as_json=True) == INTERRUPTED
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "interrupted"


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (["down", "--nope"], USAGE, "No such option: --nope"),
        (["nope"], USAGE, "No such command 'nope'"),
        (["check", "bronze", "--to", "2013-01-01"], REFUSED, "--from and --to go together"),
    ],
)
def test_the_command_line_answers_wrong_usage_in_json(arguments: list[str], code: int, what: str) -> None:
    said = subprocess.run(
        [Path(sys.executable).with_name("lakehouse"), *arguments, "--json"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == code
    assert what in json.loads(said.stdout)["error"]["what"]
    assert said.stderr and "Traceback" not in said.stderr
