"""Lands what a topic has: plan a batch, read it in Spark's tasks, commit its rows, and note it in the ledger.

Killed between any two of these, the next call, by whichever process, finds the planned batch that the ledger
lacks, and completes that one before any other. Each record is appended once: a batch is of the same records
whoever lands it, and the append leaves out those that the table holds, by topic, partition and offset.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.delta.table import sql_text, table_exists
from lakehouse.ingest.bronze import (
    HeldBatch,
    append_once,
    create_bronze_table,
    held_batches,
)
from lakehouse.ingest.commit import unreadable_table
from lakehouse.ingest.ledger_table import append_entries, ensure_ledger, entry_row
from lakehouse.ingest.report import IngestReport, LandedBatch, Refusal, StreamLag
from lakehouse.ingest.source import Source
from lakehouse.ingest.stream.batches import ensure_batches, offer_plan
from lakehouse.ingest.stream.declared import Stream
from lakehouse.ingest.stream.lag import Position, measured, position, stream_of
from lakehouse.ingest.stream.plan import Plan, next_plan, still_there
from lakehouse.ingest.stream.records import RECORD_COLUMNS, UNREADABLE_COLUMNS, read_records
from lakehouse.ingest.stream.topic import Topic, look_at
from lakehouse.ingest.technical import TECHNICAL_COLUMNS
from lakehouse.progress import Progress, silent

# A file of bronze has about so many rows; a task's rows are a file at least.
_ROWS_PER_FILE = 100_000
# A record is named by these.
_RECORD = {name: name for name in ("_topic_id", "_partition", "_offset")}


def create_stream_tables(spark: SparkSession, schema: str, source: Source) -> None:
    """Make the tables that a source from a topic needs, where there are none."""
    if not table_exists(spark, f"{schema}.{source.name}"):
        columns = {column.name: (column.type, column.description) for column in source.columns}
        create_bronze_table(spark, f"{schema}.{source.name}", columns | RECORD_COLUMNS, source.description)
    ensure_ledger(spark, schema)
    ensure_batches(spark, schema)


def land_stream(
    spark: SparkSession,
    source: Source,
    report: IngestReport,
    *,
    schema: str = "bronze",
    progress: Progress = silent,
) -> StreamLag:
    """Land what a topic has now, in batches of about `max_offsets_per_batch`, each exactly once.

    Args:
        report: what landed goes there; and as refused, what can no longer be read, and why.

    Returns:
        how far the source is behind afterwards, by what came meanwhile.

    Raises:
        UnreachableError: the brokers do not answer; what had landed before stays so.
        LakehouseError: there is no such topic, or it has fewer records than were read of it.
    """
    stream = stream_of(source)
    topic = look_at(stream)
    create_stream_tables(spark, schema, source)
    while (plan := _to_land(spark, source, stream, topic, schema)) is not None:
        progress(f"{source.name}: landing {plan.words}")
        _land(spark, source, stream, plan, schema, report)
    at = position(spark, schema, source)
    return measured(source, stream, look_at(stream), at.next_offset(topic))


def _to_land(spark: SparkSession, source: Source, stream: Stream, topic: Topic, schema: str) -> Plan | None:
    """The batch to land next: the one that was planned and is not in the ledger, or a new one."""
    at: Position = position(spark, schema, source)
    if at.last is not None and at.landed is None:
        return at.last
    is_whole = at.landed is None or at.landed.is_whole
    plan = next_plan(
        source.name, at.last, topic, stream.max_offsets_per_batch, source.time_zone, is_last_whole=is_whole
    )
    return None if plan is None else offer_plan(spark, schema, plan, datetime.now(UTC))


@dataclass(frozen=True)
class _Batch:
    """A planned batch while it is landed.

    Args:
        now: UTC; of this attempt.
        delivered_until: as the ledger says it; None where it completes nothing.
    """

    plan: Plan
    table: str
    now: datetime
    delivered_until: datetime | None

    @property
    def is_of_it(self) -> str:
        """SQL: rows of this batch."""
        return f"_batch_id = {sql_text(self.plan.batch_id)}"

    @property
    def is_of_its_records(self) -> str:
        """SQL: rows of these records, of whatever batch."""
        spans = " or ".join(
            f"(_partition = {part} and _offset >= {first} and _offset < {end})"
            for part, (first, end) in sorted(self.plan.unread.items())
        )
        return f"_topic_id = {sql_text(self.plan.topic_id)} and ({spans or 'false'})"


def _land(
    spark: SparkSession, source: Source, stream: Stream, plan: Plan, schema: str, report: IngestReport
) -> None:
    tells = stream.frontier == "arrival" and plan.reaches_end
    batch = _Batch(plan, f"{schema}.{source.name}", datetime.now(UTC), plan.seen_at if tells else None)
    held = held_batches(spark, batch.table, batch.is_of_it).get(plan.batch_id)
    lost: str | None = None
    # The rows are appended last: where they are, the batch is whole.
    if held is None:
        ranges, lost = still_there(plan, look_at(stream))
        if ranges:
            _append(spark, source, stream, batch, ranges)
            held = held_batches(spark, batch.table, batch.is_of_it).get(plan.batch_id)
    nothing = HeldBatch(plan.digest, batch.now, 0)
    held, aside = held or nothing, _set_aside(spark, batch).get(plan.batch_id, nothing)
    gaps = "; ".join(each for each in (plan.lost, lost) if each) or None
    row = entry_row(
        source=source.name,
        batch_id=plan.batch_id,
        day=plan.day,
        kind="delivery",
        at=held.ingested_at,
        file=plan.words,
        digest=plan.digest,
        # A batch that lost records tells nothing; the one after it begins after a gap.
        delivered_from=plan.since if batch.delivered_until and lost is None else None,
        delivered_until=batch.delivered_until if lost is None else None,
        landed_rows=held.rows,
        quarantined_rows=aside.rows,
        reason=gaps,
    )
    append_entries(spark, schema, [row])
    _report(source, batch, held, aside, gaps, report)


def _report(
    source: Source, batch: _Batch, held: HeldBatch, aside: HeldBatch, gaps: str | None, report: IngestReport
) -> None:
    plan, delivered = batch.plan, held.rows + aside.rows
    if held.ingested_at == batch.now:
        report.landed.append(LandedBatch(source.name, plan.batch_id, plan.words, held.rows, aside.rows))
    else:
        report.skipped.append(plan.batch_id)
    if gaps is not None:
        report.refused.append(Refusal(plan.topic, f"{gaps}; the frontier stays before the gap"))
    if aside.rows > source.max_bad_share * delivered:
        share = f"{aside.rows} of {delivered} records cannot be read, more than {source.max_bad_share:g}"
        report.refused.append(Refusal(plan.words, f"{share}: see {unreadable_table(batch.table)}"))


def _append(
    spark: SparkSession, source: Source, stream: Stream, batch: _Batch, ranges: Mapping[int, tuple[int, int]]
) -> None:
    """Read the records once, and append those that are no row to the quarantine, then the others."""
    try:
        records = read_records(spark, source, stream, ranges).localCheckpoint()
    except PySparkException:
        # Where the brokers went away meanwhile, that is what to say.
        look_at(stream)
        raise
    is_bad = F.col("reason").isNotNull()
    counts = {
        bool(row["bad"]): int(row["count"]) for row in records.groupBy(is_bad.alias("bad")).count().collect()
    }
    declared = [column.name for column in source.columns]
    quarantine = unreadable_table(batch.table)
    if counts.get(True):
        if not table_exists(spark, quarantine):
            about = f"Records published for {batch.table} that are no row as its source declares them."
            columns = RECORD_COLUMNS | UNREADABLE_COLUMNS
            create_bronze_table(spark, quarantine, columns, about, append_only=False)
        bad = _stamped(records.where(is_bad), batch, [*UNREADABLE_COLUMNS], counts[True])
        _append_records(spark, quarantine, bad, batch)
    if counts.get(False):
        good = _stamped(records.where(~is_bad), batch, declared, counts[False])
        if _set_aside(spark, batch):
            # Also by another attempt, of another declaration: a record is in one place.
            aside = spark.table(quarantine).where(batch.is_of_it).select(*_RECORD)
            good = good.join(aside, list(_RECORD), "left_anti").select(good.columns)
        _append_records(spark, batch.table, good, batch)


def _append_records(spark: SparkSession, table: str, rows: DataFrame, batch: _Batch) -> None:
    append_once(spark, table, rows, [batch.plan.batch_id], batch.is_of_its_records, key=_RECORD)


def _stamped(records: DataFrame, batch: _Batch, columns: list[str], count: int) -> DataFrame:
    """Records with the columns that ingestion adds, in as few files as they need."""
    values = {
        "_batch_id": F.lit(batch.plan.batch_id),
        "_ingested_at": F.lit(batch.now),
        "_source_file": F.concat(F.lit(f"{batch.plan.topic}/"), F.col("_partition").cast("string")),
        "_batch_digest": F.lit(batch.plan.digest),
        "_delivered_until": F.lit(batch.delivered_until),
    }
    return records.select(
        *columns,
        F.lit(batch.plan.topic_id).alias("_topic_id"),
        "_partition",
        "_offset",
        "_record_at",
        *(values[name].cast(sql).alias(name) for name, sql in TECHNICAL_COLUMNS.items()),
    ).coalesce(1 + count // _ROWS_PER_FILE)


def _set_aside(spark: SparkSession, batch: _Batch) -> dict[str, HeldBatch]:
    """What the quarantine holds of a batch."""
    quarantine = unreadable_table(batch.table)
    return held_batches(spark, quarantine, batch.is_of_it) if table_exists(spark, quarantine) else {}
