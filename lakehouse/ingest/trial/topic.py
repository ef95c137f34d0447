"""Tries a source that comes from a topic: how far it is behind, and the first records that are unread."""

import dataclasses

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.delta.table import table_exists
from lakehouse.ingest.source import STREAM_BATCHES, Source
from lakehouse.ingest.stream.lag import Position, measured, position, stream_of
from lakehouse.ingest.stream.records import read_records
from lakehouse.ingest.stream.topic import Topic, look_at
from lakehouse.ingest.trial.files import SHOWN_OF_RAW
from lakehouse.ingest.trial.report import Trial, UnreadableRow

# So many records of each partition are looked at, at most.
LOOKED_AT = 1_000


def try_topic(spark: SparkSession, source: Source, rows: int, schema: str = "bronze") -> Trial:
    """Try a topic; nothing is planned, and no position moves.

    Args:
        rows: at most so many of each kind are shown.

    Raises:
        LakehouseError: the brokers do not answer, or there is no such topic.
    """
    stream = stream_of(source)
    topic = look_at(stream)
    is_known = table_exists(spark, f"{schema}.{STREAM_BATCHES}")
    at = (position(spark, schema, source) if is_known else Position(None, None)).next_offset(topic)
    lag = measured(source, stream, topic, at)
    trial = Trial(source.name, f"topic {stream.topic}", is_all=False, would_read=lag.rows_behind)
    if lag.alert:
        trial.notes.append(f"ALERT: {lag.alert}")
    ranges = unread(topic, at)
    trial.notes.append("next offsets: " + " ".join(f"{part}:{offset}" for part, offset in sorted(at.items())))
    if not ranges:
        # What landed says as well how records look.
        ranges = last(topic)
        trial.notes.append("nothing is unread: these are the last records")
    if not ranges:
        return trial
    records = read_records(spark, source, stream, ranges)
    looked, bad = records.select(F.count(F.lit(1)), F.count("reason")).collect()[0]
    if bad > source.max_bad_share * looked:
        share = f"{bad} of {looked} records cannot be read, more than {source.max_bad_share:g}"
        trial.refused.append(f"{share}: the others land, and these go to the quarantine")
    names = [column.name for column in source.columns]
    good = records.where("reason is null").select(names)
    odd = records.where("reason is not null").select(
        F.concat_ws(":", "_partition", "_offset").alias("place"),
        "reason",
        F.substring("raw", 1, SHOWN_OF_RAW).alias("raw"),
    )
    return dataclasses.replace(
        trial,
        rows=looked - bad,
        unreadable=bad,
        is_all=looked == lag.rows_behind,
        sample=good.limit(rows).toArrow().to_pylist(),
        unreadable_rows=[
            UnreadableRow(row["place"], row["reason"], row["raw"])
            for row in odd.limit(rows).toArrow().to_pylist()
        ],
    )


def unread(topic: Topic, at: dict[int, int]) -> dict[int, tuple[int, int]]:
    """The first unread records of each partition."""
    return {
        part: (start, min(topic.end[part], start + LOOKED_AT))
        for part, start in at.items()
        if topic.end[part] > start
    }


def last(topic: Topic) -> dict[int, tuple[int, int]]:
    """The last records of each partition."""
    return {
        part: (max(topic.first[part], end - LOOKED_AT), end)
        for part, end in topic.end.items()
        if end > topic.first[part]
    }
