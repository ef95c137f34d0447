"""`lakehouse tune`: search a spec's space for better settings."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from commands.output import AsJson, console, facts, print_json, progress, table
from commands.specs import SpecName, chosen_spec

EPILOG = "Example: lakehouse tune --spec arrival_delay --as-of 2013-09-01 --minutes 30 (again: it goes on)"

_SHOWN = 5


def tune(
    as_of: Annotated[
        datetime,
        typer.Option(formats=["%Y-%m-%d"], help="Local day; the last whole month before it judges."),
    ],
    spec: SpecName = None,
    minutes: Annotated[
        float, typer.Option(min=0.1, help="After so long no trial starts, and a running one is stopped.")
    ] = 10,
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Number of finished or pruned trials of the study at which to stop."),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="A name of your own; by default from spec, date and table version.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Search the spec's space on validation rows only, and print what to put into the spec."""
    model = chosen_spec(spec)

    from lakehouse.engine.session import spark_session
    from ml.training.tune import tune as search

    tuned = search(spark_session(), model, as_of.date(), minutes, trials, study, progress)
    if as_json:
        print_json(asdict(tuned) | {"best": tuned.best})
        return
    states = [trial.state for trial in tuned.trials]
    facts(
        {
            "study": tuned.study,
            "run_id": tuned.run_id,
            "trials": ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)),
            "picture": tuned.picture,
            "seconds": round(tuned.seconds, 1),
        }
    )
    finished = [trial for trial in tuned.trials if trial.state == "finished"]
    shown = finished[:_SHOWN]
    # Trials side by side: a space has more fields than a line has room for.
    rows: list[list[object]] = [
        [tuned.metric, *(f"{trial.metric:.4f}" for trial in shown)],
        *([field, *(_short(trial.values[field]) for trial in shown)] for field in tuned.best.values),
        ["epochs", *(trial.epochs for trial in shown)],
        ["seconds", *(f"{trial.seconds:.0f}" for trial in shown)],
    ]
    table("", ["trial", *(f"{trial.number}{' (own)' if trial.is_own else ''}" for trial in shown)], rows)
    console.print("own: the spec's own values")
    console.print(f"The best values, for ml/specs/{spec}.yml:\n", markup=False)
    console.print(tuned.best_yaml, markup=False, soft_wrap=True)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
