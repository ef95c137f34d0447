"""`lakehouse maintain`: put small files together."""

from typing import Annotated

import typer

from commands.output import AsJson, print_json, progress, table

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
    from lakehouse.delta.compaction import MOST_SMALL_FILES, compact, crowded
    from lakehouse.engine.session import spark_session
    from lakehouse.production import production

    if dry_run:
        found = crowded()
        if as_json:
            print_json(found)
        else:
            table(
                f"More than {MOST_SMALL_FILES} small files",
                ["table", "small files", "MiB"],
                [(each.name, each.files, f"{each.size_bytes / 2**20:.1f}") for each in found],
            )
        return
    with production("lakehouse maintain", progress):
        # Not before: whoever was waited for may have dropped a table.
        names = [each.name for each in crowded()]
        done = compact(spark_session(), names) if names else []
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
