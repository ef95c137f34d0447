"""What one ingestion did, file by file, and until when each source has told everything by now."""

from dataclasses import dataclass, field
from datetime import datetime

from lakehouse.delta.table import TableVersion


@dataclass(frozen=True)
class LandedBatch:
    """A batch that this call landed.

    Args:
        rows: how many landed in the source's table.
        quarantined: how many could not be read, and lie in the quarantine with the reason.
        supersedes: the batch whose rows nobody reads any more.
        read: of a load from a database, between which bounds.
    """

    source: str
    batch_id: str
    file: str
    rows: int
    quarantined: int = 0
    supersedes: str | None = None
    read: str | None = None


@dataclass(frozen=True)
class Fetched:
    """A delivery that this call fetched from an API.

    Args:
        file: where it was written, below the landing zone.
        rows: how many records it has.
        pages: on how many pages they came.
        resumed_pages: how many of these an earlier call had fetched.
        requests: how many were sent, those that were tried again included.
        is_unchanged: the API has what it had when the last delivery was fetched; no file was written.
    """

    source: str
    file: str
    rows: int
    pages: int
    resumed_pages: int
    requests: int
    is_unchanged: bool = False


@dataclass(frozen=True)
class Refusal:
    """A file that did not land, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Waiting:
    """A file that is not whole yet, and why. A later call looks at it again."""

    file: str
    reason: str


@dataclass(frozen=True)
class Frontier:
    """Until when a source has told everything.

    Args:
        delivered_until: UTC, exclusive; None while it has delivered no period.
        gap_from, gap_until: the first period that lacks although something later came; None where none does.
        lacks: the same in the source's days or hours, as `--missing` takes it.
    """

    source: str
    delivered_until: datetime | None
    gap_from: datetime | None
    gap_until: datetime | None
    lacks: str | None = None


@dataclass(frozen=True)
class StreamLag:
    """How far a source is behind its topic.

    Args:
        rows_behind: records that have not landed.
        minutes_behind: age of the oldest of them, by its timestamp; None where there is none.
        alert: what is above the limits of the declaration, for people.
    """

    source: str
    topic: str
    rows_behind: int
    minutes_behind: float | None
    alert: str | None = None


@dataclass(frozen=True)
class IngestReport:
    """What one call did.

    Args:
        landed: batches that it landed.
        skipped: batch ids that had landed before, with the same content.
        refused: files that it did not land.
        waiting: files that are not whole yet.
        versions: each source's bronze table after it, by source.
        frontiers: of each source that delivers periods.
        fetched: deliveries that it fetched from APIs, before they landed.
        lags: of each source that comes from a topic, after it.
    """

    landed: list[LandedBatch] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    versions: dict[str, TableVersion] = field(default_factory=dict)
    frontiers: list[Frontier] = field(default_factory=list)
    fetched: list[Fetched] = field(default_factory=list)
    lags: list[StreamLag] = field(default_factory=list)
