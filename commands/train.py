"""`lakehouse train`: train, log and register a model as of a date, or go on with a run that was killed."""

from datetime import datetime
from typing import Annotated

import typer

from commands.output import AsJson, facts, print_json, progress
from commands.specs import SpecName, chosen_spec
from lakehouse.errors import LakehouseError

EPILOG = "Example: lakehouse train --spec arrival_delay --as-of 2013-10-01"


def train(
    as_of: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Local day; labels known before it are trained on."),
    ] = None,
    spec: SpecName = None,
    resume: Annotated[
        str | None,
        typer.Option(metavar="RUN_ID", help="Go on with this run, which was killed, after its last epoch."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train on the published training set as it was known at a date; log and register the model."""
    if resume is not None and (as_of is not None or spec is not None):
        raise LakehouseError("--resume takes spec and date from the run", "give it alone")
    if resume is None and as_of is None:
        raise LakehouseError("there is nothing to train as of", "give --as-of DATE, or --resume RUN_ID")
    model = None if as_of is None else chosen_spec(spec)

    from lakehouse.engine.session import spark_session
    from ml.reproduction.resume import resume as resume_run
    from ml.training.train import train as train_model

    if resume is not None:
        trained = resume_run(spark_session(), resume, progress)
    else:
        assert as_of is not None and model is not None  # noqa: S101 - refused above
        trained = train_model(spark_session(), model, as_of.date(), progress)
    result = {
        "run_id": trained.run_id,
        "model": trained.model_name,
        "version": trained.model_version,
        "alias": trained.alias,
        "training_set": str(trained.manifest.training_set.table),
        "rows": trained.manifest.content.row_count,
        "content_hash": trained.manifest.content.rows,
        "metrics": trained.metrics,
        "seconds": round(trained.seconds, 1),
    }
    if as_json:
        print_json(result)
        return
    measured = ", ".join(f"{name} {value:.4f}" for name, value in trained.metrics.items())
    anew = ", before it was trained on as well" if trained.manifest.spec.training.refit else ""
    facts(result | {"metrics": f"{measured} (validation month{anew})"})
