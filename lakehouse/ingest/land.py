"""Lands deliveries in bronze: finds what is new, refuses what is broken by name, and lands the rest."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from lakehouse.delta.table import TableVersion, current_version, table_exists
from lakehouse.errors import LakehouseError
from lakehouse.ingest.bronze import (
    TECHNICAL_COLUMNS,
    HeldBatch,
    append_once,
    column_types,
    create_bronze_table,
    held_batches,
    sql_text,
)
from lakehouse.ingest.read import RefusedFileError, read_rows
from lakehouse.ingest.source import ARROW_TYPES, Delivery, Source, load_sources
from lakehouse.settings import settings

# Batches are gathered up to so many bytes in memory, then committed together.
_BYTES_PER_COMMIT = 512 * 2**20

_DAYS_ONE_BY_ONE = 31

# The ledger: one row a batch, also of one without rows. It tells quickly what is known, and until when each
# source has delivered; that a batch lands once rests on the source's own table.
DELIVERIES = "deliveries"
_DELIVERIES_COLUMNS = {
    "source": ("string", "Name of the source."),
    "day": ("date", "Local day that it was delivered for."),
    "row_count": ("bigint", "How many rows it brought."),
}


@dataclass(frozen=True)
class LandedBatch:
    """A batch that this call landed."""

    source: str
    batch_id: str
    file: str
    rows: int


@dataclass(frozen=True)
class Refusal:
    """A file that did not land, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class IngestReport:
    """What one call did.

    Args:
        landed: batches that it landed.
        skipped: batch ids that had landed before, with the same content.
        refused: files that it did not land.
        versions: each source's bronze table after it, by source.
    """

    landed: list[LandedBatch] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    versions: dict[str, TableVersion] = field(default_factory=dict)


@dataclass(frozen=True)
class _Batch:
    """A file that was read, and is what its source declares."""

    delivery: Delivery
    file: str
    digest: str
    rows: pa.Table


def ingest(
    spark: SparkSession,
    sources: Sequence[str] | None = None,
    days: tuple[date, date] | None = None,
    *,
    landing: Path | None = None,
    declared: Mapping[str, Source] | None = None,
    schema: str = "bronze",
    progress: Callable[[str], None] = lambda _: None,
) -> IngestReport:
    """Land what the landing zone holds and bronze does not, one commit a source, and one for the ledger.

    A batch lands once, however often and from however many processes it is offered. A file that is not what
    its source declares, or whose batch landed before with other content, is refused and leaves nothing
    behind; the others land.

    Args:
        sources: only these; all declared ones by default.
        days: only files delivered for these local days, both included (and the last snapshot before them);
            other files are not looked at.
        landing: the landing zone; that of the settings by default.
        declared: the declarations; those of the project by default.
        schema: where the tables are.
        progress: is told in a line what is being done.

    Raises:
        LakehouseError: a source is unknown or its declaration wrong, there is no landing zone, or bronze has
            a declared column with another type.
    """
    landing = landing or settings().landing_dir
    wanted = _wanted(load_sources() if declared is None else declared, sources)
    if days is not None and days[0] > days[1]:
        raise LakehouseError(f"{days[0]} is after {days[1]}", "give the earlier day first")
    if not landing.is_dir():
        raise LakehouseError(
            f"there is no landing zone {landing}", "publish deliveries there, or set LAKEHOUSE_LANDING"
        )
    now = datetime.now(UTC)
    report = IngestReport()
    offers = {source.name: source.deliveries(landing, days) for source in wanted}
    ledger = f"{schema}.{DELIVERIES}"
    _create_tables(spark, schema, wanted)
    offered_days = _on_days(delivery.day for offered in offers.values() for delivery in offered)
    known = held_batches(spark, ledger, offered_days)
    recorded: list[pa.Table] = []
    for source in wanted:
        if days is None:
            report.refused.extend(_misnamed(source, landing))
        table = f"{schema}.{source.name}"
        taken_up = _taken_up(source, table, column_types(spark, table)) if offers[source.name] else {}
        batches = _read(source, offers[source.name], landing, known, taken_up, report)
        for group in _groups(batches):
            progress(f"{source.name}: landing {len(group)} of {len(offers[source.name])} deliveries")
            recorded += _land(spark, table, group, now, report)
    if recorded:
        append_once(spark, ledger, pa.concat_tables(recorded), offered_days)
    report.versions.update(
        {source.name: current_version(spark, f"{schema}.{source.name}") for source in wanted}
    )
    return report


def _wanted(declared: Mapping[str, Source], names: Sequence[str] | None) -> list[Source]:
    unknown = sorted(set(names or ()) - set(declared))
    if unknown:
        raise LakehouseError(
            f"unknown source {', '.join(unknown)}", f"declared in sources/ are {', '.join(sorted(declared))}"
        )
    return [source for name, source in declared.items() if names is None or name in names]


def _on_days(days: Iterable[date]) -> str:
    """A condition on the ledger by which Delta skips the files of other days, as it hardly does for `in`."""
    distinct = sorted(set(days))
    if len(distinct) > _DAYS_ONE_BY_ONE:
        return f"day between date'{distinct[0]}' and date'{distinct[-1]}'"
    return " or ".join(f"day = date'{day}'" for day in distinct) or "false"


