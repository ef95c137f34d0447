"""`lakehouse move-databases`: from files of the warehouse into PostgreSQL."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer

from commands.output import AsJson, print_json, progress, table
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings

EPILOG = "Example: LAKEHOUSE_DAGSTER_DATABASE=postgresql://ann:…@db/dagster lakehouse move-databases"


class Database(StrEnum):
    """What can be moved, in this order."""

    METASTORE = "metastore"
    MLFLOW = "mlflow"
    DAGSTER = "dagster"


def move_databases(
    which: Annotated[
        list[Database] | None, typer.Argument(help="Only these; by default each that a setting names.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Copy metastore, MLflow's records and Dagster's history into the databases of the settings.

    Each that a setting names must be empty, and is filled whole or not at all; the old files stay as they
    are. Nothing may train or build meanwhile.
    """
    named = _named()
    if not named:
        raise LakehouseError(
            "the settings name no database",
            "set LAKEHOUSE_METASTORE_URL, LAKEHOUSE_MLFLOW_TRACKING_URI or LAKEHOUSE_DAGSTER_DATABASE: "
            "docs/databases.md",
        )
    wanted = [each for each in Database if each in (which or named)]
    moved: dict[Database, dict[str, int]] = {}
    for each in wanted:
        progress(f"{each} …")
        try:
            moved[each] = _move_of(each)()
        except Exception as error:
            what = error.what if isinstance(error, LakehouseError) else f"{type(error).__name__}: {error}"
            hint = f"{error.hint}; " if isinstance(error, LakehouseError) else ""
            done = f"moved are {', '.join(moved)}; " if moved else ""
            again = f"`lakehouse move-databases {' '.join(wanted[len(moved) :])}`"
            raise LakehouseError(
                f"{each}: {what}",
                f"{hint}{done}then run {again}, or without {each}, if that was moved before",
            ) from error
    if as_json:
        print_json(moved)
        return
    rows = [(what, name, count) for what, counts in moved.items() for name, count in counts.items() if count]
    table("moved", ("what", "table", "rows"), rows)


def _named() -> list[Database]:
    """Those for which the settings name a database."""
    config = settings()
    named = {
        Database.METASTORE: config.metastore_url is not None,
        Database.MLFLOW: (config.mlflow_tracking_uri or "").startswith("postgresql"),
        Database.DAGSTER: config.dagster_database is not None,
    }
    return [each for each, is_named in named.items() if is_named]


def _move_of(database: Database) -> Callable[[], dict[str, int]]:
    match database:
        case Database.METASTORE:
            from lakehouse.engine.metastore_move import move
        case Database.MLFLOW:
            from ml.tracking.move import move
        case Database.DAGSTER:
            from orchestration.move import move
    return move
