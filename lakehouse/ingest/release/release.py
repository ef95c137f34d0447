"""Lets unreadable rows in that the declaration of today can read, as a delivery beside the regular ones.

The file is written under a dot name, the decision is noted in the ledger, the file gets its name, and lands.
A process that dies between two of these is completed by the next call, or by `lakehouse ingest`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.delta.table import sql_text, table_exists
from lakehouse.engine.query import query
from lakehouse.engine.state import exclusive
from lakehouse.engine.worker_code import in_workers
from lakehouse.errors import LakehouseError
from lakehouse.ingest.bronze import column_types
from lakehouse.ingest.commit import unreadable_table
from lakehouse.ingest.complete import beside
from lakehouse.ingest.decide import check_words
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.delivery import Delivery, file_name, released_id
from lakehouse.ingest.land import create_tables, ingest, taken_up_columns
from lakehouse.ingest.ledger import Ledger, read_entries
from lakehouse.ingest.ledger_table import append_entries, entry_row
from lakehouse.ingest.release.rows import Asked, Written
from lakehouse.ingest.report import IngestReport
from lakehouse.ingest.source import Source
from lakehouse.progress import Progress, silent
from lakehouse.settings import settings


@dataclass(frozen=True)
class Released:
    """What became of the unreadable rows of a batch.

    Args:
        batch_id: of the delivery that they came in by.
        rows: how many landed with it.
        left: how many still cannot be read; None where it was released before.
        is_new: whether this call landed them.
    """

    source: str
    batch_id: str
    file: str
    rows: int
    left: int | None
    is_new: bool


def release(
    spark: SparkSession,
    source_name: str,
    batch_id: str,
    *,
    by: str,
    reason: str,
    landing: Path | None = None,
    declared: Mapping[str, Source] | None = None,
    schema: str = "bronze",
    progress: Progress = silent,
) -> Released:
    """Land those unreadable rows of a batch that can be read now, each exactly once.

    Args:
        by: who decides.
        reason: why.

    Raises:
        LakehouseError: the source's rows cannot be written as a file again, none of the batch's rows can be
            read now, the batch was replaced, or the delivery was refused. Nothing landed then.
    """
    declared = load_sources() if declared is None else declared
    landing = landing or settings().landing_dir
    check_words(by, reason)
    if source_name not in declared:
        raise LakehouseError(
            f"unknown source {source_name}", f"declared in sources/ are {', '.join(declared)}"
        )
    source = declared[source_name]
    delivery = _delivery(source, batch_id, landing)
    with exclusive(settings().engine_dir / f"release-{schema}-{source.name}.lock"):
        if table_exists(spark, f"{schema}.{source.name}"):
            # An older ledger gets the columns that it lacks.
            create_tables(spark, schema, [source])
        ledger = Ledger(read_entries(schema, spark))
        if any(entry.supersedes == batch_id for entry in ledger.entries):
            raise LakehouseError(
                f"batch {batch_id} was replaced", "nobody reads its rows: nothing was released"
            )
        file = file_name(delivery.path, landing)
        landed = ledger.landed(delivery.batch_id)
        if landed is not None:
            return Released(source.name, delivery.batch_id, file, landed.row_count, None, is_new=False)
        left: int | None = None
        if not delivery.path.exists():
            left = _write(spark, source, batch_id, delivery, landing, schema, by, reason, progress)
        report = ingest(
            spark,
            [source.name],
            batch_id=delivery.batch_id,
            landing=landing,
            declared=declared,
            schema=schema,
            progress=progress,
        )
        rows = _landed(report, source, delivery)
        return Released(source.name, delivery.batch_id, file, rows, left, is_new=True)


def _delivery(source: Source, batch_id: str, landing: Path) -> Delivery:
    """The delivery that the rows are to come in by.

    Raises:
        LakehouseError: they cannot be written as one file, or the batch is not one of the source's.
    """
    for is_so, what in (
        (source.database is not None, "reads a database"),
        (source.stream is not None, "comes from a topic"),
        (source.format == "parquet", "delivers Parquet"),
        (source.has_parts, "delivers folders of parts"),
        (source.compression is not None, "delivers compressed files"),
        (source.bucket is not None, "delivers into a bucket"),
    ):
        if is_so:
            raise LakehouseError(
                f"{source.name} {what}, whose rows cannot be written again as they were",
                "change the rows where they come from, or "
                + ("publish them again" if source.stream else "have them delivered as corrections"),
            )
    path = landing / source.folder / f"{released_id(batch_id)}{source.suffix}"
    delivery = source.delivery(path)
    if delivery is None or not batch_id.startswith(f"{source.name}_"):
        raise LakehouseError(
            f"{batch_id} is not a batch of {source.name}", "`lakehouse quarantine list` shows the batches"
        )
    return delivery


def _write(
    spark: SparkSession,
    source: Source,
    batch_id: str,
    delivery: Delivery,
    landing: Path,
    schema: str,
    by: str,
    reason: str,
    progress: Progress,
) -> int:
    """Write the rows as a file of the landing zone; returns how many are left."""
    table = f"{schema}.{source.name}"
    origin = _origin(spark, unreadable_table(table), batch_id)
    path = delivery.path
    hidden = path.with_name(f".{path.name}.release")
    path.parent.mkdir(parents=True, exist_ok=True)
    needs_header = source.format == "csv" and source.csv.header
    asked = Asked(
        source=source,
        path=str(hidden),
        original=str(landing / origin["file"]) if needs_header else None,
        digest=origin["digest"],
        taken_up=taken_up_columns(source, table, column_types(spark, table)),
    )
    progress(f"{source.name}: reading {origin['row_count']} rows of {batch_id} again")
    rows = spark.table(unreadable_table(table)).where(f"_batch_id = {sql_text(batch_id)}")
    in_order = rows.select("line_number", "raw", "reason").repartition(1).sortWithinPartitions("line_number")
    write = in_workers("lakehouse.ingest.release.rows", "write_rows", asked.as_json())
    answers = in_order.select("raw", "reason").mapInArrow(write, "written string").toArrow()
    written = [Written.model_validate_json(text) for text in answers.column("written").to_pylist()]
    done = next(iter(written), Written())
    if done.problem is not None or done.rows == 0:
        hidden.unlink(missing_ok=True)
        why = done.problem or f"none of its {origin['row_count']} rows can be read as declared today"
        raise LakehouseError(
            f"batch {batch_id}: {why}",
            f"change sources/{source.name}.yml first; or have the rows delivered as corrections",
        )
    entry = entry_row(
        source=source.name,
        batch_id=delivery.batch_id,
        day=delivery.day,
        kind="release",
        at=datetime.now(UTC),
        digest=done.digest,
        decided_by=by,
        reason=reason,
    )
    append_entries(spark, schema, [entry])
    # What says that the file is whole comes first: without the file, nobody looks at it.
    if source.complete_when == "manifest":
        beside(source, path).write_text(json.dumps({"rows": done.rows, "sha256": done.digest}))
    elif source.complete_when == "marker":
        beside(source, path).touch()
    hidden.rename(path)
    return done.left


def _origin(spark: SparkSession, table: str, batch_id: str) -> dict[str, Any]:
    """How many unreadable rows a batch has, and the file that they came from."""
    nothing = LakehouseError(
        f"batch {batch_id} has no row in {table}", "`lakehouse quarantine list` shows the batches"
    )
    if not table_exists(spark, table):
        raise nothing
    found = query(
        spark,
        f"""
        select count(*) as row_count, min(_source_file) as file, min(_batch_digest) as digest
        from {table}
        where _batch_id = {sql_text(batch_id)}
        """,
    ).toArrow()
    (row,) = found.to_pylist()
    if row["row_count"] == 0:
        raise nothing
    return row


def _landed(report: IngestReport, source: Source, delivery: Delivery) -> int:
    """How many rows landed.

    Raises:
        LakehouseError: none did.
    """
    for batch in report.landed:
        return batch.rows
    if report.waiting:
        raise LakehouseError(
            f"{delivery.path.name} is there, and waits: {report.waiting[0].reason}",
            f"`lakehouse ingest --source {source.name}` lands it later",
        )
    if report.refused:
        # It would be refused by each later call.
        delivery.path.unlink(missing_ok=True)
        if source.complete_when != "settled":
            beside(source, delivery.path).unlink(missing_ok=True)
        raise LakehouseError(
            f"{delivery.path.name} was refused: {report.refused[0].reason}", "it was removed"
        )
    return 0
