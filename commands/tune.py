"""`lakehouse tune`: search a spec's space for better settings."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from commands.output import AsJson, console, facts, print_json, progress, table
from lakehouse.engine.session import spark_session
from ml.spec import load_spec
from ml.study import Trial
from ml.tune import tune as search

EPILOG = "Example: lakehouse tune --as-of 2013-09-01 --minutes 30 (the same command again goes on)"

_SHOWN = 10


def tune(
    as_of: Annotated[
        datetime,
        typer.Option(formats=["%Y-%m-%d"], help="Local day; the last whole month before it judges."),
    ],
    spec: Annotated[str, typer.Option(help="Which model: a file in ml/specs.")] = "arrival_delay",
    minutes: Annotated[
        float, typer.Option(min=0.1, help="After so long no trial starts, and a running one is stopped.")
    ] = 10,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Stop at so many finished or pruned trials of the study.")
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="A name of your own; by default from spec, date and table version.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Search the spec's space on validation rows only, and print what to put into the spec."""
    tuned = search(spark_session(), load_spec(spec), as_of.date(), minutes, trials, study, progress)
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
    fields = list(tuned.best.values)
    table(
        "",
        ["trial", tuned.metric, *fields, "epochs", "seconds"],
        [_row(trial, fields) for trial in finished[:_SHOWN]],
    )
    console.print(f"The best values, for ml/specs/{spec}.yml:\n", markup=False)
    console.print(tuned.best_yaml, markup=False, soft_wrap=True)


def _row(trial: Trial, fields: list[str]) -> list[object]:
    name = f"{trial.number} (the spec's own)" if trial.is_own else str(trial.number)
    values: list[Any] = [trial.values[field] for field in fields]
    shown = [f"{value:.4g}" if isinstance(value, float) else value for value in values]
    metric = "" if trial.metric is None else f"{trial.metric:.4f}"
    return [name, metric, *shown, trial.epochs, f"{trial.seconds:.0f}"]
