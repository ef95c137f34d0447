"""What Delta's log of a table says of its files, and whether it still says what its writer wrote."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import json
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

from lakehouse.errors import LakehouseError

# Operations that leave the rows as they are.
KEEP_ROWS = frozenset(
    {
        "ADD COLUMNS",
        "CHANGE COLUMN",
        "CHANGE COLUMNS",
        "SET TBLPROPERTIES",
        "UNSET TBLPROPERTIES",
        "ADD CONSTRAINT",
        "DROP CONSTRAINT",
        "UPGRADE PROTOCOL",
        "OPTIMIZE",
        "VACUUM START",
        "VACUUM END",
        "COMPUTE STATS",
        "CLUSTER BY",
        "SET TABLE COMMENT",
    }
)


def live_files(table: DeltaTable) -> pa.Table:
    """The files that make up a version of a table, one row each: path, bytes, statistics as `min.column`.

    By Arrow's stream, as `pyarrow.table` would import pandas to ask whether this is one of its frames.
    """
    return pa.RecordBatchReader.from_stream(table.get_add_actions(flatten=True)).read_all()


# A build commits its rows, then constraints and properties.
_RECENT = 10
# What Spark counts of a commit: of one that merges, the rows that it moved along are in `numOutputRows`, too.
_MERGED = {
    "numTargetRowsInserted": "rows_added",
    "numTargetRowsUpdated": "rows_changed",
    "numTargetRowsDeleted": "rows_removed",
}
_WRITTEN = {"numOutputRows": "rows_added", "numDeletedRows": "rows_removed", "numUpdatedRows": "rows_changed"}


def rows_written(table: DeltaTable) -> dict[str, int]:
    """How many rows the last commit that changed any added, removed and changed, as its writer counted them.

    A day that is computed again is removed and added. What a writer did not count is left out.
    """
    recent = table.history(_RECENT)
    commit = next((each for each in recent if each["operation"] not in KEEP_ROWS), None)
    if commit is None:
        return {}
    counted = commit.get("operationMetrics") or {}
    names = _MERGED if commit["operation"] == "MERGE" else _WRITTEN
    found = {name: int(counted[each]) for each, name in names.items() if each in counted}
    copied = int(counted.get("numCopiedRows", 0)) if names is _WRITTEN else 0
    return found | ({"rows_added": found["rows_added"] - copied} if "rows_added" in found else {})


def check_log(folder: Path, version: int) -> None:
    """Refuse a version whose log lacks files that its writer counted, or has others.

    Spark and delta-rs read a commit that was cut at the end of a line, or emptied, as one of fewer files: its
    rows are gone without an error. Power that fails does that to a file which was named before it was synced.
    Delta writes the number and size of a version's files beside each commit; a writer that died in between
    leaves no such note, and then there is nothing to compare; so where a checkpoint has replaced the commit.

    Args:
        folder: of the table.

    Raises:
        LakehouseError: naming the commit's file.
    """
    commit = folder / "_delta_log" / f"{version:020}.json"
    note = commit.with_suffix(".crc")
    noted = _noted(note) if commit.exists() else None
    if noted is None:
        return
    sizes = live_files(DeltaTable(folder, version=version)).column("size_bytes").to_pylist()
    if (len(sizes), sum(sizes)) != noted:
        raise LakehouseError(
            f"Delta's log of {folder} is damaged: version {version} has {len(sizes)} files of {sum(sizes)} "
            f"bytes, and its writer noted {noted[0]} of {noted[1]}",
            f"restore {commit.name} from a backup, or the commits before it; until then nothing reads it",
        )


def _noted(note: Path) -> tuple[int, int] | None:
    """Number and bytes of a version's files; None where the note is not there, or was itself cut."""
    try:
        found = json.loads(note.read_text())
        return int(found["numFiles"]), int(found["tableSizeBytes"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
