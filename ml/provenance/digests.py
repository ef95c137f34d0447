"""What the files of a run were when they were made: digests in a table that MLflow's server cannot write.

A run's manifest says what its code archive was, but whoever may write to MLflow can replace the two of them.
Code that is run, and weights that score, are compared with `lakehouse.run_digests` before.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import pyarrow as pa
from pyspark.sql import SparkSession

from lakehouse.delta.state_table import StateTable
from ml.provenance.digests_here import COMPARED, TABLE, compare, digest

_STATE = StateTable(
    name=TABLE,
    columns=(
        ("run_id", "string not null", pa.string()),
        ("file", "string not null", pa.string()),
        ("sha256", "string not null", pa.string()),
        ("recorded_at", "timestamp not null", pa.timestamp("us", "UTC")),
    ),
    at="recorded_at",
    comment="One row per run of MLflow and file: what the file was when the run wrote it.",
)


def record(spark: SparkSession, run_id: str, files: Mapping[str, bytes]) -> None:
    """Write down what files of a run are, in one commit."""
    begin(spark, {run_id: files})


def begin(spark: SparkSession, runs: Mapping[str, Mapping[str, bytes]]) -> None:
    """Write down what files of some runs are, in one commit; nothing of none."""
    now = datetime.now(UTC)
    rows = [
        {"run_id": run_id, "file": name, "sha256": digest(content), "recorded_at": now}
        for run_id, files in runs.items()
        for name, content in files.items()
    ]
    if rows:
        _STATE.append(spark, rows)


def has_begun(spark: SparkSession) -> bool:
    """Whether any run was ever written down."""
    return _STATE.read(spark, columns=COMPARED).num_rows > 0


def require(spark: SparkSession, run_id: str, files: Mapping[str, bytes]) -> None:
    """Stop unless each of these files is what its run wrote.

    A warehouse in which no run was ever written down knows nothing, and lets all through.

    Raises:
        LakehouseError: a file is another one, or a run of this warehouse never wrote it.
    """
    compare(_STATE.read(spark, columns=COMPARED).to_pylist(), run_id, files)
