"""dbt's documentation as one page: `python -m lakehouse.dbt.docs` makes it from this checkout's files, in
seconds."""

import sys
from pathlib import Path

from lakehouse.settings import PROJECT_ROOT

# Apart from what an analyst's own dbt leaves in target/.
DOCS_DIR = PROJECT_ROOT / "target" / "docs"
# Rows and bytes of tables would need the catalog, a statement of Spark per schema; Dagster shows them.
_COMMANDS = (["parse"], ["docs", "generate", "--static", "--empty-catalog", "--no-compile"])


def docs_page(folder: Path = DOCS_DIR) -> Path:
    """The page; it holds all that it shows, and loads nothing."""
    return folder / "static_index.html"


def main() -> None:
    """Make the page."""
    # It takes seconds to import, and who wants to know where the page is does not need it.
    from dbt.cli.main import dbtRunner

    options = ["--target", "prod", "--target-path", str(DOCS_DIR), "--log-path", str(DOCS_DIR)]
    for command in _COMMANDS:
        if not dbtRunner().invoke(["--quiet", *command, *options]).success:
            sys.exit(f"dbt {' '.join(command)} failed")


if __name__ == "__main__":
    main()
