"""`lakehouse promote`: the challenger becomes the champion, if it is better by the spec's rule."""

from typing import TYPE_CHECKING, Annotated

import typer

from commands.output import AsJson, facts, print_json, progress, table
from commands.specs import SpecName, chosen_spec
from lakehouse.errors import LakehouseError

if TYPE_CHECKING:
    from ml.evaluation.promotion import Decision

EPILOG = "Example: lakehouse promote --spec arrival_delay (exit code 1 when the challenger is not better)"


def promote(
    spec: SpecName = None,
    version: Annotated[
        str | None,
        typer.Option(help="Promote this version without asking the rule; needs --by and --reason."),
    ] = None,
    by: Annotated[str, typer.Option(help="Who takes the responsibility.")] = "",
    reason: Annotated[str, typer.Option(help="Why, without the rule.")] = "",
    as_json: AsJson = False,
) -> None:
    """Measure challenger and champion on days that neither was trained on, and promote by the spec's rule."""
    if version is None and (by or reason):
        raise LakehouseError("--by and --reason go with --version", "the rule needs neither")

    from lakehouse.engine.session import spark_session
    from ml.evaluation.promotion import promote_by_name, promote_if_better

    model = chosen_spec(spec)
    if version is not None:
        before = promote_by_name(model, version, by, reason)
        promoted = {"champion": version, "before": before, "by": by, "reason": reason}
        if as_json:
            print_json(promoted)
        else:
            facts(promoted)
        return
    decision = promote_if_better(spark_session(), model, progress)
    if as_json:
        print_json(decision)
    else:
        _show(decision)
    if not decision.promoted:
        raise typer.Exit(1)


def _show(decision: "Decision") -> None:
    rows = decision.evaluation
    facts(
        {
            "model": decision.model_name,
            "evaluated on": f"{rows.table} as of {rows.as_of}: {rows.rows:,} rows of {rows.days} days, "
            f"{rows.first} to {rows.last}",
            "decision": decision.reason,
        }
    )
    table(
        "",
        ["metric", f"champion, version {decision.champion}", f"challenger, version {decision.challenger}"],
        [
            [name, f"{value:.4f}", f"{decision.challenger_metrics[name]:.4f}"]
            for name, value in decision.champion_metrics.items()
        ],
    )
