"""Lands one load of a database source: read once, checked, and then in bronze as a whole or not at all.

The rows are written to a schema of their own first. A connection that is lost on the way leaves nothing
anywhere else, and what is counted, hashed and landed is the same rows, which a second reading would not be.
Then they land as other deliveries do: unreadable rows, the others, the ledger. What dies between two of these
is completed by the next call: rows in bronze that the ledger does not know are a whole load, and rows in
quarantine alone are of one that never landed.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.delta.table import sql_text
from lakehouse.engine.state import exclusive
from lakehouse.ingest.bronze import HeldBatch, append_once, held_batches
from lakehouse.ingest.commit import unreadable_table
from lakehouse.ingest.database.connect import DatabaseError, connection
from lakehouse.ingest.database.entries import complete_dead_loads, last_load, load_row
from lakehouse.ingest.database.plan import (
    batch_id,
    is_load_after,
    local_day,
    mark_text,
    parse_mark,
    window,
)
from lakehouse.ingest.database.read import Newest, Table
from lakehouse.ingest.database.stage import Load, Offered, offered, stage, staging
from lakehouse.ingest.ledger import Entry, read_entries
from lakehouse.ingest.ledger_table import append_entries
from lakehouse.ingest.report import IngestReport, LandedBatch, Refusal
from lakehouse.ingest.source import Source
from lakehouse.progress import Progress, silent
from lakehouse.settings import settings

# Of several processes that load a source at once one lands, and the others look again at what is left.
_ATTEMPTS = 5


def load(
    spark: SparkSession,
    source: Source,
    report: IngestReport,
    *,
    schema: str = "bronze",
    until: datetime | None = None,
    progress: Progress = silent,
) -> None:
    """Land what a database has and bronze does not.

    Args:
        report: what landed, or why nothing did, goes there.
        schema: of the bronze table and the ledger, which exist.
        until: leave what the watermark dates to this instant (UTC) or later.
    """
    database = source.database
    assert database is not None, f"{source.name} reads no database"  # noqa: S101 - asked by the caller
    with exclusive(settings().engine_dir / f"load-{schema}-{source.name}.lock"):
        try:
            asked = connection(source.name, database)
            for _ in range(_ATTEMPTS):
                if _attempt(spark, Table(spark, source, asked), report, schema, until, progress):
                    return
            raise DatabaseError(
                f"{source.name}: others loaded it during all of {_ATTEMPTS} attempts", "run it again"
            )
        except DatabaseError as error:
            report.refused.append(Refusal(source.name, str(error).replace("\n  → ", ": ")))


def _attempt(
    spark: SparkSession,
    table: Table,
    report: IngestReport,
    schema: str,
    until: datetime | None,
    progress: Progress,
) -> bool:
    """Try one load; False where another process landed one meanwhile."""
    source, database = table.source, table.database
    complete_dead_loads(spark, source, schema, report)
    previous = last_load(source.name, read_entries(schema, spark))
    newest = table.newest() if database.watermark else None
    planned = plan_load(table, previous, newest, until)
    if planned.window is None and planned.compared_at is None and database.watermark:
        return True
    with staging(spark, schema, source.name) as save:
        progress(f"{source.name}: reading {table.label}{f', {planned.window}' if planned.window else ''}")
        new = offered(spark, table, planned, stage(table, planned, save), schema, save)
        return _land(spark, table, planned, new, report, schema, progress)


def plan_load(table: Table, previous: Entry | None, newest: Newest | None, until: datetime | None) -> Load:
    """What the next load of a source reads.

    Args:
        previous: the load before it.
        newest: what the database says now; None of a snapshot.
        until: leave what the watermark dates to this instant (UTC) or later.

    Raises:
        DatabaseError: the watermark is of another kind than it was.
    """
    source, database = table.source, table.database
    at = datetime.now(UTC)
    last = parse_mark(previous.watermark) if previous and previous.watermark else None
    asked = None
    if newest is not None:
        try:
            asked = window(
                last, newest.mark, now=newest.now, lag=database.lag, overlap=database.overlap, until=until
            )
        except TypeError as error:
            raise DatabaseError(
                f"{source.name}: {error}", "bring back the watermark it had, or give the source another name"
            ) from None
    upto = asked.upto if asked else last
    compares = database.deletes and newest and (until is None or newest.now < until)
    tells = upto if isinstance(upto, datetime) else at
    name = batch_id(
        source.name, local_day(tells, source.time_zone), at, previous.batch_id if previous else None
    )
    return Load(name, at, asked, upto, previous, newest.now if newest and compares else None)


def _land(
    spark: SparkSession,
    table: Table,
    planned: Load,
    new: Offered,
    report: IngestReport,
    schema: str,
    progress: Progress,
) -> bool:
    source, previous = table.source, planned.previous
    bronze = f"{schema}.{source.name}"
    good, bad = new.content.row_count, new.bad_rows
    if table.database.watermark is None:
        check_snapshot(table, good + bad)
        if previous is not None and bad == 0 and previous.digest == new.content.rows:
            report.skipped.append(previous.batch_id)
            return True
    if bad > source.max_bad_share * (good + bad):
        first = new.bad.agg(F.min("reason")).collect()[0][0]
        raise DatabaseError(
            f"{source.name}: {bad} of the {good + bad} new rows of {table.label} cannot land, one as {first}",
            f"more than max_bad_share ({100 * source.max_bad_share:g}%): nothing of it landed",
        )
    upto = None if planned.upto is None else mark_text(planned.upto)
    if good + bad == 0 and (upto is None or (previous is not None and previous.watermark == upto)):
        return True
    progress(f"{source.name}: landing {good + bad} rows")

    def stamped(rows: DataFrame) -> DataFrame:
        return _stamped(rows, planned, table.label, new.content.rows)

    this = f"_batch_id = {sql_text(planned.batch_id)}"
    quarantine = unreadable_table(bronze)
    raw = stamped(new.bad.withColumn("line_number", F.lit(None).cast("bigint")))
    if bad:
        append_once(spark, quarantine, raw, [planned.batch_id], this)
    if good:
        # Whoever has landed a load since this one was planned keeps all of this one out.
        append_once(
            spark,
            bronze,
            stamped(new.good),
            [planned.batch_id],
            is_load_after(source.name, previous.batch_id if previous else None),
            key={"_source_file": sql_text(table.label)},
        )
    held = held_batches(spark, bronze, this)
    if good and planned.batch_id not in held:
        if bad:
            spark.sql(f"delete from {quarantine} where {this}")
        return False
    landed = _rows_of(held, planned)
    quarantined = _rows_of(held_batches(spark, quarantine, this), planned) if bad else 0
    if quarantined < bad:
        # Another machine took them for those of a dead load: their batch was not in bronze then, and now is.
        append_once(spark, quarantine, raw, [planned.batch_id], this)
        quarantined = _rows_of(held_batches(spark, quarantine, this), planned)
    entry = load_row(
        source.name,
        planned.batch_id,
        label=table.label,
        digest=new.content.rows,
        at=planned.at,
        upto=planned.upto,
        previous=previous,
        landed=landed,
        quarantined=quarantined,
    )
    append_entries(spark, schema, [entry])
    read = _said(table, planned, new)
    report.landed.append(
        LandedBatch(source.name, planned.batch_id, table.label, landed, quarantined, read=read)
    )
    return True


def _rows_of(held: Mapping[str, HeldBatch], planned: Load) -> int:
    return held[planned.batch_id].rows if planned.batch_id in held else 0


def _said(table: Table, planned: Load, new: Offered) -> str:
    """What a load read, for people."""
    what = f"{table.database.watermark} {planned.window}" if planned.window else "nothing newer"
    read = what if table.database.watermark else "all of it"
    return f"{read}; {new.deleted_rows} rows are gone" if table.database.deletes else read


def check_snapshot(table: Table, rows: int) -> None:
    """Refuse a snapshot of fewer rows than declared.

    Raises:
        DatabaseError: it has fewer.
    """
    source = table.source
    if rows < source.min_rows.day and not (rows == 0 and source.may_be_empty):
        raise DatabaseError(
            f"{source.name}: {table.label} has {rows or 'no'} rows, but its declaration asks for at least "
            f"{source.min_rows.day}",
            "look at the table; if that is all there is, change min_rows or may_be_empty",
        )


def _stamped(rows: DataFrame, planned: Load, label: str, digest: str) -> DataFrame:
    """Rows with the columns that ingestion adds."""
    until = planned.upto if isinstance(planned.upto, datetime) else None
    return rows.withColumns(
        {
            "_batch_id": F.lit(planned.batch_id),
            "_ingested_at": F.lit(planned.at),
            "_source_file": F.lit(label),
            "_batch_digest": F.lit(digest),
            "_delivered_until": F.lit(until).cast("timestamp"),
        }
    )