def _create_tables(spark: SparkSession, schema: str, wanted: Iterable[Source]) -> None:
    tables = {
        source.name: (
            {column.name: (column.type, column.description) for column in source.columns},
            source.description,
        )
        for source in wanted
    } | {DELIVERIES: (_DELIVERIES_COLUMNS, "Every delivery that landed, one a row.")}
    for name, (columns, comment) in tables.items():
        if not table_exists(spark, f"{schema}.{name}"):
            create_bronze_table(spark, f"{schema}.{name}", columns, comment)


def _taken_up(source: Source, table: str, types: Mapping[str, str]) -> dict[str, str]:
    """The undeclared columns that bronze has by now, with their types."""
    for column in source.columns:
        if types.get(column.name, column.type) != column.type:
            raise LakehouseError(
                f"{table}.{column.name} is {types[column.name]}, "
                f"but sources/{source.name}.yml says {column.type}",
                "bronze keeps what it has: declare the old type, and cast in the staging model",
            )
    declared = set(source.arrow_schema.names) | set(TECHNICAL_COLUMNS)
    return {name: sql for name, sql in types.items() if name not in declared}


def _misnamed(source: Source, landing: Path) -> list[Refusal]:
    form = Path(source.files).name.replace("{delivery}", "YYYY-MM-DD[THH][_note]")
    return [
        Refusal(str(path.relative_to(landing)), f"its name is not of the form {form}")
        for path in source.misnamed(landing)
    ]


def _read(
    source: Source,
    offered: Iterable[Delivery],
    landing: Path,
    known: Mapping[str, HeldBatch],
    taken_up: dict[str, str],
    report: IngestReport,
) -> Iterator[_Batch]:
    """The files that are new and whole, read one by one; the others go to the report."""
    names = {arrow_type: name for name, arrow_type in ARROW_TYPES.items()}
    for delivery in offered:
        file = str(delivery.path.relative_to(landing))
        try:
            content = delivery.path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            if delivery.batch_id in known:
                _settle(delivery.batch_id, file, digest, known[delivery.batch_id], report)
                continue
            rows = read_rows(source, content, file, taken_up)
        except RefusedFileError as refused:
            report.refused.append(Refusal(file, refused.reason))
        except OSError as error:
            report.refused.append(Refusal(file, f"cannot be read: {error.strerror}"))
        else:
            declared = source.arrow_schema.names
            taken_up |= {new.name: names[new.type] for new in rows.schema if new.name not in declared}
            yield _Batch(delivery, file, digest, rows)


def _groups(batches: Iterable[_Batch]) -> Iterator[list[_Batch]]:
    group: list[_Batch] = []
    for batch in batches:
        group.append(batch)
        if sum(gathered.rows.nbytes for gathered in group) >= _BYTES_PER_COMMIT:
            yield group
            group = []
    if group:
        yield group


def _land(
    spark: SparkSession, table: str, group: Sequence[_Batch], now: datetime, report: IngestReport
) -> list[pa.Table]:
    """Append a group of batches in one commit; returns the ledger's rows of those that bronze holds now."""
    rows = pa.concat_tables([_stamped(batch.rows, batch, now) for batch in group], promote_options="default")
    batch_ids = [batch.delivery.batch_id for batch in group]
    offered = f"_batch_id between {sql_text(min(batch_ids))} and {sql_text(max(batch_ids))}"
    held: dict[str, HeldBatch] = {}
    if rows.num_rows:
        append_once(spark, table, rows, offered)
        held = held_batches(spark, table, offered)
    recorded: list[pa.Table] = []
    for batch in group:
        # A batch without rows leaves no trace in its table: the ledger is where it lands.
        found = held.get(batch.delivery.batch_id, HeldBatch(batch.digest, now, 0))
        if found.ingested_at == now and found.digest == batch.digest:
            landed = LandedBatch(batch.delivery.source, batch.delivery.batch_id, batch.file, found.rows)
            report.landed.append(landed)
        else:
            _settle(batch.delivery.batch_id, batch.file, batch.digest, found, report)
        if found.digest == batch.digest:
            entry = pa.table(
                {"source": [batch.delivery.source], "day": [batch.delivery.day], "row_count": [found.rows]}
            )
            recorded.append(_stamped(entry, batch, found.ingested_at))
    return recorded


def _settle(batch_id: str, file: str, digest: str, held: HeldBatch, report: IngestReport) -> None:
    """Report a batch that landed before: the same content is skipped, other content is refused."""
    if held.digest == digest:
        report.skipped.append(batch_id)
        return
    report.refused.append(
        Refusal(
            file,
            f"batch {batch_id} landed on {held.ingested_at:%Y-%m-%d %H:%M} UTC with other content "
            f"(sha256 {held.digest[:12]}…, now {digest[:12]}…): deliver it under a name of its own",
        )
    )


def _stamped(rows: pa.Table, batch: _Batch, ingested_at: datetime) -> pa.Table:
    """Rows with the columns that ingestion adds."""
    values = {
        "_batch_id": batch.delivery.batch_id,
        "_ingested_at": ingested_at,
        "_source_file": batch.file,
        "_batch_digest": batch.digest,
        "_delivered_until": batch.delivery.delivered_until,
    }
    for name, value in values.items():
        scalar = pa.scalar(value, ARROW_TYPES[TECHNICAL_COLUMNS[name]])
        rows = rows.append_column(name, pa.repeat(scalar, rows.num_rows))
    return rows
