"""`lakehouse up`, `down` and `status`: the Spark engine of this warehouse."""

from typing import Annotated

import typer

from commands.output import AsJson, facts, print_json, progress
from lakehouse.engine import server
from lakehouse.settings import settings

EPILOG = "Example: lakehouse up && dbt build && lakehouse status"


def up(as_json: AsJson = False) -> None:
    """Start the Spark engine of this warehouse, or find the one that runs."""
    if server.running() is None:
        progress(f"starting Spark for {settings().warehouse} …")
    engine = server.ensure_engine()
    if as_json:
        print_json(engine)
    else:
        facts({"engine": engine.address, "process": engine.pid, "since": engine.started_at})


def down(
    force: Annotated[
        bool, typer.Option("--force", help="Also when other processes use it: their statements are lost.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Stop the Spark engine; statements that run are not committed. Refuses while other processes use it."""
    stopped = server.stop_engine(force=force)
    if as_json:
        print_json({"stopped": stopped})
    else:
        facts({"engine": "stopped" if stopped else "was not running"})


def status(as_json: AsJson = False) -> None:
    """Say what runs for this warehouse, since when, and with how much memory."""
    found = server.status()
    if as_json:
        print_json(found)
        return
    if found.remote:
        facts({"engine": f"{found.address} (from SPARK_REMOTE; not ours to start or stop)"})
        return
    if not found.running:
        facts({"engine": "not running; the first command that needs it starts it"})
        return
    facts(
        {
            "engine": found.address,
            "process": found.pid,
            "since": found.started_at,
            "memory": f"{found.resident_mb} MiB in use, heap up to {found.heap_mb} MiB",
            "warehouse": settings().warehouse,
            "fits this clone": "yes" if found.fits else "no: run `lakehouse down`",
            "clients": len(found.clients),
        }
        | {f"  {client.pid}": f"{client.command} (since {client.since})" for client in found.clients}
    )
