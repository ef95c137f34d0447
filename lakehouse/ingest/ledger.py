"""The ledger of deliveries, `bronze.deliveries`: what landed, what superseded it, what never comes.

Rows are only added. A row's `kind` says what it is:

    delivery   a batch that landed. Rows from before kinds were noted have none, and are deliveries
    supersede  a person's decision that a batch gets another content, noted before that content's rows land.
               A build in between lacks the batch; the commit of the rows names both, so the next one is right
    missing    a person's decision that a period never comes
    release    a person's decision that unreadable rows come in after all, as the delivery of this batch id
"""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakehouse.delta.table import local_folder, table_exists
from lakehouse.ingest.complete import is_complete, look
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.delivery import Delivery, first_id, released_id, revision_number
from lakehouse.ingest.frontier import frontier_sql, superseded_sql
from lakehouse.ingest.listing import Listed, list_deliveries
from lakehouse.ingest.periods import PERIOD, Period, parse_period
from lakehouse.ingest.source import DELIVERIES, Source
from lakehouse.settings import settings

__all__ = ["Entry", "Ledger", "frontier_sql", "pending", "read_entries", "superseded_sql"]

Kind = Literal["delivery", "supersede", "missing", "release"]


@dataclass(frozen=True)
class Entry:
    """One row of the ledger.

    Args:
        kind: see the module.
        digest: SHA-256 of the file; None of a period that never comes.
        ingested_at: UTC; of a decision, when it was taken.
        row_count: how many rows it brought, landed and quarantined.
        supersedes: the batch whose rows it replaces.
        decided_by, reason: of a decision, and of what it landed.
        file_size, file_modified_ns: the file when it was read.
        delivered_until: None where it completes no period.
        watermark: of a load from a database, up to where it read; see database/plan.py.
    """

    source: str
    batch_id: str
    day: date
    kind: Kind
    digest: str | None
    ingested_at: datetime
    row_count: int = 0
    supersedes: str | None = None
    decided_by: str | None = None
    reason: str | None = None
    file_size: int | None = None
    file_modified_ns: int | None = None
    delivered_until: datetime | None = None
    watermark: str | None = None

    @property
    def period(self) -> Period | None:
        """The local day or hour that it completes, or that never comes."""
        # A name that goes on is of a file beside the regular ones, or of a batch of a topic.
        matched = re.match(rf"{PERIOD}(?=$|_r\d+$)", self.batch_id.removeprefix(f"{self.source}_"))
        return parse_period(matched[0]) if matched and self.delivered_until is not None else None


class Ledger:
    """The ledger's entries, by what is asked of them."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries = tuple(entries)

    @cached_property
    def _by_file(self) -> dict[str, list[Entry]]:
        """Deliveries and decisions about each file, by the id of its first content, oldest content first."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if entry.kind in ("delivery", "supersede"):
                found.setdefault(first_id(entry.batch_id), []).append(entry)
        return {
            batch_id: sorted(of_file, key=lambda entry: revision_number(entry.batch_id))
            for batch_id, of_file in found.items()
        }

    @cached_property
    def _by_day(self) -> dict[tuple[str, date], list[Entry]]:
        found: dict[tuple[str, date], list[Entry]] = {}
        for entry in self.entries:
            found.setdefault((entry.source, entry.day), []).append(entry)
        return found

    def of_file(self, batch_id: str) -> list[Entry]:
        """Deliveries and decisions about the file that a batch came from, oldest content first."""
        return self._by_file.get(first_id(batch_id), [])

    def landed(self, batch_id: str) -> Entry | None:
        """The newest content that landed of the file that a batch came from."""
        found = [entry for entry in self.of_file(batch_id) if entry.kind == "delivery"]
        return found[-1] if found else None

    def decided(self, batch_id: str) -> Entry | None:
        """The newest decision to supersede a file's content, while that other content has not landed."""
        landed = {entry.batch_id for entry in self.of_file(batch_id) if entry.kind == "delivery"}
        decisions = [entry for entry in self.of_file(batch_id) if entry.kind == "supersede"]
        return decisions[-1] if decisions and decisions[-1].batch_id not in landed else None

    def released(self, batch_id: str) -> Entry | None:
        """The decision that unreadable rows of a batch come in after all."""
        wanted = released_id(batch_id)
        decisions = (entry for entry in self.entries if entry.kind == "release")
        return next((entry for entry in decisions if entry.batch_id == wanted), None)

    def never_comes(self, delivery: Delivery) -> Entry | None:
        """The decision that the period of a regular delivery, or some of it, never comes."""
        if delivery.delivered_until is None:
            return None
        return next(iter(self.overlapping(delivery.source, delivery.period, "missing")), None)

    def overlapping(self, source: str, period: Period, kind: Kind) -> list[Entry]:
        """The regular deliveries, or decisions, about some part of a period."""
        return [
            entry
            for entry in self._by_day.get((source, period.day), [])
            if entry.kind == kind and entry.period is not None and entry.period.overlaps(period)
        ]

    def holds(self, delivery: Delivery) -> bool:
        """Whether nothing is left to do for a file, whatever is in it now: it landed, or never comes."""
        if self.decided(delivery.batch_id) is not None:
            return False
        return self.landed(delivery.batch_id) is not None or self.never_comes(delivery) is not None

    def holds_as_it_is(self, delivery: Delivery) -> bool:
        """Whether a file landed and has the size and time of change that it had then: it need not be read."""
        entry = self.landed(delivery.batch_id)
        if entry is None or entry.file_size is None or self.decided(delivery.batch_id) is not None:
            return False
        try:
            seen = look(delivery.path)
        except OSError:
            return False
        return (seen.size, seen.modified_ns) == (entry.file_size, entry.file_modified_ns)


