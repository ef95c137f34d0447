"""Every `dbt` command in the docs and the README is taken by dbt, and what it selects is there."""

import re
import shlex
from pathlib import Path

import click
import pytest
from dbt.cli.main import cli, dbtRunner
from dbt.contracts.graph.manifest import Manifest

from lakehouse.settings import PROJECT_ROOT
from tests.unit.commands_in_docs import PAGES, commands, of_page

# What a page leaves to the reader.
PLACEHOLDERS = {"<model>": "flight_features", "<the feat_ model>": "feat_origin_weather"}
COMMAND_LINES = commands({line for page in PAGES for line in of_page(page, "dbt")}, "dbt")
# What a command can select, as `dbt ls` has it; all kinds where none is named.
KINDS = {"test": ("test", "unit_test"), "snapshot": ("snapshot",), "source": ("source",), "clone": ("model",)}
SELECTING = ("select", "exclude", "selector")


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Path]:
    """This checkout's manifest, and the folder that it lies in."""
    folder = tmp_path_factory.mktemp("dbt")
    done = dbt("parse", folder=folder)
    assert isinstance(done, Manifest)
    return done, folder


def dbt(*arguments: str, folder: Path, manifest: Manifest | None = None) -> object:
    """What a dbt command that asks no engine gives back."""
    options = ["--project-dir", str(PROJECT_ROOT), "--profiles-dir", str(PROJECT_ROOT)]
    folders = ["--target-path", str(folder), "--log-path", str(folder)]
    done = dbtRunner(manifest).invoke(["--quiet", *arguments, *options, *folders])
    assert done.success, done.exception
    return done.result


def taken(line: str) -> click.Context:
    """dbt's own reading of a command line; raises where it does not take an option or a value."""
    for name, value in PLACEHOLDERS.items():
        line = line.replace(name, value)
    context = cli.make_context("dbt", shlex.split(line)[1:])
    command: click.Command = cli
    while isinstance(command, click.Group):
        name, command, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        context = command.make_context(name, arguments, parent=context)
    return context


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_dbt_takes_what_the_docs_say(line: str, parsed: tuple[Manifest, Path]) -> None:
    manifest, folder = parsed
    context = taken(line)
    asked = {name: context.params.get(name) for name in SELECTING}
    options = [
        word
        for name, given in asked.items()
        for value in ([given] if isinstance(given, str) else given or ())
        for word in (f"--{name}", *([value] if isinstance(value, str) else value))
    ]
    if context.params.get("state"):
        # The manifest of production, as the demo leaves it.
        assert Path(str(context.params["state"])) == Path("target/prod")
        options += ["--state", str(folder)]
    kinds = [word for kind in KINDS.get(str(context.info_name), ()) for word in ("--resource-type", kind)]
    # To dbt a selection of nothing is no error.
    assert dbt("ls", *options, *kinds, folder=folder, manifest=manifest), f"{line} selects nothing"
    for name in re.findall(r"ref\('(\w+)'\)", str(context.params.get("inline") or "")):
        assert f"model.lakehouse.{name}" in manifest.nodes


def test_a_selection_of_nothing_would_be_seen(parsed: tuple[Manifest, Path]) -> None:
    manifest, folder = parsed
    assert dbt("ls", "--select", "flight_featurs+", folder=folder, manifest=manifest) == []


@pytest.mark.parametrize("line", ["dbt build --selct flight_features", "dbt buidl"])
def test_a_wrong_line_would_be_seen(line: str) -> None:
    with pytest.raises(click.UsageError):
        taken(line)


def test_enough_of_them_were_found() -> None:
    assert len(COMMAND_LINES) > 20
