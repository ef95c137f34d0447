"""What a source would land, tried without landing anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class UnreadableRow:
    """A row that would go to the quarantine.

    Args:
        place: its line in a file (of Parquet its row); partition and offset in a topic; empty in a database.
        raw: its text, not all of a long one.
    """

    place: str
    reason: str
    raw: str | None


@dataclass(frozen=True)
class Trial:
    """One look at a source. Nothing landed, and no table was made.

    Args:
        looked_at: the file, table or topic.
        rows: how many of the rows that were looked at can be read.
        unreadable: how many cannot.
        is_all: whether these are all that would land now; a database and a topic are looked at in part.
        would_read: how many rows or records an ingestion would read now, where that is known otherwise.
        digest: SHA-256 of a file.
        new_columns: type of each column that is neither declared nor in bronze.
        sample: the first rows that can be read.
        unreadable_rows: the first ones that cannot.
        refused: why it would not land.
        waiting: why it is not whole yet.
        notes: what else is to be known.
    """

    source: str
    looked_at: str
    rows: int = 0
    unreadable: int = 0
    is_all: bool = True
    would_read: int | None = None
    digest: str | None = None
    new_columns: Mapping[str, str] = field(default_factory=dict[str, str])
    sample: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    unreadable_rows: list[UnreadableRow] = field(default_factory=list[UnreadableRow])
    refused: list[str] = field(default_factory=list[str])
    waiting: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
