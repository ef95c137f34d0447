"""`lakehouse maintain`: what keeps a warehouse from growing without bound."""

from typing import Annotated

import typer

from commands.output import AsJson, facts, print_json, progress, table

EPILOG = "Example: lakehouse maintain --dry-run"


def maintain(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell which tables have many small files, and change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Keep the warehouse from growing: small files, what nothing needs, old runs, dead trainings.

    Rows and pins stay. The graph does it each week. Waits for whoever writes to production. Exit code 1 where
    something was left for the next time.
    """
    from lakehouse.delta.compaction import MOST_SMALL_FILES, crowded

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

    from orchestration.instance import open_instance
    from orchestration.maintenance import maintain as keep_small

    with open_instance() as instance:
        done = keep_small(instance, progress)
    if as_json:
        print_json(done)
    else:
        table(
            "Files put together",
            ["table", "before", "after", ""],
            [(each.name, each.files_before, each.files_after, each.problem or "") for each in done.compacted],
        )
        facts(
            {
                "freed": f"{done.freed_bytes / 2**20:,.1f} MiB, of {done.freed_tables} tables and the rest",
                "runs deleted": done.runs,
                "checkpoints removed": done.checkpoints,
                **{f"left {number}": problem for number, problem in enumerate(done.problems, 1)},
            }
        )
    if done.problems:
        raise typer.Exit(1)
