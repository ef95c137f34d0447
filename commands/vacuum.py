"""`lakehouse vacuum`: free the files that nothing needs."""

from typing import TYPE_CHECKING, Annotated

import typer

from commands.output import AsJson, console, print_json, progress, table
from lakehouse.delta.limits import DEFAULT_HOURS, MIN_HOURS

if TYPE_CHECKING:
    from lakehouse.delta.vacuum import Vacuumed

EPILOG = "Example: lakehouse vacuum --dry-run"

_MIB = 2**20


def vacuum(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would go, and delete nothing.")
    ] = False,
    older_than_hours: Annotated[
        int, typer.Option(min=MIN_HOURS, help="How long a file stays that no version has any more.")
    ] = DEFAULT_HOURS,
    as_json: AsJson = False,
) -> None:
    """Free files that no current, recent or needed version has; bronze keeps everything.

    Of a table with a problem nothing is freed: it is named, and the exit code is 1.
    """
    from lakehouse.delta.vacuum import vacuum as vacuum_tables
    from lakehouse.engine.session import spark_session
    from ml.provenance.needs import model_needs

    progress("asking models, pins and publications what they need …")
    asked = model_needs()
    done = vacuum_tables(spark_session(), asked.needs, older_than_hours, untold=asked.untold, dry_run=dry_run)
    if as_json:
        print_json(done)
    else:
        _show(done, dry_run)
    if done.problems:
        raise typer.Exit(1)


def _show(done: "Vacuumed", dry_run: bool) -> None:
    table(
        "Would free" if dry_run else "Freed",
        ["table", "files", "MiB", "kept files", "kept MiB", "kept for"],
        [
            (
                each.name,
                len(each.freed),
                f"{each.freed_bytes / _MIB:.1f}",
                each.kept_files,
                f"{each.kept_bytes / _MIB:.1f}",
                "\n".join(
                    f"{kept.who}: {kept.why} ({kept.size_bytes / _MIB:.1f} MiB)" for kept in each.kept_for
                ),
            )
            for each in done.tables
        ],
    )
    total = sum(each.freed_bytes for each in done.tables) / _MIB
    console.print(f"{total:.1f} MiB {'would be' if dry_run else 'were'} freed")
    for need in done.lost:
        console.print(need, markup=False, soft_wrap=True)
    if done.problems:
        console.print("Nothing was freed of tables with a problem; docs/pins.md says what to do about each:")
    for problem in done.problems:
        console.print(f"  {problem}", markup=False, soft_wrap=True)
