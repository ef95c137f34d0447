"""`lakehouse stream`: land a topic's records as they come; or say how far behind it a source is."""

import json
import signal
from datetime import UTC, datetime
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from commands.output import AsJson, facts, plain, print_json, progress
from lakehouse.errors import LakehouseError

if TYPE_CHECKING:
    from lakehouse.ingest.report import IngestReport, StreamLag

EPILOG = "Examples: lakehouse stream flight_events --every 2   ·   lakehouse stream flight_events --lag"


def stream(
    name: Annotated[str, typer.Argument(help="The source, which comes from a topic.")],
    every: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds between two looks at the topic.")
    ] = 5,
    lag: Annotated[
        bool,
        typer.Option("--lag", help="Only say how far behind it is; exit code 1 above its limits."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Land a topic's records in bronze as they come, each exactly once, until Ctrl-C.

    A load that has begun is ended first; a second Ctrl-C interrupts it, and loses nothing either: the next
    call completes it. With --json each load is a line of JSON.
    """
    from lakehouse.engine.session import spark_session
    from lakehouse.ingest.declarations import load_sources
    from lakehouse.ingest.stream.lag import lag as measure
    from lakehouse.ingest.stream.serve import serve

    declared = load_sources()
    if name not in declared:
        raise LakehouseError(f"unknown source {name}", f"declared in sources/ are {', '.join(declared)}")
    if lag:
        found = measure(spark_session(), declared[name])
        if as_json:
            print_json(found)
        else:
            facts({f"{name} is behind its topic": behind(found)})
        raise typer.Exit(1 if found.alert else 0)
    # The session has handlers of its own, which interrupt its statements: first it is made.
    spark_session()
    serve(
        spark_session,
        declared[name],
        _stopped_by_signal(),
        _print_line if as_json else _show,
        every_seconds=every,
        progress=progress,
    )


def behind(lag: "StreamLag") -> str:
    """How far a source is behind its topic, for people."""
    age = "" if lag.minutes_behind is None else f", the oldest {lag.minutes_behind:.1f} minutes old"
    alert = "" if lag.alert is None else f". ALERT: {lag.alert}"
    return f"{lag.rows_behind} records of {lag.topic}{age}{alert}"


def _stopped_by_signal() -> Event:
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        previous = signal.getsignal(number)

        def handle(received: int, frame: FrameType | None, previous: object = previous) -> None:
            if not stop.is_set():
                progress("ending after this load; once more interrupts it")
                stop.set()
            elif callable(previous):
                previous(received, frame)

        signal.signal(number, handle)
    return stop


def _show(report: "IngestReport") -> None:
    rows, aside = (sum(getattr(batch, kind) for batch in report.landed) for kind in ("rows", "quarantined"))
    at = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    facts({at: f"{rows} rows landed, {aside} unreadable; behind: {'; '.join(map(behind, report.lags))}"})
    for refusal in report.refused:
        facts({f"  {refusal.file}": refusal.reason})


def _print_line(report: "IngestReport") -> None:
    typer.echo(json.dumps(plain(report), allow_nan=False))
