"""`lakehouse restore`: a backup as the warehouse that the settings name."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.backup import print_carried
from commands.output import AsJson, progress

if TYPE_CHECKING:
    from lakehouse.backup.carry import Move

EPILOG = "Example: LAKEHOUSE_WAREHOUSE=/data/lakehouse lakehouse restore /mnt/disk/lakehouse-monday"


def restore(
    folder: Annotated[
        Path, typer.Argument(help="What `lakehouse backup` made.", exists=True, file_okay=False)
    ],
    as_json: AsJson = False,
) -> None:
    """Make the warehouse that LAKEHOUSE_WAREHOUSE names, a new folder, from a backup, each file checked."""
    from lakehouse.backup.carry import restore as restore_backup

    print_carried(restore_backup(folder, _relocate_mlflow, progress), "restored", as_json)


def _relocate_mlflow(move: "Move") -> None:
    from ml.tracking.relocate import relocate

    relocate(move.folder / "mlflow", move.before / "mlflow", move.after / "mlflow")
