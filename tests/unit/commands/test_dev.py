"""`lakehouse dev` looks at its ports before it starts anything."""

import os
import socket

import pytest
from typer.testing import CliRunner

from commands.app import build
from lakehouse import settings
from lakehouse.engine.ports import free_port
from lakehouse.errors import LakehouseError


def test_an_occupied_port_is_named_with_its_holder(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("LAKEHOUSE_DAGSTER_PORT", str(free_port()))
        monkeypatch.setenv("LAKEHOUSE_MLFLOW_PORT", str(port))
        monkeypatch.setenv("LAKEHOUSE_DOCS_PORT", str(free_port()))
        settings.settings.cache_clear()
        try:
            result = CliRunner().invoke(build("dev"), ["dev"])
        finally:
            monkeypatch.undo()
            settings.settings.cache_clear()
    assert isinstance(result.exception, LakehouseError)
    assert f"port {port}, for MLflow, is taken by process {os.getpid()}" in result.exception.what
    assert "LAKEHOUSE_MLFLOW_PORT" in result.exception.hint


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
