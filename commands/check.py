"""`lakehouse check`: run a gate's expectations and record the result."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from commands.days import Day, First, Last, days_of
from commands.output import AsJson, console, print_json, progress, table

if TYPE_CHECKING:
    from expectations.gate import GateOutcome

EPILOG = "Example: lakehouse check bronze --from 2013-10-01 --to 2013-10-03"


def check(
    gate: Annotated[str, typer.Argument(help="bronze, features or training.")],
    date: Day = None,
    first: First = None,
    last: Last = None,
    run_id: Annotated[str, typer.Option(help="What the check is recorded under.")] = "by hand",
    as_json: AsJson = False,
) -> None:
    """Check the newest versions of a gate's tables; exit code 1 when one fails.

    Without days every row is checked.
    """
    asked = days_of(date, first, last)

    from expectations.gate import as_gate
    from expectations.gate import check as check_gate
    from lakehouse.engine.session import spark_session
    from lakehouse.production import production

    wanted = as_gate(gate)
    days = asked and [asked[0] + timedelta(days=n) for n in range((asked[1] - asked[0]).days + 1)]
    progress(f"checking gate {wanted} …")
    with production(f"lakehouse check {wanted}", progress):
        outcome = check_gate(spark_session(), wanted, days, run_id)
    if as_json:
        print_json(outcome)
    else:
        _show(outcome)
    if not outcome.passed:
        raise typer.Exit(1)


def _show(outcome: "GateOutcome") -> None:
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
