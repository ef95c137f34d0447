"""The commits of tables, and what builds and deliveries noted in them.

A build of an incremental model notes in its commit (Delta's userMetadata, which lands with the rows or not at all):

    {"days": [["2013-09-03", "2013-09-05"]],           the days that it replaced, or "all"
     "read": {"bronze.flight_actuals": {"version": 41, "at": "…"},   the version of each input that it read, and
              "int_flights": {"version": 7, "at": "…"}},             when that was committed
     "frontier": {"until": "…", "day": "2013-09-05"},  the frontier of deliveries, where the model keeps to it
     "sql": "3f5c…"}                                   the checksum of the SQL that made all of its rows

A delivery notes the batches that it offered: {"batches": ["flight_actuals_2013-09-03"]}; scoring the days that it scored.
"""  # noqa: E501

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.dbt.commit import Commit, instant
from lakehouse.delta.log import KEEP_ROWS
from lakehouse.delta.table import local_commits
from lakehouse.delta.version import TableVersion

# The commits of a table, newest first.
Log = Callable[[str], Sequence[Commit]]


def commits(spark: SparkSession, name: str, limit: int | None = None) -> list[Commit]:
    """The commits of `schema.table` that its log still has, newest first; all, or so many."""
    found = local_commits(name, limit)
    if found is None:
        history = f"describe history {name}{'' if limit is None else f' limit {limit}'}"
        found = [row.asDict() for row in spark.sql(history).collect()]
    return as_commits(found)


def as_commits(rows: Iterable[Mapping[str, Any]]) -> list[Commit]:
    """Rows of `describe history` as commits."""
    return [
        Commit(
            version=int(row["version"]),
            at=instant(str(row["timestamp"])),
            changes_rows=row["operation"] not in KEEP_ROWS,
            metadata=_parsed(row["userMetadata"]),
        )
        for row in rows
    ]


def _parsed(metadata: str | None) -> Mapping[str, Any]:
    return json.loads(metadata) if metadata and metadata.startswith("{") else {}


def versions_read(spark: SparkSession, built: TableVersion) -> dict[str, int]:
    """The version of each input that a version of a model's table was built from.

    A build that finds no new day commits nothing: what an input got since the newest note changed nothing.

    Returns:
        `source.table` or a model's name to its version; empty for a table that dbt's strategy did not write.
    """
    noted = (each for each in commits(spark, built.name) if each.version <= built.version and each.note)
    newest = next(noted, None)
    return {name: int(seen["version"]) for name, seen in newest.read.items() if seen} if newest else {}
