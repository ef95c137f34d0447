"""MLflow's absolute artifact locations, moved with the warehouse they lie in."""

import sqlite3
from contextlib import closing
from pathlib import Path

# Every place in MLflow's schema that says where artifacts are found.
_LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def relocate(mlflow_dir: Path, before: Path, after: Path) -> int:
    """Let runs and models whose artifacts lay in one folder have them in another.

    This writes into MLflow's own tables: it stores absolute locations for a local folder, whatever it is
    given, and has no function that changes the one of a run or a model.

    Args:
        mlflow_dir: where `mlflow.db` lies now; without one, nothing is done.
        before, after: MLflow's folder (`Settings.mlflow_dir`) as it is written down, and as it is to be.

    Returns:
        how many locations changed.
    """
    path = mlflow_dir / "mlflow.db"
    if not path.is_file():
        return 0
    old, new = before.as_uri(), after.as_uri()
    with closing(sqlite3.connect(path)) as database, database:
        return sum(
            database.execute(
                f"update {table} set {column} = ? || substr({column}, ?) where substr({column}, 1, ?) = ?",
                (new, len(old) + 1, len(old) + 1, f"{old}/"),
            ).rowcount
            for table, column in _LOCATIONS
        )
