"""Every `lakehouse` command in the docs, the README and the help's examples is taken by the command line."""

import importlib
import re
import shlex
from collections.abc import Iterator

import pytest
import typer
from typer.core import TyperGroup

from commands.app import COMMANDS, build
from lakehouse.settings import PROJECT_ROOT
from tests.unit.commands_in_docs import PAGES, commands, of_page

# What a page leaves to the reader, as a value that the option takes.
PLACEHOLDERS = {"DAY": "2013-10-01", "FIRST": "2013-10-01", "LAST": "2013-10-02", "N": "1", "VERSION": "1"}


def of_help() -> Iterator[str]:
    """The examples at the end of each command's help."""
    for entry in COMMANDS.values():
        epilog = getattr(importlib.import_module(entry.target.partition(":")[0]), "EPILOG", "")
        yield from (each.strip() for each in re.findall(r"(?<![/\w])(lakehouse [^|(]+)", epilog))


COMMAND_LINES = commands(
    {*(line for page in PAGES for line in of_page(page, "lakehouse")), *of_help()}, "lakehouse"
)


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_the_command_line_takes_what_the_docs_say(line: str) -> None:
    # A folder that must be there is some folder.
    words = [re.sub(r"^/mnt/.*", str(PROJECT_ROOT), word) for word in shlex.split(line)]
    _, name, *arguments = [PLACEHOLDERS.get(word, word) for word in words]
    assert name in COMMANDS
    group = typer.main.get_command(build(name))
    assert isinstance(group, TyperGroup)
    command = group.commands[name]
    # A group may do something itself, as `lakehouse serve` does.
    if isinstance(command, TyperGroup) and (arguments or command.no_args_is_help):
        is_own = command.invoke_without_command and arguments[0] not in command.commands
        if not is_own:
            name, *arguments = arguments
            command = command.commands[name]
    # Parsed and converted, not run: an option that is gone, or one that is missing, raises.
    command.make_context(name, arguments)


def test_enough_of_them_were_found() -> None:
    assert len(COMMAND_LINES) > 50
    assert {line.split()[1] for line in COMMAND_LINES} >= set(COMMANDS) - {"demo"}
