"""`lakehouse score`: score a day or a range of days into the predictions table."""

from datetime import datetime
from typing import Annotated

import typer

from commands.output import AsJson, facts, print_json, progress
from lakehouse.engine.session import spark_session
from lakehouse.errors import LakehouseError
from lakehouse.production import production
from ml.scoring.score import score as score_days
from ml.spec import load_spec
from ml.tracking.registry import CHAMPION

EPILOG = "Examples: lakehouse score --date 2013-10-01 | lakehouse score --date 2013-10-04 --to 2013-10-31"


def score(
    day: Annotated[
        datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="Local day, or the first one.")
    ],
    to: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day, included.")] = None,
    spec: Annotated[str, typer.Option(help="Which model: a file in ml/specs.")] = "arrival_delay",
    alias: Annotated[str, typer.Option(help="Which registered version of it.")] = CHAMPION,
    as_json: AsJson = False,
) -> None:
    """Score all due flights of a day or range; a score that is there already is not written again."""
    end = to or day
    if end < day:
        raise LakehouseError(f"--to {end:%Y-%m-%d} lies before --date {day:%Y-%m-%d}")
    with production(f"lakehouse score {day:%Y-%m-%d}", progress):
        done = score_days(spark_session(), load_spec(spec), day.date(), end.date(), alias, progress)
    if as_json:
        print_json(done)
        return
    facts(
        {
            "days": f"{done.start} to {done.end}",
            "model": f"{done.model_name} version {done.model_version} ({alias})",
            "scored": done.rows_scored,
            "new rows": done.rows_written,
            "not due yet": "unknown" if done.not_due is None else done.not_due,
            "features": done.features,
            "table": done.table_version,
            "seconds": round(done.seconds, 1),
        }
    )
