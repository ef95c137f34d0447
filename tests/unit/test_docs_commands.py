"""Every `lakehouse` command in the docs, the README and the help's examples is taken by the command line."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from commands.app import COMMANDS, build
from lakehouse.settings import PROJECT_ROOT

PAGES = [*sorted((PROJECT_ROOT / "docs").glob("*.md")), PROJECT_ROOT / "README.md"]
# What a page leaves to the reader, as a value that the option takes.
PLACEHOLDERS = {"DAY": "2013-10-01", "FIRST": "2013-10-01", "LAST": "2013-10-02", "N": "1", "VERSION": "1"}


def of_page(page: Path) -> Iterator[str]:
    """Command lines in code blocks, and in the running text where they have arguments."""
    text = re.sub(r" \\\n +", " ", page.read_text())
    for line in text.splitlines():
        if found := re.match(r"(?:    )?(?:\w+=\S+ )?(lakehouse [a-z-]+(?: .*)?)$", line):
            # What explains the command stands behind it, at a distance.
            yield re.split(r" {2,}| #", found[1].rstrip())[0]
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for found in re.findall(r"`(?:\w+=\S+ )?(lakehouse [a-z-]+ [^`\n]+)`", prose):
        yield found


def of_help() -> Iterator[str]:
    """The examples at the end of each command's help."""
    for entry in COMMANDS.values():
        epilog = getattr(importlib.import_module(entry.target.partition(":")[0]), "EPILOG", "")
        yield from (each.strip() for each in re.findall(r"(?<![/\w])(lakehouse [^|(]+)", epilog))


FOUND = {*(line for page in PAGES for line in of_page(page)), *of_help()}
# One that is shown in part says so; of several in a row each counts.
COMMAND_LINES = sorted(
    part.strip()
    for line in FOUND
    if "…" not in line
    for part in re.split("&&|·", line)
    if part.strip().startswith("lakehouse ")
)


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_the_command_line_takes_what_the_docs_say(line: str) -> None:
    # A folder that must be there is some folder.
    words = [re.sub(r"^/mnt/.*", str(PROJECT_ROOT), word) for word in shlex.split(line)]
    _, name, *arguments = [PLACEHOLDERS.get(word, word) for word in words]
    assert name in COMMANDS
    command = typer.main.get_command(build(name))
    # Parsed and converted, not run: an option that is gone, or one that is missing, raises.
    command.commands[name].make_context(name, arguments)


def test_enough_of_them_were_found() -> None:
    assert len(COMMAND_LINES) > 50
    assert {line.split()[1] for line in COMMAND_LINES} >= set(COMMANDS) - {"demo"}
