"""`lakehouse ingest`: land deliveries in bronze, each exactly once; or decide about one, by name."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from commands.output import AsJson, facts, print_json, progress, table
from commands.stream import behind
from lakehouse.errors import LakehouseError

if TYPE_CHECKING:
    from lakehouse.ingest.report import Frontier, IngestReport

EPILOG = (
    "Examples: lakehouse ingest --source flight_actuals --from 2013-10-01 --to 2013-10-03   ·   "
    'lakehouse ingest --missing flight_actuals 2013-10-01T09 --by Ana --reason "the feed was down"'
)

# As sysexits.h has it: not a failure, try again later.
EX_TEMPFAIL = 75


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
    superseded: Annotated[
        str | None,
        typer.Option(
            "--supersede",
            metavar="BATCH",
            help="Replace this landed batch by what its file has now; needs --by and --reason.",
        ),
    ] = None,
    missing: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="SOURCE PERIOD",
            help="Declare that a day, an hour, or a range FIRST..LAST never comes; needs --by and --reason.",
        ),
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who decides.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why.")] = None,
    as_json: AsJson = False,
) -> None:
    """Land what the landing zone holds and bronze does not, each delivery exactly once.

    Of sources that are declared with an API, what lacks is fetched into the landing zone first.

    Broken files are refused by name and the others land; the exit code is then 1. A file that is still being
    written waits for a later call; the exit code is then 75, if nothing was refused.
    """
    _check(superseded, missing, by, reason, source, first, last)

    from lakehouse.engine.session import spark_session
    from lakehouse.ingest.decide import declare_missing, supersede
    from lakehouse.ingest.land import ingest as land

    days = (first.date() if first else date.min, last.date() if last else date.max) if first or last else None
    if missing is not None:
        name, periods = missing
        declared = declare_missing(spark_session(), name, periods, by=by or "", reason=reason or "")
        said = f"{declared[0]} to {declared[-1]}" if declared else "nothing that was not declared before"
        progress(f"{name}: declared as never coming: {said}")
        # Nothing lands by this: it is asked what the source has told now.
        report = land(spark_session(), [name], batch_id="")
    elif superseded is not None:
        report = supersede(spark_session(), superseded, by=by or "", reason=reason or "", progress=progress)
    else:
        report = land(spark_session(), source, days, progress=progress)
    if as_json:
        print_json(report)
    else:
        _show(report)
    if report.refused or any(lag.alert for lag in report.lags):
        raise typer.Exit(1)
    if report.waiting:
        raise typer.Exit(EX_TEMPFAIL)


def _check(
    superseded: str | None,
    missing: tuple[str, str] | None,
    by: str | None,
    reason: str | None,
    *asked: object,
) -> None:
    decides = superseded is not None or missing is not None
    if superseded is not None and missing is not None:
        raise LakehouseError("--supersede and --missing are two decisions", "take one after the other")
    if decides and any(asked):
        raise LakehouseError(
            "--source, --from and --to say what to land, and a decision is about one thing", "leave them out"
        )
    if decides and not (by and reason):
        raise LakehouseError("a decision needs a name and a reason", "give --by NAME and --reason WHY")
    if not decides and (by or reason):
        raise LakehouseError("--by and --reason belong to a decision", "give --supersede or --missing")


def _show(report: "IngestReport") -> None:
    rows: list[tuple[object, ...]] = []
    for name, version in report.versions.items():
        landed = [batch for batch in report.landed if batch.source == name]
        counts = (sum(batch.rows for batch in landed), sum(batch.quarantined for batch in landed))
        rows.append((name, len(landed), *counts, version.version))
    for name in dict.fromkeys(each.source for each in report.fetched):
        facts({f"fetched from the API of {name}": _fetched(report, name)})
    table("Bronze", ["source", "deliveries landed", "rows landed", "rows unreadable", "table version"], rows)
    facts(
        {
            "landed before": f"{len(report.skipped)} deliveries",
            "refused": f"{len(report.refused)} files",
            "waiting": f"{len(report.waiting)} files",
        }
    )
    for refusal in report.refused:
        facts({f"  {refusal.file}": refusal.reason})
    for waiting in report.waiting:
        facts({f"  {waiting.file}": f"{waiting.reason}; run it again later"})
    for batch in report.landed:
        if batch.read is not None:
            facts({f"  {batch.file}": f"{batch.rows} rows: {batch.read}"})
        if batch.quarantined:
            where = f"bronze_quarantine.{batch.source}_unreadable"
            facts({f"  {batch.file}": f"{batch.quarantined} rows cannot be read: see {where}"})
    for lag in report.lags:
        facts({f"{lag.source} is behind its topic": behind(lag)})
    for frontier in report.frontiers:
        facts({f"{frontier.source} has told everything until": _until(frontier)})


def _fetched(report: "IngestReport", source: str) -> str:
    fetched = [each for each in report.fetched if each.source == source]
    written = [each for each in fetched if not each.is_unchanged]
    pages, resumed = (sum(each.pages for each in written), sum(each.resumed_pages for each in written))
    said = f"deliveries: {len(written)}, rows: {sum(each.rows for each in written)}, pages: {pages}"
    said += f" ({resumed} of them kept from before)" if resumed else ""
    return said if written else "nothing new"


def _until(frontier: "Frontier") -> str:
    if frontier.delivered_until is None:
        return "nothing was delivered"
    told = f"{frontier.delivered_until:%Y-%m-%d %H:%M} UTC"
    if frontier.lacks is None:
        return told
    return (
        f"{told}; {frontier.lacks} lacks, though later files came. If it never comes: "
        f"lakehouse ingest --missing {frontier.source} {frontier.lacks} --by NAME --reason WHY"
    )
