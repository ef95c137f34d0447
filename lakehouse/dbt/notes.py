"""What the builds of dbt's incremental models noted in their commits: the versions that they read."""

import json
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.delta.table import TableVersion, local_commits


def versions_read(spark: SparkSession, built: TableVersion) -> dict[str, int]:
    """The version of each input that a version of a model's table was built from.

    A build that finds no new day commits nothing: what an input got since the newest note changed nothing.
    The form of the note stands in `dbt_project/macros/increments/plan_days.sql`.

    Returns:
        `source.table` or a model's name to its version; empty for a table that dbt's strategy did not write.
    """
    for commit in _commits(spark, built.name):
        note = _note(commit["userMetadata"]) if commit["version"] <= built.version else None
        if note is not None:
            return {name: int(seen["version"]) for name, seen in note["read"].items() if seen}
    return {}


def _commits(spark: SparkSession, name: str) -> list[dict[str, Any]]:
    """Newest first."""
    found = local_commits(name)
    return (
        found
        if found is not None
        else [row.asDict() for row in spark.sql(f"describe history {name}").collect()]
    )


def _note(metadata: str | None) -> dict[str, Any] | None:
    if not metadata or not metadata.startswith("{"):
        return None
    note: dict[str, Any] = json.loads(metadata)
    return note if "read" in note else None
