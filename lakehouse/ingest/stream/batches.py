"""The table of planned batches, `bronze.stream_batches`: a batch is there before any record of it is read.

A number of a source's batches is given once. Of two processes that plan the same one at the same time one
commits; both then land what that one planned. So which records a batch has is known whoever lands it, and how
often it is tried.
"""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakehouse.delta.table import local_folder, sql_text, table_exists
from lakehouse.engine.query import query
from lakehouse.ingest.bronze import append_once, create_bronze_table
from lakehouse.ingest.source import DELIVERIES, STREAM_BATCHES
from lakehouse.ingest.stream.plan import Plan
from lakehouse.ingest.technical import TECHNICAL_COLUMNS
from lakehouse.ingest.types import ARROW_TYPES

_COLUMNS = {
    "source": ("string", "Name of the source."),
    "sequence": ("bigint", "Which batch of the source it is, from 1."),
    "day": ("date", "The source's local day on which it was planned."),
    "topic": ("string", "The topic."),
    "topic_id": ("string", "Kafka's id of the topic, which one that was recreated does not keep."),
    "offsets": ("string", 'First offset and the one after the last, per partition: {"0": [100, 200]}.'),
    "seen_at": ("timestamp", "When the brokers were asked how far the topic goes."),
    "reaches_end": ("boolean", "Whether it has all that the topic had then and no earlier batch has."),
    "since": ("timestamp", "With it and those before it the source has told everything from then on."),
    "lost": ("string", "Records before it that nobody can read any more."),
}
_COMMENT = "Every batch of every topic, planned before it is read, one per row."


def ensure_batches(spark: SparkSession, schema: str) -> None:
    """Make the table where there is none."""
    if not table_exists(spark, f"{schema}.{STREAM_BATCHES}"):
        create_bronze_table(spark, f"{schema}.{STREAM_BATCHES}", _COLUMNS, _COMMENT)


def last_plan(spark: SparkSession, schema: str, source: str, after: int = 0) -> Plan | None:
    """The newest batch of a source; None where there is none yet.

    Args:
        after: only batches with a higher number; files of others are not read.
    """
    found = _rows(
        spark, f"{schema}.{STREAM_BATCHES}", list(_COLUMNS), [("source", source)], ("sequence", after)
    )
    return _plan(max(found, key=lambda row: row["sequence"])) if found else None


def offer_plan(spark: SparkSession, schema: str, plan: Plan, now: datetime) -> Plan:
    """Add a batch, unless another process was first; returns what the batch of this number is then."""
    name = f"{schema}.{STREAM_BATCHES}"
    values: dict[str, object] = {
        "source": plan.source,
        "sequence": plan.sequence,
        "day": plan.day,
        "topic": plan.topic,
        "topic_id": plan.topic_id,
        "offsets": json.dumps({str(part): list(ends) for part, ends in sorted(plan.offsets.items())}),
        "seen_at": plan.seen_at,
        "reaches_end": plan.reaches_end,
        "since": plan.since,
        "lost": plan.lost,
        "_batch_id": plan.batch_id,
        "_ingested_at": now,
        "_source_file": plan.topic,
        "_batch_digest": plan.digest,
    }
    types = {column: sql for column, (sql, _) in _COLUMNS.items()} | TECHNICAL_COLUMNS
    row = pa.table({name: pa.array([values.get(name)], ARROW_TYPES[sql]) for name, sql in types.items()})
    key = {"source": "source", "sequence": "sequence"}
    among = f"source = {sql_text(plan.source)} and sequence = {plan.sequence}"
    append_once(spark, name, spark.createDataFrame(row), [plan.batch_id], among, key=key)
    agreed = last_plan(spark, schema, plan.source, plan.sequence - 1)
    assert agreed is not None, f"{plan.batch_id} is not in {name}"  # noqa: S101 - it was appended
    return agreed


@dataclass(frozen=True)
class Landed:
    """What the ledger says of a batch: whether all of its records could be read."""

    is_whole: bool


def landed(spark: SparkSession, schema: str, batch_id: str) -> Landed | None:
    """What the ledger says of a batch that landed; None where it did not."""
    name = f"{schema}.{DELIVERIES}"
    found = _rows(spark, name, ["reason"], [("_batch_id", batch_id), ("kind", "delivery")])
    return Landed(found[0]["reason"] is None) if found else None


def _rows(
    spark: SparkSession,
    name: str,
    columns: Sequence[str],
    equal: Sequence[tuple[str, str]],
    above: tuple[str, int] | None = None,
) -> list[dict[str, Any]]:
    """Rows of a small table, without Spark where it lies in this machine's warehouse."""
    folder = local_folder(name)
    if folder is not None:
        condition = ds.scalar(True)
        for column, value in equal:
            condition = condition & (ds.field(column) == value)
        if above is not None:
            condition = condition & (ds.field(above[0]) > above[1])
        rows = DeltaTable(folder).to_pyarrow_dataset().to_table(columns=list(columns), filter=condition)
    else:
        texts = [f"{column} = {sql_text(value)}" for column, value in equal]
        if above is not None:
            texts.append(f"{above[0]} > {above[1]}")
        rows = query(spark, f"select {', '.join(columns)} from {name} where {' and '.join(texts)}").toArrow()
    return rows.to_pylist()


def _plan(row: dict[str, Any]) -> Plan:
    offsets = json.loads(row["offsets"])
    return Plan(
        source=row["source"],
        sequence=row["sequence"],
        day=row["day"],
        topic=row["topic"],
        topic_id=row["topic_id"],
        offsets={int(part): (first, end) for part, (first, end) in offsets.items()},
        seen_at=row["seen_at"].astimezone(UTC),
        reaches_end=row["reaches_end"],
        since=row["since"].astimezone(UTC),
        lost=row["lost"],
    )
