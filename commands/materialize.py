"""`lakehouse materialize`: run the graph, or a part of it, from the command line."""

from datetime import datetime
from typing import Annotated

import typer

from commands.days import Day, First, Last, days_of
from commands.output import AsJson, console, facts, print_json, progress

EPILOG = (
    "Example: lakehouse materialize --select 'group:bronze or group:gates' --from 2013-01-01 --to 2013-01-31"
)


def materialize(
    select: Annotated[
        str, typer.Option(help="Dagster's selection syntax: '*', 'group:features', '+key:\"models/*\"'.")
    ],
    date: Day = None,
    first: First = None,
    last: Last = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Models train as of it; by default the day after the range."),
    ] = None,
    full_refresh: Annotated[
        bool,
        typer.Option(
            "--full-refresh", help="Make the selected dbt tables anew: after a change of SQL or columns."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Materialize a selection of assets, with their checks, in one run; a range of days is one run too.

    The run is in Dagster's history as those from its UI are.
    """
    days = days_of(date, first, last)
    progress("loading the graph …")
    # Dagster takes seconds to import: `--help` and a bad option need not wait for it.
    from orchestration.run import materialize as run

    summary = run(select, days, as_of=as_of.date() if as_of else None, full_refresh=full_refresh)
    if as_json:
        print_json(summary)
        return
    failed = [check for check in summary.checks if not check.passed]
    facts(
        {
            "run": summary.run_id,
            "took": f"{summary.seconds:.0f} s in {len(summary.steps)} steps",
            "assets": f"{len(summary.materialized)}, {sum(summary.materialized.values())} partitions",
            "checks": f"{len(summary.checks) - len(failed)} passed, {len(failed)} failed",
        }
    )
    for asset, reason in summary.skipped.items():
        console.print(f"skipped: {asset}: {reason}", markup=False)
    for check in failed:
        console.print(f"failed: {check.name} on {check.asset}", markup=False)
