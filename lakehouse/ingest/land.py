"""Lands deliveries in bronze: finds what is new, refuses what is broken by name, and lands the rest."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from lakehouse.delta.table import current_version, table_exists
from lakehouse.errors import LakehouseError
from lakehouse.ingest.api.before import fetch_before_landing
from lakehouse.ingest.bronze import column_types, create_bronze_table
from lakehouse.ingest.commit import commit
from lakehouse.ingest.complete import WaitingError, WrongManifestError, await_settled
from lakehouse.ingest.database.load import load
from lakehouse.ingest.database.plan import end_of
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.delivery import Delivery, file_name, is_of_store
from lakehouse.ingest.ledger import Ledger, read_entries
from lakehouse.ingest.ledger_table import append_entries, ensure_ledger, frontiers
from lakehouse.ingest.looked_at import listed_of, misnamed, offered_of, plausible, unread_of
from lakehouse.ingest.offer import Found
from lakehouse.ingest.read.problems import ProblemError
from lakehouse.ingest.report import Frontier, IngestReport, LandedBatch, Refusal, Waiting
from lakehouse.ingest.scan import scan, staging_folder
from lakehouse.ingest.source import DELIVERIES, Source
from lakehouse.ingest.stream.land import create_stream_tables, land_stream
from lakehouse.ingest.stream.topic import UnreachableError
from lakehouse.ingest.take import Batch, Offered, offer, take
from lakehouse.ingest.technical import TECHNICAL_COLUMNS
from lakehouse.progress import Progress, silent
from lakehouse.settings import settings

__all__ = ["DELIVERIES", "Frontier", "IngestReport", "LandedBatch", "Refusal", "Waiting", "ingest"]

# Deliveries of so many bytes are read, staged and committed together.
_BYTES_PER_ROUND = 16 * 2**30


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
            other files are not looked at. A database is read up to the end of the last one.
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
    streams = [source for source in wanted if source.stream is not None]
    if not landing.is_dir() and any(source.files and not source.bucket for source in wanted):
        raise LakehouseError(
            f"there is no landing zone {landing}", "publish deliveries there, or set LAKEHOUSE_LANDING"
        )
    report = IngestReport()
    create_tables(spark, schema, wanted)
    ledger = Ledger(read_entries(schema, spark))
    if batch_id is None:
        fetch_before_landing(spark, wanted, landing, ledger, days, report, progress)
    now = datetime.now(UTC)
    found = listed_of(wanted, landing, report)
    listed = [source for source in wanted if source.name in found]
    offers = {
        source.name: offered_of(source, found[source.name], ledger, now, days, also_pending, batch_id)
        for source in listed
    }
    if batch_id is None and days is None:
        report.refused.extend(misnamed(listed, declared, landing))
    offers = {source.name: plausible(source, offers[source.name], landing, now, report) for source in listed}
    unread = {source.name: unread_of(offers[source.name], ledger, report) for source in listed}
    settle = settings().settle_seconds if settle_seconds is None else settle_seconds
    waiting = await_settled(
        ((source, delivery) for source in listed for delivery in unread[source.name]), settle
    )
    report.waiting.extend(Waiting(file_name(path, landing), why) for path, why in waiting.items())

    offered = [
        asked
        for source in listed
        for delivery in unread[source.name]
        if delivery.path not in waiting
        and (asked := _asked(source, delivery, landing, ledger, report)) is not None
    ]
    recorded = _land(spark, schema, offered, ledger, now, report, progress)
    append_entries(spark, schema, recorded)
    for source in wanted if batch_id is None else ():
        if source.database is not None:
            taken_up_columns(
                source, f"{schema}.{source.name}", column_types(spark, f"{schema}.{source.name}")
            )
            until = end_of(days[1], source.time_zone) if days else None
            load(spark, source, report, schema=schema, until=until, progress=progress)
    if batch_id is None and (days is None or also_pending):
        # A topic has no days: it is read to its end.
        for source in streams:
            _land_topic(spark, source, report, schema, progress)
    report.versions.update(
        {source.name: current_version(spark, f"{schema}.{source.name}") for source in wanted}
    )
    report.frontiers.extend(frontiers(spark, schema, wanted, declared))
    return report


def _land_topic(
    spark: SparkSession, source: Source, report: IngestReport, schema: str, progress: Progress
) -> None:
    """Land what a topic has; what is wrong with one keeps no other source from landing."""
    topic = source.stream.topic if source.stream else source.name
    try:
        report.lags.append(land_stream(spark, source, report, schema=schema, progress=progress))
    except UnreachableError as error:
        report.waiting.append(Waiting(topic, error.what))
    except LakehouseError as error:
        report.refused.append(Refusal(topic, f"{error.what}: {error.hint}"))


def _wanted(declared: Mapping[str, Source], names: Sequence[str] | None) -> list[Source]:
    unknown = sorted(set(names or ()) - set(declared))
    if unknown:
        raise LakehouseError(
            f"unknown source {', '.join(unknown)}", f"declared in sources/ are {', '.join(sorted(declared))}"
        )
    return [source for name, source in declared.items() if names is None or name in names]


def create_tables(spark: SparkSession, schema: str, wanted: Iterable[Source]) -> None:
    for source in wanted:
        if source.stream is not None:
            create_stream_tables(spark, schema, source)
        elif not table_exists(spark, f"{schema}.{source.name}"):
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


def _asked(
    source: Source, delivery: Delivery, landing: Path, ledger: Ledger, report: IngestReport
) -> Offered | None:
    """What is asked of a delivery; None where it need not be read, which the report then says."""
    file = file_name(delivery.path, landing)
    try:
        return offer(source, delivery, landing, ledger)
    except WaitingError as waiting:
        report.waiting.append(Waiting(file, str(waiting)))
    except (WrongManifestError, ProblemError) as wrong:
        report.refused.append(Refusal(file, str(wrong)))
    except OSError as error:
        why = f"cannot be read: {error.strerror or error}"
        if is_of_store(error):
            report.waiting.append(Waiting(file, why))
        else:
            report.refused.append(Refusal(file, why))
    return None


def _land(
    spark: SparkSession,
    schema: str,
    offered: Sequence[Offered],
    ledger: Ledger,
    now: datetime,
    report: IngestReport,
    progress: Progress,
) -> list[pa.Table]:
    """Read deliveries and commit them, round by round; returns the ledger's rows of those that landed."""
    sources = {each.source.name: each.source for each in offered}
    types = {
        name: taken_up_columns(source, f"{schema}.{name}", column_types(spark, f"{schema}.{name}"))
        for name, source in sources.items()
    }
    recorded: list[pa.Table] = []
    waiting = deque(_Round(each) for each in _rounds(offered))
    while waiting:
        this = waiting.popleft()
        before = {name: dict(taken_up) for name, taken_up in types.items()}
        known = {name: {**taken_up, **this.own_types} for name, taken_up in before.items()}
        again: list[Offered] = []
        with staging_folder(spark) as staging:
            progress(f"reading {len(this.offered)} deliveries of {', '.join(_names(this.offered))}")
            files = [file for each in this.offered for file in each.files]
            found = scan(spark, sources.values(), files, known, now, staging)
            for name in _names(this.offered):
                batches: list[Batch] = []
                for each in (each for each in this.offered if each.source.name == name):
                    if not this.own_types and (own := _own_types(each, found, types[name])):
                        waiting.appendleft(_Round([each], own))
                    elif _is_outdated(each, found, before[name], types[name]):
                        again.append(each)
                    elif batch := take(each, found, ledger, report):
                        types[name] |= batch.new_columns
                        batches.append(batch)
                progress(f"{name}: landing {len(batches)} deliveries")
                recorded += commit(spark, schema, sources[name], batches, staging, now, report)
        if again:
            waiting.appendleft(_Round(again))
    return recorded


