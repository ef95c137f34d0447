"""`lakehouse alerts`: what is open, a trial of the receivers, and sending what waits."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from commands.output import AsJson, print_json, table

EPILOG = "Example: LAKEHOUSE_ALERT_URLS=json://127.0.0.1:8080/alerts lakehouse alerts test"

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_alerts(
    closed: Annotated[bool, typer.Option("--all", help="Also those that were resolved.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is wrong now, since when, and whether every receiver was told."""
    from lakehouse.alerts.outbox import alerts, outbox, path

    found = []
    if path().exists():
        with outbox() as connection:
            found = alerts(connection, closed)
    if as_json:
        print_json(found)
        return
    table(
        "" if found else "no alert is open",
        ["kind", "about", "since (UTC)", "times", "what", "told", "resolved"],
        [
            [
                each.kind,
                each.subject,
                f"{_at(each.raised_at):%Y-%m-%d %H:%M}",
                each.times,
                f"{each.what}\n{each.link}" if each.link else each.what,
                "waits" if each.waiting else "yes",
                "" if each.resolved_at is None else f"{_at(each.resolved_at):%Y-%m-%d %H:%M}",
            ]
            for each in found
        ],
    )


@app.command("test")
def test_receivers(as_json: AsJson = False) -> None:
    """Tell each receiver that this is a test, at once; exit code 1 when one does not take it."""
    from lakehouse.alerts import raise_alert
    from lakehouse.alerts.send import receivers
    from lakehouse.errors import LakehouseError

    if not receivers():
        raise LakehouseError(
            "nobody is told of alerts",
            "set LAKEHOUSE_ALERT_URLS or LAKEHOUSE_ALERT_URLS_FILE; docs/alerts.md",
        )
    raise_alert("test", "lakehouse alerts test", "a trial, nothing is wrong")
    _send(as_json)


@app.command("send")
def send_alerts(as_json: AsJson = False) -> None:
    """Tell each receiver what it lacks, at once; exit code 1 when one does not take it.

    `lakehouse dev` does so by itself, each minute.
    """
    _send(as_json)


def _send(as_json: bool) -> None:
    from lakehouse.alerts.send import send

    sent = send(at_once=True)
    if as_json:
        print_json(sent)
    else:
        rows = [[each.receiver, each.messages, each.said or "taken"] for each in sent]
        table("" if sent else "nothing to tell", ["receiver", "messages", "result"], rows)
    if any(each.said is not None for each in sent):
        raise typer.Exit(1)


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
