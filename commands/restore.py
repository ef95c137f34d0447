"""`lakehouse restore`: a backup as the warehouse that the settings name."""

from pathlib import Path
from typing import Annotated

import typer

from commands.backup import print_carried
from commands.output import AsJson, progress
from lakehouse.backup.carry import Move
from lakehouse.backup.carry import restore as restore_backup
from ml.tracking.relocate import relocate

EPILOG = "Example: LAKEHOUSE_WAREHOUSE=/data/lakehouse lakehouse restore /mnt/disk/lakehouse-monday"


def restore(
    folder: Annotated[
        Path, typer.Argument(help="What `lakehouse backup` made.", exists=True, file_okay=False)
    ],
    as_json: AsJson = False,
) -> None:
    """Make the warehouse that LAKEHOUSE_WAREHOUSE names, a new folder, from a backup, each file checked."""
    print_carried(restore_backup(folder, _relocate_mlflow, progress), "restored", as_json)


def _relocate_mlflow(move: Move) -> None:
    relocate(move.folder / "mlflow", move.before / "mlflow", move.after / "mlflow")
