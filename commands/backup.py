"""`lakehouse backup`: the whole warehouse as one folder of plain files, with a checksum of each."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.output import AsJson, facts, print_json, progress

if TYPE_CHECKING:
    from lakehouse.backup.carry import Carried

EPILOG = "Example: lakehouse backup /mnt/disk/lakehouse-monday"


def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder, outside the warehouse.")],
    as_json: AsJson = False,
) -> None:
    """Copy tables, metastore, MLflow, Dagster and landing files; nobody may use the engine meanwhile."""
    from lakehouse.backup.carry import backup as make_backup

    print_carried(make_backup(folder, progress), "backup", as_json)


def print_carried(result: "Carried", what: str, as_json: bool) -> None:
    """Say what was carried where."""
    from lakehouse.backup.files import shown

    if as_json:
        print_json(result)
        return
    told = {
        what: result.folder,
        "of": result.warehouse,
        "files": f"{result.files:,}, {shown(result.size_bytes)}",
        "took": f"{result.seconds:.0f} s",
    }
    if result.left_out:
        told["left out"] = f"{', '.join(result.left_out)} (their files lie elsewhere; docs/backup.md)"
    facts(told)
