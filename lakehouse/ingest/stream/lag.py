"""How far a source is behind its topic: how many records have not landed, and how old the oldest is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from lakehouse.errors import LakehouseError
from lakehouse.ingest.report import StreamLag
from lakehouse.ingest.source import Source
from lakehouse.ingest.stream.batches import Landed, ensure_batches, landed, last_plan
from lakehouse.ingest.stream.declared import Stream
from lakehouse.ingest.stream.plan import Plan
from lakehouse.ingest.stream.topic import Topic, look_at, oldest_record_at


@dataclass(frozen=True)
class Position:
    """Until where a source has landed its topic.

    Args:
        last: its newest batch; None before the first.
        landed: what the ledger says of that one; None where it is not there.
    """

    last: Plan | None
    landed: Landed | None

    def next_offset(self, topic: Topic) -> dict[int, int]:
        """The first offset that has not landed, per partition, of those that are still there."""
        if self.last is None or self.last.topic_id != topic.topic_id:
            return dict(topic.first)
        at = {part: span[1 if self.landed else 0] for part, span in self.last.offsets.items()}
        return {part: max(first, at.get(part, 0)) for part, first in topic.first.items()}


def stream_of(source: Source) -> Stream:
    """The topic that a source is declared to come from.

    Raises:
        LakehouseError: it comes from elsewhere.
    """
    if source.stream is None:
        raise LakehouseError(
            f"{source.name} does not come from a topic", f"sources/{source.name}.yml has no section `stream`"
        )
    return source.stream


def position(spark: SparkSession, schema: str, source: Source) -> Position:
    """Until where a source has landed its topic, as bronze says."""
    last = last_plan(spark, schema, source.name)
    return Position(last, landed(spark, schema, last.batch_id) if last else None)


def lag(spark: SparkSession, source: Source, *, schema: str = "bronze") -> StreamLag:
    """Ask how far a source is behind its topic; nothing is landed.

    Raises:
        LakehouseError: the brokers do not answer, or there is no such topic.
    """
    stream = stream_of(source)
    ensure_batches(spark, schema)
    topic = look_at(stream)
    return measured(source, stream, topic, position(spark, schema, source).next_offset(topic))


def measured(source: Source, stream: Stream, topic: Topic, next_offset: Mapping[int, int]) -> StreamLag:
    """The lag of a topic of which everything before some offsets has landed."""
    behind = {part: at for part, at in next_offset.items() if topic.end[part] > at}
    rows = sum(topic.end[part] - at for part, at in behind.items())
    oldest = oldest_record_at(stream, behind) if behind else None
    minutes = None if oldest is None else max(0.0, (datetime.now(UTC) - oldest).total_seconds() / 60)
    return StreamLag(source.name, stream.topic, rows, minutes, _alert(stream, rows, minutes))


def _alert(stream: Stream, rows: int, minutes: float | None) -> str | None:
    said: list[str] = []
    if stream.lag_alert_rows is not None and rows > stream.lag_alert_rows:
        said.append(f"{rows} records are unread, more than {stream.lag_alert_rows}")
    if stream.lag_alert_minutes is not None and minutes is not None and minutes > stream.lag_alert_minutes:
        said.append(f"the oldest is {minutes:.1f} minutes old, more than {stream.lag_alert_minutes:g}")
    return "; ".join(said) or None
