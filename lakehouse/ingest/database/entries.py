"""Loads in the ledger: the newest one, the row of a new one, and those that died before they had theirs."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from lakehouse.delta.table import sql_text, table_exists
from lakehouse.engine.query import query
from lakehouse.ingest.bronze import held_batches
from lakehouse.ingest.commit import unreadable_table
from lakehouse.ingest.database.plan import Mark, is_load_after, last_of, loaded, mark_text
from lakehouse.ingest.ledger import Entry, read_entries
from lakehouse.ingest.ledger_table import append_entries, entry_row
from lakehouse.ingest.report import IngestReport
from lakehouse.ingest.source import Source

# The first load of a source has told everything from the beginning.
_BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)


def last_load(source: str, entries: Iterable[Entry]) -> Entry | None:
    """The ledger's newest load of a source from its database."""
    loads = {
        entry.batch_id: entry for entry in entries if entry.source == source and entry.kind == "delivery"
    }
    newest = last_of(source, list(loads))
    return None if newest is None else loads[newest]


def load_row(
    source: str,
    batch_id: str,
    *,
    label: str,
    digest: str | None,
    at: datetime,
    upto: Mark | None,
    previous: Entry | None,
    landed: int,
    quarantined: int,
) -> pa.Table:  # pyright: ignore[reportUnknownParameterType]
    """The ledger's row of a load.

    Args:
        label: where its rows come from.
        upto: the watermark up to which it read; None of a snapshot.
        previous: the load before it.
    """
    told = loaded(source, batch_id)
    assert told is not None, f"{batch_id} is not the name of a load"  # noqa: S101 - made by `plan.batch_id`
    until = upto if isinstance(upto, datetime) else None
    begun = previous.delivered_until if previous else _BEGINNING
    return entry_row(
        source=source,
        batch_id=batch_id,
        day=told[0],
        kind="delivery",
        at=at,
        file=label,
        digest=digest,
        delivered_from=begun if until else None,
        delivered_until=until,
        landed_rows=landed,
        quarantined_rows=quarantined,
        watermark=None if upto is None else mark_text(upto),
    )


def complete_dead_loads(spark: SparkSession, source: Source, schema: str, report: IngestReport) -> None:
    """Bring loads to their end that died between two commits.

    Rows in bronze landed as a whole, after those in quarantine: only the ledger's row lacks, and all that it
    says is there. Rows in quarantine alone are of a load that landed nothing.
    """
    bronze = f"{schema}.{source.name}"
    quarantine = unreadable_table(bronze)
    previous = last_load(source.name, read_entries(schema, spark))
    after = is_load_after(source.name, previous.batch_id if previous else None)
    aside = held_batches(spark, quarantine, after) if table_exists(spark, quarantine) else {}
    found = _dead(spark, source, bronze, after)
    for row in found:
        batch_id = str(row["_batch_id"])
        held = aside.pop(batch_id, None)
        entry = load_row(
            source.name,
            batch_id,
            label=row["label"],
            digest=row["digest"],
            at=row["ingested_at"],
            upto=_upto(row, previous),
            previous=previous,
            landed=row["row_count"],
            quarantined=held.rows if held else 0,
        )
        append_entries(spark, schema, [entry])
        report.skipped.append(batch_id)
        previous = last_load(source.name, read_entries(schema, spark))
    if aside:
        spark.sql(f"delete from {quarantine} where _batch_id in ({', '.join(map(sql_text, aside))})")


def _dead(spark: SparkSession, source: Source, bronze: str, after: str) -> list[dict[str, Any]]:
    watermark = source.database.watermark if source.database else None
    found = query(
        spark,
        f"""
        select
            _batch_id,
            min(_source_file) as label,
            min(_batch_digest) as digest,
            min(_ingested_at) as ingested_at,
            max(_delivered_until) as until,
            max({watermark or "cast(null as bigint)"}) as newest,
            count(*) as row_count
        from {bronze}
        where {after}
        group by _batch_id
        order by _batch_id
        """,
    )
    return found.toArrow().to_pylist()


def _upto(row: dict[str, Any], previous: Entry | None) -> Mark | None:
    """Up to where a dead load had read: of numbers at least up to its newest row, and no less than before."""
    if row["until"] is not None:
        return row["until"]
    if not isinstance(row["newest"], int):
        return None
    before = int(previous.watermark) if previous and previous.watermark else row["newest"]
    return max(before, row["newest"])
