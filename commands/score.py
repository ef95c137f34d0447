"""`lakehouse score`: score a day or a range of days into the predictions table."""

from typing import Annotated

import typer

from commands.days import Day, First, Last, days_of
from commands.output import AsJson, facts, print_json, progress
from commands.specs import SpecName, chosen_spec
from lakehouse.errors import LakehouseError

EPILOG = "Example: lakehouse score --spec arrival_delay --from 2013-10-04 --to 2013-10-31"


def score(
    date: Day = None,
    first: First = None,
    last: Last = None,
    spec: SpecName = None,
    alias: Annotated[
        str | None, typer.Option(help="Which registered version of it; the champion by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score what is due on a day or range of days; a score that is there already is not written again."""
    days = days_of(date, first, last)
    if days is None:
        raise LakehouseError("there is no day to score", "give --date DAY, or --from DAY --to DAY")
    model = chosen_spec(spec)

    from lakehouse.engine.session import spark_session
    from lakehouse.production import production
    from ml.monitoring.alarms import keep_reference
    from ml.scoring.score import score as score_days
    from ml.tracking.registry import CHAMPION

    alias = alias or CHAMPION
    with production(f"lakehouse score {days[0]}", progress):
        done = score_days(spark_session(), model, *days, alias, progress)
        if model.monitoring.drift_model is not None:
            keep_reference(spark_session(), model, alias, progress)
    if as_json:
        print_json(done)
        return
    is_empty = done.rows_scored == done.not_due == 0
    facts(
        {
            "days": f"{done.start} to {done.end}",
            "model": f"{done.model_name} version {done.model_version} ({alias})",
            "scored": done.rows_scored,
            "new rows": done.rows_written,
            "not due yet": "unknown" if done.not_due is None else done.not_due,
            **({"note": "no row of these days: are they built and published?"} if is_empty else {}),
            "features": done.features,
            "table": done.table_version,
            "seconds": round(done.seconds, 1),
        }
    )
