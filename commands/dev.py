"""`lakehouse dev`: the engine and all pages behind one address, until Ctrl-C."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from commands.output import facts, progress
from lakehouse.engine import server
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from commands.ui.address import Place

EPILOG = "Example: LAKEHOUSE_UI_PORT=3100 lakehouse dev"


def dev() -> None:
    """Open engine, Dagster, MLflow, Data Docs and dbt docs at one address; Ctrl-C stops all.

    What runs by itself (docs/dagster.md) runs as long as this does. An engine that ran before is left
    running, as others may use it; so is one that others use by then.
    """
    from commands.ui.address import listening

    with alone(), listening(progress) as place:
        engine_was_there = server.running() is not None
        progress("engine …")
        server.ensure_engine()
        # Dagster and MLflow take seconds to import.
        from orchestration.instance import environment, open_instance

        os.environ.update(environment())
        try:
            with open_instance() as instance:
                _serve(place, instance)
        finally:
            if not engine_was_there:
                stop_engine()


@contextmanager
def alone() -> Generator[None]:
    """Refuse a second one on this warehouse: its daemon would ask for each run once more.

    Raises:
        LakehouseError: one runs already.
    """
    folder = settings().dagster_home
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "dev.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LakehouseError(
                f"`lakehouse dev` runs for {settings().warehouse} already", "open its link, or stop it"
            ) from None
        yield


def _page(instance: "DagsterInstance") -> str:
    """The first page; what it asks and gets no answer from is named.

    Raises:
        LakehouseError: MLflow or Dagster's database does not answer.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    from commands.ui.page import first_page
    from orchestration.overview import overview

    try:
        return first_page(server.status(), overview(instance))
    except MlflowException as error:
        raise LakehouseError(f"MLflow does not answer: {error}", "is its server up?") from error
    except SQLAlchemyError as error:
        raise LakehouseError(f"Dagster's database does not answer: {error}", "is it up?") from error


def _serve(place: "Place", instance: "DagsterInstance") -> None:
    import asyncio

    from commands.ui.run import Ui, run

    ui = Ui(
        place=place,
        first_page=lambda: _page(instance),
        say=progress,
        ready=lambda: facts(
            {
                "Lakehouse": place.link("/"),
                "lineage": place.link("/dagster/asset-groups"),
                "": "Ctrl-C stops all of it",
            }
        ),
    )
    asyncio.run(run(ui, dict(os.environ)))


def stop_engine() -> None:
    """Stop the engine that this command started, unless others use it by now."""
    try:
        server.stop_engine()
    except LakehouseError as error:
        # One that is used is refused; after others it has stopped.
        idle = "it is left running, and stops when it is idle"
        progress(f"{error.what}: {error.hint if server.running() is None else idle}")
