"""A commit of a table and what was noted in it; reading commits needs Spark, this does not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from lakehouse.dbt.days import Ranges, from_text


@dataclass(frozen=True)
class Commit:
    """A commit of a table, and what was noted in it.

    Args:
        at: when it was made, UTC; with the version it tells a table from another one of its name.
        changes_rows: whether it may have changed any row.
        metadata: Delta's userMetadata, where that is a JSON object.
    """

    version: int
    at: datetime
    changes_rows: bool = True
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def note(self) -> Mapping[str, Any] | None:
        """What a build noted; None without one."""
        return self.metadata if "read" in self.metadata else None

    @property
    def read(self) -> Mapping[str, Any]:
        """The version and time of each input that the build read, by `source.table` or the model's name."""
        return self.note["read"] if self.note is not None else {}

    @property
    def batches(self) -> Sequence[str] | None:
        """The batches that a delivery offered; None where none are named."""
        return self.metadata.get("batches")

    @property
    def days(self) -> Ranges | None:
        """The days whose rows changed; None where that may be any."""
        days = self.metadata.get("days", "all")
        return None if days == "all" else from_text(days)

    def wrote(self, first: date | None, last: date | None) -> bool:
        """Whether a build computed one of these days here; None leaves an end open."""
        if self.note is None:
            return False
        return self.days is None or any(
            (last is None or low <= last) and (first is None or first <= high) for low, high in self.days
        )


def instant(text: str) -> datetime:
    """A time as notes and logs have it: of UTC, without a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
