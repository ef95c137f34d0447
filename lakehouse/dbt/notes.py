"""The commits of tables, and what the builds of dbt's incremental models noted in them.

The form of a note stands in `dbt_project/macros/increments/plan_days.sql`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.delta.table import TableVersion, local_commits


@dataclass(frozen=True)
class Commit:
    """A commit of a table, and what a build noted in it.

    Args:
        at: when it was made, UTC.
        note: None without one.
    """

    version: int
    at: datetime
    note: Mapping[str, Any] | None = None

    @property
    def read(self) -> Mapping[str, Any]:
        """The version and time of each input that the build read, by `source.table` or the model's name."""
        return self.note["read"] if self.note is not None else {}

    def wrote(self, first: date | None, last: date | None) -> bool:
        """Whether a build computed one of these days here; None leaves an end open."""
        if self.note is None:
            return False
        ranges: str | Sequence[Sequence[str]] = self.note["days"]
        return ranges == "all" or any(
            (last is None or low <= last.isoformat()) and (first is None or first.isoformat() <= high)
            for low, high in ranges
        )


# The commits of a table, newest first.
Log = Callable[[str], Sequence[Commit]]


def commits(spark: SparkSession, name: str, limit: int | None = None) -> list[Commit]:
    """The commits of `schema.table` that its log still has, newest first; all, or so many."""
    found = local_commits(name, limit)
    if found is None:
        history = f"describe history {name}{'' if limit is None else f' limit {limit}'}"
        found = [row.asDict() for row in spark.sql(history).collect()]
    return [
        Commit(int(row["version"]), instant(str(row["timestamp"])), _note(row["userMetadata"]))
        for row in found
    ]


def instant(text: str) -> datetime:
    """A time as notes and logs have it: of UTC, without a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _note(metadata: str | None) -> Mapping[str, Any] | None:
    note: Mapping[str, Any] = json.loads(metadata) if metadata and metadata.startswith("{") else {}
    return note if "read" in note else None


def versions_read(spark: SparkSession, built: TableVersion) -> dict[str, int]:
    """The version of each input that a version of a model's table was built from.

    A build that finds no new day commits nothing: what an input got since the newest note changed nothing.

    Returns:
        `source.table` or a model's name to its version; empty for a table that dbt's strategy did not write.
    """
    noted = (each for each in commits(spark, built.name) if each.version <= built.version and each.note)
    newest = next(noted, None)
    return {name: int(seen["version"]) for name, seen in newest.read.items() if seen} if newest else {}
