"""`lakehouse monitor`: which days are unlike those before them, and why; as a table, or a page per week."""

from pathlib import Path
from typing import Annotated

import typer

from commands.days import Day, First, Last, days_of
from commands.output import AsJson, print_json, progress, table
from commands.specs import SpecName, chosen_spec
from lakehouse.errors import LakehouseError

EPILOG = "Example: lakehouse monitor --spec arrival_delay --from 2013-10-01 --to 2013-10-31 --report reports"


def monitor(
    date: Day = None,
    first: First = None,
    last: Last = None,
    spec: SpecName = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write a page per week there, each one file of HTML."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge scored days by the days of the season before them; exit code 1 when a day raises an alarm."""
    days = days_of(date, first, last)
    if days is None:
        raise LakehouseError("there is no day to judge", "give --date DAY, or --from DAY --to DAY")
    model = chosen_spec(spec)

    from lakehouse.engine.session import spark_session
    from ml.monitoring.alarms import describe, explain
    from ml.monitoring.days import monitored_days
    from ml.monitoring.report import write_reports

    found = monitored_days(spark_session(), model, *days, progress)
    pages = write_reports(spark_session(), model, found, report) if report is not None else []
    alarms = [each for each in found if each.judged.alarms]
    if as_json:
        print_json(
            {
                "days": [
                    {
                        "day": each.day,
                        "model_version": each.model_version,
                        "alarms": each.judged.alarms,
                        "features": each.judged.named,
                    }
                    for each in found
                ],
                "pages": pages,
            }
        )
    else:
        told = [each for each in found if each.judged.alarms or each.judged.named]
        table(
            f"{len(found)} scored days, {len(alarms)} alarms",
            ["day", "version", "alarm", "features"],
            [
                [
                    each.day,
                    each.model_version,
                    "\n".join(describe(alarm) for alarm in each.judged.alarms),
                    explain(each.judged),
                ]
                for each in told
            ],
        )
        for page in pages:
            progress(f"wrote {page}")
    if alarms:
        raise typer.Exit(1)
