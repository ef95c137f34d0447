"""Lands deliveries in bronze: finds what is new, refuses what is broken by name, and lands the rest."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from lakehouse.delta.table import current_version, table_exists
from lakehouse.errors import LakehouseError
from lakehouse.ingest.bronze import TECHNICAL_COLUMNS, column_types, create_bronze_table
from lakehouse.ingest.commit import commit
from lakehouse.ingest.complete import await_settled
from lakehouse.ingest.delivery import Delivery
from lakehouse.ingest.ledger import Ledger, read_entries
from lakehouse.ingest.ledger_table import append_entries, ensure_ledger, frontiers
from lakehouse.ingest.report import Frontier, IngestReport, LandedBatch, Refusal, Waiting
from lakehouse.ingest.source import ARROW_TYPES, DELIVERIES, Source, load_sources
from lakehouse.ingest.take import Batch, take
from lakehouse.progress import Progress, silent
from lakehouse.settings import settings

__all__ = ["DELIVERIES", "Frontier", "IngestReport", "LandedBatch", "Refusal", "Waiting", "ingest"]

# Batches are gathered up to so many bytes in memory, then committed together.
_BYTES_PER_COMMIT = 512 * 2**20


def ingest(
    spark: SparkSession,
    sources: Sequence[str] | None = None,
    days: tuple[date, date] | None = None,
    *,
    also_pending: bool = False,
    batch_id: str | None = None,
    landing: Path | None = None,
    declared: Mapping[str, Source] | None = None,
    schema: str = "bronze",
    settle_seconds: float | None = None,
    progress: Progress = silent,
) -> IngestReport:
    """Land what the landing zone holds and bronze does not, one commit per source, and one for the ledger.

    A batch lands once, however often and from however many processes it is offered. A file that is not what
    its source declares, or whose batch landed before with other content, is refused and leaves nothing
    behind; the others land. A file that is not whole yet waits for a later call; one that was changed a
    moment ago is waited for, `settle_seconds` at most.

    Args:
        sources: only these; all declared ones by default.
        days: only files delivered for these local days, both included (and the last snapshot before them);
            other files are not looked at.
        also_pending: with `days`, also what other days' files hold that the ledger lacks.
        batch_id: only this file's batch.
        landing: the landing zone; that of the settings by default.
        declared: the declarations; those of the project by default.
        schema: where the tables are.
        settle_seconds: how long a file has to stand still; the setting by default.
        progress: is told in a line what is being done.

    Raises:
        LakehouseError: a source is unknown or its declaration wrong, there is no landing zone, or bronze has
            a declared column with another type.
    """
    landing = landing or settings().landing_dir
    declared = load_sources() if declared is None else declared
    wanted = _wanted(declared, sources)
    if days is not None and days[0] > days[1]:
        raise LakehouseError(f"{days[0]} is after {days[1]}", "give the earlier day first")
    if not landing.is_dir():
        raise LakehouseError(
            f"there is no landing zone {landing}", "publish deliveries there, or set LAKEHOUSE_LANDING"
        )
    now = datetime.now(UTC)
    report = IngestReport()
    create_tables(spark, schema, wanted)
    ledger = Ledger(read_entries(schema, spark))
    offers = {
        source.name: _offered(source, landing, ledger, now, days, also_pending, batch_id) for source in wanted
    }
    if batch_id is None and days is None:
        report.refused.extend(_misnamed(wanted, declared, landing))
    offers = {source.name: _plausible(source, offers[source.name], landing, now, report) for source in wanted}
    unread = {source.name: _unread(offers[source.name], ledger, report) for source in wanted}
    settle = settings().settle_seconds if settle_seconds is None else settle_seconds
    waiting = await_settled(
        ((source, delivery) for source in wanted for delivery in unread[source.name]), settle
    )
    report.waiting.extend(Waiting(str(path.relative_to(landing)), why) for path, why in waiting.items())

    recorded: list[pa.Table] = []
    for source in wanted:
        whole = [delivery for delivery in unread[source.name] if delivery.path not in waiting]
        table = f"{schema}.{source.name}"
        taken_up = taken_up_columns(source, table, column_types(spark, table)) if whole else {}
        batches = _read(source, whole, landing, ledger, taken_up, report)
        for group in _groups(batches):
            progress(f"{source.name}: landing {len(group)} of {len(offers[source.name])} deliveries")
            recorded += commit(spark, table, group, now, report)
    append_entries(spark, schema, recorded)
    report.versions.update(
        {source.name: current_version(spark, f"{schema}.{source.name}") for source in wanted}
    )
    report.frontiers.extend(frontiers(spark, schema, wanted, declared))
    return report


def _wanted(declared: Mapping[str, Source], names: Sequence[str] | None) -> list[Source]:
    unknown = sorted(set(names or ()) - set(declared))
    if unknown:
        raise LakehouseError(
            f"unknown source {', '.join(unknown)}", f"declared in sources/ are {', '.join(sorted(declared))}"
        )
    return [source for name, source in declared.items() if names is None or name in names]


def _offered(
    source: Source,
    landing: Path,
    ledger: Ledger,
    now: datetime,
    days: tuple[date, date] | None,
    also_pending: bool,
    batch_id: str | None,
) -> list[Delivery]:
    found = source.deliveries(landing)
    if batch_id is not None:
        return [delivery for delivery in found if delivery.batch_id == batch_id]
    if days is None:
        return found
    asked = {delivery.batch_id for delivery in source.on_days(found, days)}
    return [
        delivery
        for delivery in found
        if delivery.batch_id in asked
        or (also_pending and not ledger.holds(delivery) and not source.is_of_the_future(delivery, now))
    ]


def _misnamed(wanted: Iterable[Source], declared: Mapping[str, Source], landing: Path) -> Iterator[Refusal]:
    """Files in the sources' folders that no source's name fits, each once."""
    folders = {source.folder: source for source in wanted}
    for folder, source in folders.items():
        neighbours = [each for each in declared.values() if each.folder == folder]
        for path in source.misnamed(landing):
            if all(each.delivery(path) is None for each in neighbours):
                # Of several sources, the one that the name comes closest to says what is wrong.
                nearest = max(neighbours, key=lambda each: _common(each.name, path.name))
                yield Refusal(str(path.relative_to(landing)), nearest.why_misnamed(path))


def _common(name: str, file: str) -> int:
    return len(name) if file.startswith(f"{name}_") else 0


def _plausible(
    source: Source, offered: Iterable[Delivery], landing: Path, now: datetime, report: IngestReport
) -> list[Delivery]:
    """The deliveries that are not of the future; those go to the report."""
    kept: list[Delivery] = []
    for delivery in offered:
        if source.is_of_the_future(delivery, now):
            reason = f"it says that it delivers {delivery.period}, which is still to come"
            report.refused.append(Refusal(str(delivery.path.relative_to(landing)), reason))
        else:
            kept.append(delivery)
    return kept


def _unread(offered: Iterable[Delivery], ledger: Ledger, report: IngestReport) -> list[Delivery]:
    """The deliveries whose files have to be read; one that landed and was not touched since is skipped."""
    unread: list[Delivery] = []
    for delivery in offered:
        landed = ledger.landed(delivery.batch_id)
        if landed is not None and ledger.holds_as_it_is(delivery):
            report.skipped.append(landed.batch_id)
        else:
            unread.append(delivery)
    return unread


def create_tables(spark: SparkSession, schema: str, wanted: Iterable[Source]) -> None:
    for source in wanted:
        if not table_exists(spark, f"{schema}.{source.name}"):
            columns = {column.name: (column.type, column.description) for column in source.columns}
            create_bronze_table(spark, f"{schema}.{source.name}", columns, source.description)
    ensure_ledger(spark, schema)


def taken_up_columns(source: Source, table: str, types: Mapping[str, str]) -> dict[str, str]:
    """The undeclared columns that bronze has by now, with their types."""
    for column in source.columns:
        if types.get(column.name, column.type) != column.type:
            raise LakehouseError(
                f"{table}.{column.name} is {types[column.name]}, "
                f"but sources/{source.name}.yml says {column.type}",
                "bronze keeps what it has: declare the old type, and cast in the staging model; or give the "
                f"column another name in bronze, with name_in_file: {column.delivered_name}",
            )
    declared = set(source.arrow_schema.names) | set(TECHNICAL_COLUMNS)
    return {name: sql for name, sql in types.items() if name not in declared}


def _read(
    source: Source,
    offered: Iterable[Delivery],
    landing: Path,
    ledger: Ledger,
    taken_up: dict[str, str],
    report: IngestReport,
) -> Iterator[Batch]:
    """The files that are new and whole, read one by one; the others go to the report."""
    names = {arrow_type: name for name, arrow_type in ARROW_TYPES.items()}
    declared = set(source.arrow_schema.names)
    for delivery in offered:
        batch = take(source, delivery, landing, ledger, taken_up, report)
        if batch is not None:
            rows = batch.content.rows
            taken_up |= {new.name: names[new.type] for new in rows.schema if new.name not in declared}
            yield batch


def _groups(batches: Iterable[Batch]) -> Iterator[list[Batch]]:
    group: list[Batch] = []
    gathered = 0
    for batch in batches:
        group.append(batch)
        gathered += batch.content.rows.nbytes
        if gathered >= _BYTES_PER_COMMIT:
            yield group
            group, gathered = [], 0
    if group:
        yield group
