"""Files compared with their digests on this machine, without an engine and its client: see `digests`."""

import hashlib
from collections.abc import Mapping, Sequence

from lakehouse.delta.local import local_folder
from lakehouse.errors import LakehouseError

TABLE = "lakehouse.run_digests"
COMPARED = ["run_id", "file", "sha256"]


def require_here(run_id: str, files: Mapping[str, bytes]) -> None:
    """As `require`, without an engine: where the table does not lie on this machine, all is let through."""
    folder = local_folder(TABLE)
    if folder is not None:
        from deltalake import DeltaTable

        compare(DeltaTable(folder).to_pyarrow_table(columns=COMPARED).to_pylist(), run_id, files)


def compare(rows: Sequence[Mapping[str, str]], run_id: str, files: Mapping[str, bytes]) -> None:
    """Stop unless each of these files is one that its run wrote.

    Args:
        rows: of the table: `run_id`, `file` and `sha256`.

    Raises:
        LakehouseError: a file is another one, or none of this run's.
    """
    if not rows:
        return
    written: dict[str, set[str]] = {}
    for row in rows:
        if row["run_id"] == run_id:
            # A run that is resumed may write a file twice.
            written.setdefault(row["file"], set()).add(row["sha256"])
    for name, content in files.items():
        if digest(content) not in written.get(name, ()):
            said = "is not what the run wrote" if name in written else "was never written by a run here"
            raise LakehouseError(
                f"{name} of run {run_id} {said}: {TABLE} has no digest {digest(content)[:12]}… of it",
                "it was replaced in MLflow: take the run's artifacts from a backup, or train again"
                if written
                else "another warehouse trained it, or somebody put it there: train it here",
            )


def digest(content: bytes) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(content).hexdigest()
