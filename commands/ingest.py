"""`lakehouse ingest`: land deliveries in bronze, each exactly once."""

from datetime import date, datetime
from typing import Annotated

import typer

from commands.output import AsJson, facts, print_json, progress, table
from lakehouse.engine.session import spark_session
from lakehouse.ingest.land import IngestReport
from lakehouse.ingest.land import ingest as land

EPILOG = "Example: lakehouse ingest --source flight_actuals --from 2013-10-01 --to 2013-10-03"


def ingest(
    source: Annotated[
        list[str] | None,
        typer.Option(help="Only this source; may be given several times.", show_default=False),
    ] = None,
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="Only files of this day and later."),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], help="Only files of this day and earlier."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Land what the landing zone holds and bronze does not, each delivery exactly once.

    Broken files are refused by name and the others land; the exit code is then 1.
    """
    days = (first.date() if first else date.min, last.date() if last else date.max) if first or last else None
    report = land(spark_session(), source, days, progress=progress)
    if as_json:
        print_json(report)
    else:
        _show(report)
    if report.refused:
        raise typer.Exit(1)


def _show(report: IngestReport) -> None:
    landed = {
        name: [batch.rows for batch in report.landed if batch.source == name] for name in report.versions
    }
    rows = [
        (name, len(landed[name]), sum(landed[name]), version.version)
        for name, version in report.versions.items()
    ]
    table("Bronze", ["source", "deliveries landed", "rows landed", "table version"], rows)
    facts({"landed before": f"{len(report.skipped)} deliveries", "refused": f"{len(report.refused)} files"})
    for refusal in report.refused:
        facts({f"  {refusal.file}": refusal.reason})
