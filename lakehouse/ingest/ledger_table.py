"""The ledger as a table: how it is made, brought up to date, added to, and asked for the frontier."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from lakehouse.delta.table import table_exists
from lakehouse.engine.query import query
from lakehouse.engine.state import exclusive
from lakehouse.ingest.bronze import (
    append_once,
    column_types,
    create_bronze_table,
    sql_text,
)
from lakehouse.ingest.complete import Look
from lakehouse.ingest.frontier import frontier_sql
from lakehouse.ingest.periods import covering
from lakehouse.ingest.report import Frontier
from lakehouse.ingest.source import DELIVERIES, Source
from lakehouse.ingest.technical import TECHNICAL_COLUMNS
from lakehouse.ingest.types import ARROW_TYPES
from lakehouse.settings import settings

_DAYS_ONE_BY_ONE = 31

_FIRST_COLUMNS = {
    "source": ("string", "Name of the source."),
    "day": ("date", "Local day that it was delivered for."),
    "row_count": ("bigint", "How many rows it brought: landed_rows + quarantined_rows."),
}
# A ledger from before these gets them with the first ingestion.
_LATER_COLUMNS = {
    "kind": ("string", "delivery, supersede, missing or release; empty in old rows, which are deliveries."),
    "landed_rows": ("bigint", "How many of its rows landed in the source's table."),
    "quarantined_rows": ("bigint", "How many of its rows could not be read, and lie in the quarantine."),
    "supersedes": ("string", "The batch that it replaces; nobody reads the rows of that one any more."),
    "decided_by": ("string", "Who decided that it replaces another batch, or never comes."),
    "reason": ("string", "Why that was decided."),
    "file_size": ("bigint", "Bytes of the file when it was read."),
    "file_modified_ns": ("bigint", "When the file had last been changed then, in nanoseconds since 1970."),
    "watermark": ("string", "Of a load from a database: up to which watermark it read."),
    "_delivered_from": ("timestamp", "From when on the source has told everything, until _delivered_until."),
}
_COLUMNS = _FIRST_COLUMNS | _LATER_COLUMNS
_COMMENT = "Every delivery that landed, and what people decided about deliveries, one per row."
_ADDS_UP = {"rows_add_up": "landed_rows is null or row_count = landed_rows + quarantined_rows"}


def ensure_ledger(spark: SparkSession, schema: str) -> None:
    """Make the ledger where there is none, and give an older one the columns that it lacks."""
    name = f"{schema}.{DELIVERIES}"
    if not table_exists(spark, name):
        create_bronze_table(spark, name, _COLUMNS, _COMMENT, constraints=_ADDS_UP)
        return
    if not _lacking(spark, name):
        return
    with exclusive(settings().engine_dir / "create.lock"):
        lacking = _lacking(spark, name)
        columns = ", ".join(
            f"{column} {sql} comment {sql_text(about)}" for column, (sql, about) in lacking.items()
        )
        if lacking:
            spark.sql(f"alter table {name} add columns ({columns})")
            # A ledger that has the columns has the rule about them.
            for rule, condition in _ADDS_UP.items() if "landed_rows" in lacking else ():
                spark.sql(f"alter table {name} add constraint {rule} check ({condition})")


def _lacking(spark: SparkSession, name: str) -> dict[str, tuple[str, str]]:
    there = column_types(spark, name)
    return {column: about for column, about in _LATER_COLUMNS.items() if column not in there}


def entry_row(
    *,
    source: str,
    batch_id: str,
    day: date,
    kind: str | None,
    at: datetime,
    file: str | None = None,
    digest: str | None = None,
    delivered_from: datetime | None = None,
    delivered_until: datetime | None = None,
    landed_rows: int = 0,
    quarantined_rows: int = 0,
    supersedes: str | None = None,
    decided_by: str | None = None,
    reason: str | None = None,
    seen: Look | None = None,
    watermark: str | None = None,
) -> pa.Table:
    """One row of the ledger."""
    values: dict[str, object] = {
        "source": source,
        "day": day,
        "row_count": landed_rows + quarantined_rows,
        "kind": kind,
        "landed_rows": landed_rows,
        "quarantined_rows": quarantined_rows,
        "_delivered_from": delivered_from,
        "_batch_id": batch_id,
        "_ingested_at": at,
        "_source_file": file,
        "_batch_digest": digest,
        "_delivered_until": delivered_until,
        "supersedes": supersedes,
        "decided_by": decided_by,
        "reason": reason,
        "file_size": seen and seen.size,
        "file_modified_ns": seen and seen.modified_ns,
        "watermark": watermark,
    }
    types = {column: sql for column, (sql, _) in _COLUMNS.items()} | TECHNICAL_COLUMNS
    return pa.table(
        {column: pa.array([values.get(column)], ARROW_TYPES[sql]) for column, sql in types.items()}
    )


def append_entries(spark: SparkSession, schema: str, rows: Sequence[pa.Table]) -> None:
    """Add rows to the ledger, in one commit: of each batch one of a kind, the first one offered."""
    if not rows:
        return
    table = pa.concat_tables(rows)
    days = _on_days(table.column("day").to_pylist())
    key = {"_batch_id": "_batch_id", "kind": "coalesce(kind, 'delivery')"}
    batches = table.column("_batch_id").unique().to_pylist()
    append_once(spark, f"{schema}.{DELIVERIES}", spark.createDataFrame(table), batches, days, key=key)


def frontiers(
    spark: SparkSession, schema: str, sources: Iterable[Source], declared: Mapping[str, Source]
) -> list[Frontier]:
    """Until when each source that delivers periods has told everything."""
    names = [source.name for source in sources if source.arrives != "snapshot"]
    if not names:
        return []
    found = query(spark, frontier_sql(f"{schema}.{DELIVERIES}", names, declared)).toArrow().to_pylist()
    by_name = {row["source"]: row for row in found}
    return [_frontier(by_name[name], declared[name].time_zone) for name in names]


def _frontier(row: Mapping[str, Any], zone: str) -> Frontier:
    until, first, end = (_utc(row[column]) for column in ("delivered_until", "gap_from", "gap_until"))
    return Frontier(row["source"], until, first, end, covering(first, end, zone) if first and end else None)


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.astimezone(UTC)


def _on_days(days: Iterable[date]) -> str:
    """A condition by which Delta skips the files of other days, as it hardly does for `in`."""
    distinct = sorted(set(days))
    if len(distinct) > _DAYS_ONE_BY_ONE:
        return f"day between date'{distinct[0]}' and date'{distinct[-1]}'"
    return " or ".join(f"day = date'{day}'" for day in distinct) or "false"
