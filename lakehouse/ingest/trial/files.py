"""Tries a delivered file: read by the same Spark job as an ingestion, and nothing of it is kept."""

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.delta.table import table_exists
from lakehouse.errors import LakehouseError
from lakehouse.ingest.bronze import column_types
from lakehouse.ingest.complete import WaitingError, WrongManifestError
from lakehouse.ingest.delivery import Delivery, file_name
from lakehouse.ingest.land import taken_up_columns
from lakehouse.ingest.ledger import Ledger, read_entries
from lakehouse.ingest.offer import Found
from lakehouse.ingest.periods import Period
from lakehouse.ingest.read.problems import ProblemError
from lakehouse.ingest.report import IngestReport
from lakehouse.ingest.scan import scan, staging_folder
from lakehouse.ingest.source import Source
from lakehouse.ingest.take import Offered, offer, take
from lakehouse.ingest.technical import QUARANTINE_COLUMNS
from lakehouse.ingest.trial.report import Trial, UnreadableRow

# Of the text of a row that cannot be read.
SHOWN_OF_RAW = 300


def try_file(
    spark: SparkSession, source: Source, path: Path | None, landing: Path, rows: int, schema: str = "bronze"
) -> Trial:
    """Try a file as a delivery of a source.

    Args:
        path: of any name; None for the newest delivery in the landing zone.
        rows: at most so many of each kind are shown.

    Raises:
        LakehouseError: there is no file.
    """
    now = datetime.now(UTC)
    delivery, root, notes = _delivery(source, path, landing, now)
    trial = Trial(source.name, file_name(delivery.path, root), notes=notes)
    ledger = Ledger(read_entries(schema, spark)) if source.delivery(delivery.path) else Ledger()
    if source.is_of_the_future(delivery, now):
        trial.refused.append(f"it says that it delivers {delivery.period}, which is still to come")
    table = f"{schema}.{source.name}"
    types = column_types(spark, table) if table_exists(spark, table) else {}
    try:
        taken_up = {source.name: taken_up_columns(source, table, types)}
    except LakehouseError as error:
        trial.refused.append(str(error).replace("\n  → ", ": "))
        taken_up = {source.name: dict[str, str]()}
    try:
        offered = _offered(source, delivery, root, trial)
    except (WrongManifestError, ProblemError, OSError) as wrong:
        trial.refused.append(str(wrong))
        return trial
    with staging_folder(spark) as staging:
        found = scan(spark, [source], offered.files, taken_up, now, staging)
        report = IngestReport()
        decided = dataclasses.replace(offered, decision=ledger.decided(delivery.batch_id))
        take(decided, found, ledger, report)
        trial.refused.extend(each.reason for each in report.refused)
        trial.waiting.extend(each.reason for each in report.waiting)
        if report.skipped:
            trial.notes.append("it landed before, with this content: an ingestion would skip it")
        if not any(each.refused for each in found.values()):
            return _shown(spark, source, trial, offered, found, staging, rows, types)
    # Refused for a share of bad rows, it has others that say more; a second look, at any share, shows them.
    lenient = source.model_copy(update={"max_bad_share": 1.0})
    with staging_folder(spark) as staging:
        found = scan(spark, [lenient], offered.files, taken_up, now, staging)
        return _shown(spark, source, trial, offered, found, staging, rows, types)


def _delivery(
    source: Source, path: Path | None, landing: Path, now: datetime
) -> tuple[Delivery, Path, list[str]]:
    """What is to be looked at, the folder that its name is told from, and what is to be said of that."""
    if path is None:
        found = source.deliveries(landing)
        if not found:
            how = (
                f"`lakehouse ingest --source {source.name}` fetches some"
                if source.api
                else "give one with --file"
            )
            place = source.root(landing) / source.folder
            raise LakehouseError(f"{source.name}: no delivery lies in {place}", how)
        return max(found, key=lambda each: (each.day, each.batch_id)), landing, []
    path = path.resolve()
    if not path.exists() or path.is_dir() != source.has_parts:
        wanted = "a folder of parts" if source.has_parts else "a file"
        raise LakehouseError(f"{path} is not {wanted}", f"give {wanted}, as sources/{source.name}.yml says")
    if (named := source.delivery(path)) is not None:
        return named, path.parent, []
    # Looked at as a whole day's: most deliveries are.
    period = Period((now - timedelta(days=1)).date())
    note = f"to land it needs another name: {source.why_misnamed(path)}"
    delivery = Delivery(source.name, path.name, path, period.day, period, None, None, None)
    return delivery, path.parent, [note]


def _offered(source: Source, delivery: Delivery, root: Path, trial: Trial) -> Offered:
    try:
        return offer(source, delivery, root, Ledger())
    except WaitingError as waiting:
        trial.waiting.append(str(waiting))
        bare = source.model_copy(update={"complete_when": "settled"})
        return dataclasses.replace(offer(bare, delivery, root, Ledger()), source=source)


def _shown(
    spark: SparkSession,
    source: Source,
    trial: Trial,
    offered: Offered,
    found: Mapping[str, Found],
    staging: str,
    rows: int,
    types: Mapping[str, str],
) -> Trial:
    parts = [found[asked.path] for asked, _ in offered.files]
    new: dict[str, str] = {}
    for part in parts:
        new |= part.new_columns
    return dataclasses.replace(
        trial,
        rows=sum(part.rows for part in parts),
        unreadable=sum(part.unreadable for part in parts),
        digest=parts[0].digest if len(parts) == 1 else None,
        new_columns={name: sql for name, sql in new.items() if name not in types},
        sample=_sample(spark, source, staging, _files(part.staged for part in parts), new, rows),
        unreadable_rows=_unreadable(spark, staging, _files(part.set_aside for part in parts), rows),
    )


def _files(names: Iterable[frozenset[str]]) -> list[str]:
    return sorted(frozenset[str]().union(*names))


def _sample(
    spark: SparkSession, source: Source, staging: str, files: list[str], new: Mapping[str, str], rows: int
) -> list[dict[str, object]]:
    if not files:
        return []
    columns = {column.name: column.type for column in source.columns} | dict(new)
    declared = ", ".join(f"`{name}` {sql}" for name, sql in columns.items())
    frame = spark.read.schema(declared).parquet(*(f"{staging}/{file}" for file in files))
    return frame.limit(rows).toArrow().to_pylist()


def _unreadable(spark: SparkSession, staging: str, files: list[str], rows: int) -> list[UnreadableRow]:
    if not files:
        return []
    declared = ", ".join(f"{name} {sql}" for name, (sql, _) in QUARANTINE_COLUMNS.items())
    frame = spark.read.schema(declared).parquet(*(f"{staging}/{file}" for file in files))
    first = frame.orderBy("line_number").limit(rows)
    shown = first.select("line_number", "reason", F.substring("raw", 1, SHOWN_OF_RAW).alias("raw"))
    return [
        UnreadableRow(str(row["line_number"]), row["reason"], row["raw"])
        for row in shown.toArrow().to_pylist()
    ]
