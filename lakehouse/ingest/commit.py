"""Commits batches: unreadable rows, then the others, then the ledger's; each once, however often tried.

A process that dies between two of these leaves rows that the ledger does not know. The next call offers the
batch again: what is there is kept, what lacks is added, and the ledger's row is written when all is there.
"""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.delta.table import sql_text, table_exists
from lakehouse.ingest.bronze import (
    HeldBatch,
    append_once,
    column_types,
    create_bronze_table,
    held_batches,
)
from lakehouse.ingest.ledger_table import entry_row
from lakehouse.ingest.report import IngestReport, LandedBatch, Refusal
from lakehouse.ingest.source import UNREADABLE, Source
from lakehouse.ingest.take import Batch, settle, supersede_command
from lakehouse.ingest.technical import QUARANTINE_COLUMNS


def unreadable_table(table: str) -> str:
    """Where the rows of a bronze table's deliveries go that cannot be read.

    >>> unreadable_table("bronze.flight_actuals")
    'bronze_quarantine.flight_actuals_unreadable'
    """
    schema, _, name = table.partition(".")
    return f"{schema}_quarantine.{name}{UNREADABLE}"


def ensure_quarantine(spark: SparkSession, table: str) -> str:
    """Make the table of a bronze table's unreadable rows where it lacks; returns its name."""
    name = unreadable_table(table)
    if not table_exists(spark, name):
        about = f"Rows delivered for {table} that cannot be read as its source declares them."
        create_bronze_table(spark, name, QUARANTINE_COLUMNS, about, append_only=False)
    return name


def commit(
    spark: SparkSession,
    schema: str,
    source: Source,
    group: Sequence[Batch],
    staging: str,
    now: datetime,
    report: IngestReport,
) -> list[pa.Table]:
    """Append a group of batches, in one commit per table.

    Args:
        schema: of bronze.
        staging: where the rows of these batches, and of refused ones, are staged.
        now: the instant of this ingestion; a batch with another one landed before.
        report: what landed, what had landed before, and what was refused goes there.

    Returns:
        the ledger's rows of the batches that are whole now.
    """
    if not group:
        return []
    table = f"{schema}.{source.name}"
    batch_ids = [batch.batch_id for batch in group]
    offered = f"_batch_id between {sql_text(min(batch_ids))} and {sql_text(max(batch_ids))}"
    set_aside = _set_aside(spark, table, group, staging, offered)
    landed: dict[str, HeldBatch] = {}
    if any(batch.rows for batch in group):
        replaced = {batch_id for batch in group for batch_id in batch.replaced}
        declared = {column.name: column.type for column in source.columns}
        columns: dict[str, str] = column_types(spark, table) | declared
        for batch in group:
            columns |= batch.new_columns
        files = frozenset[str]().union(*(batch.staged for batch in group))
        rows = _staged(spark, staging, files, columns, group)
        append_once(spark, table, rows, batch_ids, offered, also_changed=replaced)
        landed = held_batches(spark, table, offered)
    recorded: list[pa.Table] = []
    for batch in group:
        # A batch without rows leaves no trace in its table: the ledger is where it lands.
        held = landed.get(batch.batch_id, HeldBatch(batch.digest, now, 0))
        aside = set_aside.get(batch.batch_id, HeldBatch(batch.digest, now, 0))
        if held.digest != batch.digest:
            settle(batch.batch_id, batch.file, batch.digest, held.digest, held.ingested_at, report)
        elif aside.digest != batch.digest or held.rows + aside.rows != batch.delivered:
            report.refused.append(Refusal(batch.file, _do_not_add_up(table, batch, held, aside)))
        else:
            if held.ingested_at == now:
                report.landed.append(_landed(batch, held.rows, aside.rows))
            else:
                report.skipped.append(batch.batch_id)
            recorded.append(_entry(batch, held, aside))
    return recorded


def _set_aside(
    spark: SparkSession, table: str, group: Sequence[Batch], staging: str, offered: str
) -> dict[str, HeldBatch]:
    """Bring the unreadable rows of a group into quarantine; returns what it holds of each batch then."""
    name = unreadable_table(table)
    unreadable = [batch for batch in group if batch.unreadable]
    if not table_exists(spark, name):
        if not unreadable:
            return {}
        ensure_quarantine(spark, table)
    held = held_batches(spark, name, offered)
    stale = [batch for batch in group if batch.batch_id in held and not _is_of(batch, held[batch.batch_id])]
    if stale:
        # Left by a call that died before the other rows landed; the file or its declaration changed since.
        landed = held_batches(spark, table, offered)
        dead = [batch.batch_id for batch in stale if batch.batch_id not in landed]
        if dead:
            spark.sql(f"delete from {name} where _batch_id in ({', '.join(map(sql_text, dead))})")
    elif not unreadable:
        return held
    if unreadable:
        files = frozenset[str]().union(*(batch.set_aside for batch in unreadable))
        rows = _staged(spark, staging, files, column_types(spark, name), unreadable)
        append_once(spark, name, rows, [batch.batch_id for batch in unreadable], offered)
    return held_batches(spark, name, offered)


def _staged(
    spark: SparkSession,
    staging: str,
    files: Iterable[str],
    columns: Mapping[str, str],
    batches: Sequence[Batch],
) -> DataFrame:
    """The staged rows of some batches: beside them lie those of batches that were refused after all.

    A part of a folder was staged with a digest of its own; its rows get that of the batch.
    """
    declared = ", ".join(f"`{name}` {sql}" for name, sql in columns.items())
    rows = spark.read.schema(declared).parquet(*(f"{staging}/{file}" for file in sorted(files)))
    digests = pa.table(
        {"_batch_id": [each.batch_id for each in batches], "digest": [each.digest for each in batches]}
    )
    known = F.broadcast(spark.createDataFrame(digests))
    return rows.join(known, "_batch_id").withColumn("_batch_digest", F.col("digest")).select(*columns)


def _is_of(batch: Batch, held: HeldBatch) -> bool:
    return (held.digest, held.rows) == (batch.digest, batch.unreadable)


def _landed(batch: Batch, rows: int, quarantined: int) -> LandedBatch:
    supersedes = batch.decision.supersedes if batch.decision else None
    return LandedBatch(batch.delivery.source, batch.batch_id, batch.file, rows, quarantined, supersedes)


def _entry(batch: Batch, held: HeldBatch, aside: HeldBatch) -> pa.Table:
    decision = batch.decision
    return entry_row(
        source=batch.delivery.source,
        batch_id=batch.batch_id,
        day=batch.delivery.day,
        kind="delivery",
        at=held.ingested_at,
        file=batch.file,
        digest=batch.digest,
        delivered_from=batch.delivery.delivered_from,
        delivered_until=batch.delivery.delivered_until,
        landed_rows=held.rows,
        quarantined_rows=aside.rows,
        supersedes=decision.supersedes if decision else None,
        decided_by=decision.decided_by if decision else None,
        reason=decision.reason if decision else None,
        seen=batch.seen,
    )


def _do_not_add_up(table: str, batch: Batch, held: HeldBatch, aside: HeldBatch) -> str:
    return (
        f"it has {batch.delivered} rows, but {held.rows} of batch {batch.batch_id} are in {table} "
        f"and {aside.rows} in {unreadable_table(table)}: an ingestion of it was interrupted, and its file or "
        f"declaration changed since; replace it: {supersede_command(batch.delivery.batch_id)}"
    )
