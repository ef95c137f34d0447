"""Documentation keeps to its form: lines of at most 120 characters, but for tables, code and pictures."""

from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_ROOT

PAGES = [
    *sorted((PROJECT_ROOT / "docs").glob("*.md")),
    *(PROJECT_ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_prose_is_no_wider_than_120_characters(page: Path) -> None:
    wide, in_code = [], False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        in_code ^= line.startswith("```")
        prose = not in_code and not line.startswith(("|", "    ", "![", "```"))
        if prose and len(line) > 120:
            wide.append(f"{page.name}:{number}")
    assert wide == []
