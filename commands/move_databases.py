"""`lakehouse move-databases`: from files of the warehouse into PostgreSQL."""

from commands.output import AsJson, print_json, progress, table
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings

EPILOG = "Example: LAKEHOUSE_DAGSTER_DATABASE=postgresql://ann:…@db/dagster lakehouse move-databases"


def move_databases(as_json: AsJson = False) -> None:
    """Copy metastore, MLflow's records and Dagster's history into the databases of the settings.

    Each that a setting names must be empty, and is filled whole or not at all; the old files stay as they
    are. Nothing may train or build meanwhile.
    """
    config = settings()
    moved: dict[str, dict[str, int]] = {}
    if config.metastore_url is not None:
        from lakehouse.engine.metastore_move import move

        progress("metastore …")
        moved["metastore"] = move(config)
    if (config.mlflow_tracking_uri or "").startswith("postgresql"):
        from ml.tracking.move import move as move_mlflow

        progress("MLflow …")
        moved["MLflow"] = move_mlflow()
    if config.dagster_database is not None:
        from orchestration.move import move as move_dagster

        progress("Dagster …")
        moved["Dagster"] = move_dagster()
    if not moved:
        raise LakehouseError(
            "the settings name no database",
            "set LAKEHOUSE_METASTORE_URL, LAKEHOUSE_MLFLOW_TRACKING_URI or LAKEHOUSE_DAGSTER_DATABASE: "
            "docs/databases.md",
        )
    if as_json:
        print_json(moved)
        return
    rows = [(what, name, count) for what, counts in moved.items() for name, count in counts.items() if count]
    table("moved", ("what", "table", "rows"), rows)
