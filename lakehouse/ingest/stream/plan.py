"""What a batch of a topic is: which offsets of which partitions, decided before any record of it is read."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from lakehouse.errors import LakehouseError
from lakehouse.ingest.stream.topic import Topic

# Partition → the first offset, and the one after the last.
Offsets = Mapping[int, tuple[int, int]]


@dataclass(frozen=True)
class Plan:
    """One batch of a topic.

    Args:
        sequence: which batch of its source it is, from 1; of each number there is one.
        day: the source's local day on which it was planned.
        offsets: of every partition that the topic had; an empty range where nothing was to be read.
        seen_at: UTC; what had been appended to the topic until then is in this batch or an earlier one, if
            it `reaches_end`.
        since: UTC; with this batch and those before it, the source has told everything from then on. It is
            `seen_at` where it begins, or begins again after a gap.
        lost: which records nobody can read any more that lay before it, for people; None where none do.
    """

    source: str
    sequence: int
    day: date
    topic: str
    topic_id: str
    offsets: Offsets
    seen_at: datetime
    reaches_end: bool
    since: datetime
    lost: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of which records it is of."""
        said = [self.topic, self.topic_id, sorted(self.offsets.items())]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    @property
    def batch_id(self) -> str:
        """The batch's id. Batches of other records have other ids, also where their numbers are alike."""
        return f"{self.source}_{self.day}_{self.sequence:010}_{self.digest[:8]}"

    @property
    def unread(self) -> dict[int, tuple[int, int]]:
        """The partitions that it reads something of."""
        return {part: (first, end) for part, (first, end) in self.offsets.items() if end > first}

    @property
    def words(self) -> str:
        """Its records, for people: the topic, then partition:first-end, the end not included."""
        ranges = " ".join(f"{part}:{first}-{end}" for part, (first, end) in sorted(self.unread.items()))
        return f"{self.topic} {ranges}"


def next_plan(
    source: str, last: Plan | None, topic: Topic, most: int, zone: str = "UTC", *, is_last_whole: bool = True
) -> Plan | None:
    """The batch after the last one; None where nothing is unread.

    Args:
        last: the source's last batch; None before the first one, which begins with what is there.
        topic: as it is now.
        most: about how many records the batch has at most; a partition with unread ones gives one at least.
        zone: the source's.
        is_last_whole: whether all records of the last batch could be read.

    Raises:
        LakehouseError: the topic has fewer records than were read of it.
    """
    starts, lost = _starts(last, topic)
    behind = {part: max(0, topic.end[part] - start) for part, start in starts.items()}
    total = sum(behind.values())
    if total == 0 and lost is None:
        return None
    share = {
        part: count if total <= most else max(1, count * most // total) for part, count in behind.items()
    }
    offsets = {
        part: (start, start + min(behind[part], share[part] if behind[part] else 0))
        for part, start in starts.items()
    }
    return Plan(
        source=source,
        sequence=1 + (last.sequence if last else 0),
        day=topic.seen_at.astimezone(ZoneInfo(zone)).date(),
        topic=topic.name,
        topic_id=topic.topic_id,
        offsets=offsets,
        seen_at=topic.seen_at,
        reaches_end=all(end == max(offsets[part][0], topic.end[part]) for part, (_, end) in offsets.items()),
        since=_since(last, topic, lost, is_last_whole),
        lost=lost,
    )


def _since(last: Plan | None, topic: Topic, lost: str | None, is_last_whole: bool) -> datetime:
    if last is None or lost is not None or not is_last_whole:
        return topic.seen_at
    return last.seen_at if last.reaches_end else last.since


def _starts(last: Plan | None, topic: Topic) -> tuple[dict[int, int], str | None]:
    """Where each partition is to be read from, and which records before that were lost."""
    if last is None:
        return dict(topic.first), None
    read = " ".join(f"{part}:{end}" for part, (_, end) in sorted(last.offsets.items()))
    if last.topic != topic.name:
        return dict(topic.first), f"{last.topic} is not the topic any more: {read} and later were never read"
    if last.topic_id != topic.topic_id:
        return dict(topic.first), (
            f"{topic.name} was deleted and recreated: it has the id {topic.topic_id}, and what "
            f"{last.topic} with the id {last.topic_id} had from {read} on was never read"
        )
    starts: dict[int, int] = {}
    gaps: list[str] = []
    for part, first in sorted(topic.first.items()):
        # Of a partition that was added later everything is unread.
        until = last.offsets[part][1] if part in last.offsets else 0
        if until > topic.end[part]:
            raise LakehouseError(
                f"{topic.name}: partition {part} ends at {topic.end[part]}, but was read until {until}",
                "the brokers lost records, and give their offsets to others: publish into a new topic, and "
                "declare that one",
            )
        starts[part] = max(until, first)
        if first > until:
            gaps.append(f"{part}:{until}-{first}")
    return starts, _expired(topic.name, gaps)


def still_there(plan: Plan, topic: Topic) -> tuple[Offsets, str | None]:
    """What of a batch can still be read, and what was lost since it was planned.

    Raises:
        LakehouseError: the topic was recreated since, so that nothing of it can be read.
    """
    if topic.topic_id != plan.topic_id:
        gone = f"{plan.words}: the topic was deleted and recreated before they were read"
        return {}, gone
    kept: dict[int, tuple[int, int]] = {}
    gaps: list[str] = []
    for part, (first, end) in plan.unread.items():
        start = min(end, max(first, topic.first.get(part, end)))
        if start > first:
            gaps.append(f"{part}:{first}-{start}")
        if end > start:
            kept[part] = (start, end)
    return kept, _expired(plan.topic, gaps)


def _expired(topic: str, gaps: list[str]) -> str | None:
    return f"{topic} {' '.join(gaps)}: these records expired before they were read" if gaps else None
