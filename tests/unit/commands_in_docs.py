"""The commands that the docs and the README show, line by line."""

import re
from collections.abc import Iterator
from pathlib import Path

from lakehouse.settings import PROJECT_ROOT

PAGES = [*sorted((PROJECT_ROOT / "docs").glob("*.md")), PROJECT_ROOT / "README.md"]


def of_page(page: Path, program: str) -> Iterator[str]:
    """A program's command lines in code blocks, and in the running text where they have arguments."""
    text = re.sub(r" \\\n +", " ", page.read_text())
    fenced = re.findall(r"^```.*?^```$", text, flags=re.DOTALL | re.MULTILINE)
    indented = re.findall(r"^    (.*)$", text, flags=re.MULTILINE)
    for line in [*indented, *(line for block in fenced for line in block.splitlines())]:
        if found := re.match(rf"(?:\w+=\S+ )?({program} [a-z-]+(?: .*)?)$", line):
            # What explains the command stands behind it, at a distance.
            yield re.split(r" {2,}| #", found[1].rstrip())[0]
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for found in re.findall(rf"`(?:\w+=\S+ )?({program} [a-z-]+ [^`\n]+)`", prose):
        yield found


def commands(lines: set[str], program: str) -> list[str]:
    """Each command by itself; one that is shown in part (…) is left out, of several in a row each counts."""
    return sorted(
        {
            part.strip()
            for line in lines
            if "…" not in line
            for part in re.split("&&|·", line)
            if part.strip().startswith(f"{program} ")
        }
    )