@dataclass(frozen=True)
class _Round:
    """Deliveries that are read by one job.

    Args:
        own_types: of new columns, by which a delivery is read alone.
    """

    offered: Sequence[Offered]
    own_types: Mapping[str, str] = field(default_factory=dict[str, str])


def _names(offered: Iterable[Offered]) -> list[str]:
    return list(dict.fromkeys(each.source.name for each in offered))


def _rounds(offered: Iterable[Offered]) -> Iterator[list[Offered]]:
    """Deliveries that are read and committed together."""
    group: list[Offered] = []
    gathered = 0
    for each in offered:
        if group and gathered + each.seen.size > _BYTES_PER_ROUND:
            yield group
            group, gathered = [], 0
        group.append(each)
        gathered += each.seen.size
    if group:
        yield group


def _new_columns(offered: Offered, found: Mapping[str, Found]) -> dict[str, str]:
    """Types of a delivery's new columns, by the first of its files that has them."""
    first: dict[str, str] = {}
    for asked, _ in offered.files:
        first = dict(found[asked.path].new_columns) | first
    return first


def _is_odd(offered: Offered, found: Mapping[str, Found], types: Mapping[str, str]) -> bool:
    """Whether a file of a delivery is refused, or has a new column of another type than these."""
    parts = [found[asked.path] for asked, _ in offered.files]
    return any(
        part.refused or any(types.get(name, sql) != sql for name, sql in part.new_columns.items())
        for part in parts
    )


def _own_types(offered: Offered, found: Mapping[str, Found], taken_up: Mapping[str, str]) -> dict[str, str]:
    """By which types of new columns a delivery is to be read again, as its other files had not heard of them.

    A file says the type of a new column by its first value; of a delivery, its first file does.
    """
    first = _new_columns(offered, found)
    unheard = {name: sql for name, sql in first.items() if name not in taken_up}
    return unheard if _is_odd(offered, found, first) else {}


def _is_outdated(
    offered: Offered, found: Mapping[str, Found], before: Mapping[str, str], taken_up: Mapping[str, str]
) -> bool:
    """Whether a delivery may be another one by what others have taken up since it was read.

    Args:
        before: types of the columns that had been taken up then.
    """
    return taken_up != before and _is_odd(offered, found, taken_up)
