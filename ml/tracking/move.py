"""MLflow's records from the warehouse's SQLite file into the database of the settings."""

import sqlalchemy as sa

from lakehouse.errors import LakehouseError
from lakehouse.settings import settings
from lakehouse.table_copy import copy_rows
from ml.tracking.runs import client, migrated, shown_uri, tracking_uri


def move() -> dict[str, int]:
    """Copy experiments, runs and registered models, all or nothing; their files stay where they are.

    Returns:
        rows of each table; none where there was no file.

    Raises:
        LakehouseError: the settings name no database, or one that holds runs or models.
    """
    if not tracking_uri().startswith("postgresql"):
        raise LakehouseError(
            f"MLflow's records can only be moved into PostgreSQL, and are to be in {shown_uri()}",
            "set LAKEHOUSE_MLFLOW_TRACKING_URI=postgresql://USER:PASSWORD@HOST/DATABASE",
        )
    old = settings().mlflow_dir / "mlflow.db"
    if not old.is_file():
        return {}
    client()
    source, target = sa.create_engine(migrated(f"sqlite:///{old}")), sa.create_engine(tracking_uri())
    try:
        with source.connect() as read, target.begin() as written:
            # Nobody writes to it meanwhile.
            read.execute(sa.text("begin immediate"))
            _refuse_used(written)
            return copy_rows(read, written)
    finally:
        source.dispose()
        target.dispose()


def _refuse_used(database: sa.Connection) -> None:
    # MLflow itself makes experiment 0.
    used = {"experiments": "experiment_id <> 0", "runs": "true", "registered_models": "true"}
    for table, condition in used.items():
        if database.execute(sa.text(f"select 1 from {table} where {condition} limit 1")).first():
            raise LakehouseError(
                f"{shown_uri()} holds {table.replace('_', ' ')} already", "name an empty database"
            )
