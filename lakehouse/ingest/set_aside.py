"""What lies in the quarantine of unreadable rows, batch by batch and row by row."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.delta.table import sql_text, table_exists
from lakehouse.engine.query import query
from lakehouse.ingest.commit import unreadable_table
from lakehouse.ingest.delivery import released_id
from lakehouse.ingest.ledger import Ledger
from lakehouse.ingest.source import UNREADABLE


@dataclass(frozen=True)
class SetAside:
    """The rows of one batch that were set aside.

    Args:
        kind: unreadable; or rule, of rows that break a gate's rule.
        rows: how many.
        reason: the most frequent one, without the values; of rules, their names.
        released: how many of them came in after all, by whom and why; None where nobody released them.
    """

    source: str
    kind: str
    batch_id: str
    rows: int
    reason: str
    released: str | None = None


@dataclass(frozen=True)
class RowAside:
    """A row that was set aside.

    Args:
        place: its line in the file; partition and offset in a topic.
        raw: as it was delivered; of a row that breaks a rule, as JSON.
    """

    batch_id: str
    kind: str
    place: str | None
    reason: str
    raw: str | None


def tables(spark: SparkSession, schema: str = "bronze") -> list[str]:
    """The names of the tables in the quarantine's schema."""
    name = f"{schema}_quarantine"
    if not spark.catalog.databaseExists(name):
        return []
    # Spark lists the temporary views of the session, too.
    found = spark.sql(f"show tables in {name}").where("not isTemporary")
    return sorted(row["tableName"] for row in found.collect())


def unreadable(
    spark: SparkSession, ledger: Ledger, source: str | None = None, schema: str = "bronze"
) -> list[SetAside]:
    """The batches that have unreadable rows, by source and batch.

    Args:
        source: only that one's.
    """
    sources = [each.removesuffix(UNREADABLE) for each in tables(spark, schema) if each.endswith(UNREADABLE)]
    return [
        each
        for name in sources
        if source in (None, name)
        for each in _batches(spark, name, unreadable_table(f"{schema}.{name}"), ledger)
    ]


def _batches(spark: SparkSession, source: str, table: str, ledger: Ledger) -> Iterable[SetAside]:
    # Without the values, reasons of one kind are one.
    rows = query(
        spark,
        f"""
        select _batch_id, sum(row_count) as row_count, max_by(reason, row_count) as reason
        from (
            select _batch_id, regexp_replace(reason, "'[^']*'", "'…'") as reason, count(*) as row_count
            from {table}
            group by all
        )
        group by _batch_id
        order by _batch_id
        """,
    ).toArrow()
    for row in rows.to_pylist():
        batch_id = row["_batch_id"]
        yield SetAside(
            source, "unreadable", batch_id, row["row_count"], row["reason"], _released(batch_id, ledger)
        )


def _released(batch_id: str, ledger: Ledger) -> str | None:
    decision = ledger.released(batch_id)
    if decision is None:
        return None
    landed = ledger.landed(released_id(batch_id))
    rows = "they have not landed yet" if landed is None else f"{landed.row_count} rows"
    return f"{rows}, by {decision.decided_by}: {decision.reason}"


def unreadable_rows(
    spark: SparkSession, source: str, batch_id: str | None, limit: int, schema: str = "bronze"
) -> list[RowAside]:
    """The first unreadable rows of a source.

    Args:
        batch_id: only that one's.
        limit: at most so many.
    """
    table = unreadable_table(f"{schema}.{source}")
    if not table_exists(spark, table):
        return []
    rows = spark.table(table).where("true" if batch_id is None else f"_batch_id = {sql_text(batch_id)}")
    order = ["line_number"] if "line_number" in rows.columns else ["_partition", "_offset"]
    place = F.concat_ws(":", *order).alias("place")
    first = rows.orderBy("_batch_id", *order).limit(limit).select("_batch_id", place, "reason", "raw")
    found: list[dict[str, Any]] = first.toArrow().to_pylist()
    return [
        RowAside(row["_batch_id"], "unreadable", row["place"], row["reason"], row["raw"]) for row in found
    ]
