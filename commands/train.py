"""`lakehouse train`: train, log and register a model as of a date."""

from datetime import datetime
from typing import Annotated

import typer

from commands.output import AsJson, facts, print_json, progress
from lakehouse.engine.session import spark_session
from ml.spec import load_spec
from ml.train import train as train_model

EPILOG = "Example: lakehouse train --as-of 2013-10-01"


def train(
    as_of: Annotated[
        datetime,
        typer.Option(formats=["%Y-%m-%d"], help="Local day; labels known before it are trained on."),
    ],
    spec: Annotated[str, typer.Option(help="Which model: a file in ml/specs.")] = "arrival_delay",
    as_json: AsJson = False,
) -> None:
    """Train on the published training set as it was known at a date; log and register the model."""
    trained = train_model(spark_session(), load_spec(spec), as_of.date(), progress)
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
    facts(result | {"metrics": f"{measured} (validation month)"})
