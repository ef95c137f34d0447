"""What the build of a version read: each input at its version, and until when sources had delivered."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.dbt.notes import Commit, commits, instant
from lakehouse.delta.table import TableVersion

# A table in the SQL of an upstream count: `{schema.table}`.
_TABLE = re.compile(r"\{(\w+)\.(\w+)\}")
# Without a frontier in its note, a table is complete: everything upstream is due.
_ALWAYS = datetime(9999, 12, 31, tzinfo=UTC)
_FEW = 20


@dataclass(frozen=True)
class Built:
    """What the newest build of a table, up to a version, noted.

    Args:
        read: the version of each input, by `schema.table` or a model's name.
        until: UTC instant up to which all sources had delivered; None where the model does not keep to it.
        until_day: the local day on which that lies: the days before it are complete.
    """

    read: Mapping[str, int] = field(default_factory=dict[str, int])
    until: datetime | None = None
    until_day: date | None = None


def built(spark: SparkSession, version: TableVersion) -> Built:
    """What the build of a version noted; nothing for a table that dbt's strategy did not write."""
    newest = _newest_note(spark, version)
    if newest is None or newest.note is None:
        return Built()
    frontier: Mapping[str, Any] = newest.note.get("frontier") or {}
    return Built(
        read={name: int(seen["version"]) for name, seen in newest.read.items() if seen},
        until=instant(str(frontier["until"])) if frontier.get("until") else None,
        until_day=date.fromisoformat(str(frontier["day"])) if frontier.get("day") else None,
    )


def _newest_note(spark: SparkSession, version: TableVersion) -> Commit | None:
    # Most often it is the last commit: the whole log is read only where it is not among a few.
    for limit in (_FEW, None):
        found = commits(spark, version.name, limit)
        noted = (each for each in found if each.version <= version.version and each.note is not None)
        newest = next(noted, None)
        if newest is not None or len(found) < _FEW:
            return newest
    return None


def as_built(sql: str, noted: Built) -> str:
    """SQL in which `{schema.table}`, `{until}` and `{until_day}` stand for what a build read.

    >>> as_built("select 1 from {s.t} where at < {until}", Built({"t": 7}))
    "select 1 from s.t version as of 7 where at < timestamp'9999-12-31 00:00:00'"
    """

    def pinned(found: re.Match[str]) -> str:
        name = f"{found[1]}.{found[2]}"
        version = noted.read.get(name, noted.read.get(found[2]))
        return name if version is None else f"{name} version as of {version}"

    until = noted.until or _ALWAYS
    return (
        _TABLE.sub(pinned, sql)
        .replace("{until}", f"timestamp'{until:%Y-%m-%d %H:%M:%S}'")
        .replace("{until_day}", f"date'{noted.until_day or _ALWAYS.date()}'")
    )
