"""`lakehouse serve`: answer requests for scores; and move what was scored into Delta."""

import gc
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.output import AsJson, facts, print_json, progress
from lakehouse.errors import LakehouseError

if TYPE_CHECKING:
    from ml.spec import Spec

EPILOG = "Examples: lakehouse serve --spec arrival_delay   ·   lakehouse serve flush"
app = typer.Typer(invoke_without_command=True)


@app.callback()
def serve(
    context: typer.Context,
    spec: Annotated[
        list[str] | None, typer.Option("--spec", help="Which model, repeated for several; all by default.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond loopback a token is needed.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Port; LAKEHOUSE_SERVING_PORT by default, 0: a free one."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", help="A name by which clients call the service; repeatable."),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the token that each request has to carry.")
    ] = None,
    canary: Annotated[
        float, typer.Option(min=0, max=1, help="Share of entities that the challenger answers.")
    ] = 0.0,
    shadow: Annotated[
        bool, typer.Option("--shadow/--no-shadow", help="Let the challenger score what the champion answers.")
    ] = True,
) -> None:
    """Answer requests for scores, with the bits of batch scoring, until Ctrl-C; the champion is followed."""
    if context.invoked_subcommand is not None:
        return
    # What is loaded stays: going through it again and again would take a sixth of the start. The service
    # turns the collector on once it is ready.
    gc.disable()
    chosen = _specs(spec)
    progress("loading the champions")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    from lakehouse.dbt.manifest import current_models
    from lakehouse.settings import settings
    from ml.serving.server import Options, serve

    serve(
        chosen,
        current_models(),
        Options(
            host=host,
            port=settings().serving_port if port is None else port,
            hosts=tuple(allow_host or ()),
            token_file=token_file,
            canary=canary,
            shadow=shadow,
        ),
        lambda address: facts(
            {"serving": ", ".join(each.name for each in chosen), "at": address, "API": f"{address}/docs"}
        ),
    )


@app.command(epilog="Example: lakehouse serve flush --json")
def flush(as_json: AsJson = False) -> None:
    """Move what was scored online from the journal into serving.scores and the tables of predictions."""
    from lakehouse.dbt.manifest import current_models
    from lakehouse.engine.session import spark_session
    from lakehouse.production import production
    from ml.serving.flush import flush as flush_journal

    with production("lakehouse serve flush", progress):
        done = flush_journal(spark_session(), _specs(None), current_models(), progress)
    if as_json:
        print_json(done)
        return
    facts(
        {
            "scores in the journal": done.read,
            "new in serving.scores": done.logged,
            **{f"new in {table}": rows for table, rows in done.predictions.items()},
            "segments removed": done.segments_removed,
            "segments still written": done.segments_left,
        }
    )


def _specs(names: list[str] | None) -> "list[Spec]":
    from ml.spec import load_spec, spec_names

    found = [load_spec(name) for name in names or spec_names()]
    if not found:
        raise LakehouseError("there is no model in ml/specs", "docs/models.md says how to add one")
    return found
