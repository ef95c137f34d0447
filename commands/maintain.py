"""`lakehouse maintain`: put small files together."""

from typing import Annotated

import typer

from commands.output import AsJson, console, print_json, progress, table
from lakehouse.delta.compaction import MOST_SMALL_FILES, compact, small_files
from lakehouse.engine.session import spark_session
from lakehouse.production import production

EPILOG = "Example: lakehouse maintain --dry-run"


def maintain(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell which tables, and change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put the files of tables together that have more than a hundred small ones; rows and pins stay.

    Waits for whoever writes to production. Exit code 1 where a table was left for the next time.
    """
    crowded = [each for each in small_files() if each.is_crowded]
    if dry_run or not crowded:
        if as_json:
            print_json(crowded)
        else:
            for each in crowded:
                console.print(f"{each.name}: {each.files} small files, {each.size_bytes / 2**20:.1f} MiB")
            console.print(f"{len(crowded)} tables have more than {MOST_SMALL_FILES} small files")
        return
    with production("maintain", progress):
        done = compact(spark_session(), [each.name for each in crowded])
    if as_json:
        print_json(done)
    else:
        table(
            "Files put together",
            ["table", "before", "after", ""],
            [(each.name, each.files_before, each.files_after, each.problem or "") for each in done],
        )
    if any(each.problem for each in done):
        raise typer.Exit(1)
