"""`lakehouse check`: run a gate's expectations and record the result."""

from datetime import datetime, timedelta
from typing import Annotated

import typer

from commands.output import AsJson, console, print_json, progress, table
from expectations.gate import GateOutcome, as_gate
from expectations.gate import check as check_gate
from lakehouse.engine.session import spark_session
from lakehouse.errors import LakehouseError
from lakehouse.production import production

EPILOG = "Example: lakehouse check bronze --start 2013-10-01 --end 2013-10-03"


def check(
    gate: Annotated[str, typer.Argument(help="bronze, features or training.")],
    start: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="First day; without it, every row is checked."),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Last day; without it, the first day alone."),
    ] = None,
    run_id: Annotated[str, typer.Option(help="What the check is recorded under.")] = "by hand",
    as_json: AsJson = False,
) -> None:
    """Check the newest versions of a gate's tables; exit code 1 when one fails."""
    wanted = as_gate(gate)
    if end is not None and (start is None or end < start):
        raise LakehouseError(f"--end {end:%Y-%m-%d} lies before --start", "give the first day as --start")
    days = None
    if start is not None:
        days = [(start + timedelta(days=n)).date() for n in range(((end or start) - start).days + 1)]
    progress(f"checking gate {wanted} …")
    with production(f"lakehouse check {wanted}", progress):
        outcome = check_gate(spark_session(), wanted, days, run_id)
    if as_json:
        print_json(outcome)
    else:
        _show(outcome)
    if not outcome.passed:
        raise typer.Exit(1)


def _show(outcome: GateOutcome) -> None:
    table(
        f"Gate {outcome.gate}: {'passed' if outcome.passed else 'FAILED'}",
        ["", "table", "rows", "days", "expectations", "failed", "quarantined"],
        [
            (
                "ok" if result.passed else "FAILED",
                result.table,
                f"{result.rows:,}",
                len(result.days) or "",
                result.expectations,
                len(result.failures),
                result.quarantined.quarantined if result.quarantined is not None else "",
            )
            for result in outcome.results
        ],
    )
    for result in outcome.results:
        for failure in result.failures:
            console.print(f"{result.table}: {failure}", markup=False, soft_wrap=True)
        if result.failures and result.passed:
            console.print(f"  {result.table}: all of this is overridden", markup=False, soft_wrap=True)
        if not result.passed:
            console.print(f"  {result.docs_url}", markup=False, soft_wrap=True)