def pending(
    landing: Path,
    entries: Iterable[Entry],
    *,
    declared: Mapping[str, Source] | None = None,
    listed: Listed | None = None,
    settle_seconds: float | None = None,
    now: datetime | None = None,
) -> list[Delivery]:
    """What lies in the landing zone, is whole, and is not in the ledger: what an ingestion would try to land.

    Needs no Spark. A file that was refused stays in the list until it is corrected or removed; one whose name
    is refused, or that is not whole yet, is not in it. Neither is a file that landed and was changed
    afterwards: only a person can let that land. Of a source that cannot be listed nothing is known.

    Args:
        entries: of the ledger, as `read_entries` gives them.
        declared: the declarations; those of the project by default.
        listed: what lies there, where that was looked at already.
        settle_seconds: how long a file has to stand still; the setting by default.
        now: UTC; the wall clock by default.

    Returns:
        by source, then by batch id.
    """
    ledger = Ledger(entries)
    at = now or datetime.now(UTC)
    settle = settings().settle_seconds if settle_seconds is None else settle_seconds
    sources = load_sources() if declared is None else declared
    found = (list_deliveries(sources.values(), landing) if listed is None else listed).deliveries
    return [
        delivery
        for name, source in sorted(sources.items())
        for delivery in found.get(name, ())
        if not source.is_of_the_future(delivery, at)
        and not ledger.holds(delivery)
        and is_complete(source, delivery, settle)
    ]


def read_entries(schema: str = "bronze", spark: SparkSession | None = None) -> list[Entry]:
    """The ledger's entries; none where there is no ledger yet.

    Read from the table's files without Spark where they lie in this machine's warehouse.

    Args:
        schema: the ledger's.
        spark: for a ledger that lies elsewhere; needed only then.
    """
    name = f"{schema}.{DELIVERIES}"
    folder = local_folder(name)
    if folder is not None:
        rows = DeltaTable(folder).to_pyarrow_table()
    elif spark is not None and table_exists(spark, name):
        rows = spark.table(name).toArrow()
    else:
        return []
    return [_entry(row) for row in rows.to_pylist()]


def _entry(row: Mapping[str, Any]) -> Entry:
    """A row of a ledger of any age."""
    return Entry(
        source=row["source"],
        batch_id=row["_batch_id"],
        day=row["day"],
        kind=row.get("kind") or "delivery",
        digest=row["_batch_digest"],
        ingested_at=row["_ingested_at"].astimezone(UTC),
        row_count=row["row_count"],
        supersedes=row.get("supersedes"),
        decided_by=row.get("decided_by"),
        reason=row.get("reason"),
        file_size=row.get("file_size"),
        file_modified_ns=row.get("file_modified_ns"),
        delivered_until=row["_delivered_until"],
        watermark=row.get("watermark"),
    )
