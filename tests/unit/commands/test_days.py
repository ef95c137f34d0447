"""Days that contradict each other are refused."""

import pytest
from typer.testing import CliRunner

from commands.app import build
from lakehouse.errors import LakehouseError


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--date", "2013-01-01", "--from", "2013-01-01", "--to", "2013-01-02"], "both given"),
        (["--from", "2013-01-01"], "go together"),
    ],
)
def test_days_that_contradict_are_refused(options: list[str], said: str) -> None:
    result = CliRunner().invoke(build("materialize"), ["materialize", "--select", "*", *options])
    assert isinstance(result.exception, LakehouseError)
    assert said in result.exception.what
