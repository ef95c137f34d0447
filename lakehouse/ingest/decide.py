"""What people decide about deliveries, by name and reason: that one is replaced, or never comes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import SparkSession

from lakehouse.delta.table import sql_text
from lakehouse.errors import LakehouseError
from lakehouse.ingest.bronze import column_types, held_batches
from lakehouse.ingest.complete import WaitingError, WrongManifestError, await_settled
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.delivery import Delivery, file_name, first_id, revision_id, revision_number
from lakehouse.ingest.land import create_tables, ingest, taken_up_columns
from lakehouse.ingest.ledger import Entry, Ledger, read_entries
from lakehouse.ingest.ledger_table import append_entries, entry_row
from lakehouse.ingest.periods import Period, parse_periods
from lakehouse.ingest.read.problems import ProblemError
from lakehouse.ingest.report import IngestReport
from lakehouse.ingest.scan import scan, staging_folder
from lakehouse.ingest.source import Source
from lakehouse.ingest.take import checked_batch, checked_digest, offer
from lakehouse.progress import Progress, silent
from lakehouse.settings import settings


def supersede(
    spark: SparkSession,
    batch_id: str,
    *,
    by: str,
    reason: str,
    landing: Path | None = None,
    declared: Mapping[str, Source] | None = None,
    schema: str = "bronze",
    settle_seconds: float | None = None,
    progress: Progress = silent,
) -> IngestReport:
    """Let a file that landed before, and has other content now, replace what landed.

    The decision goes into the ledger first, then the content lands as a batch of its own, BATCH_r2. A process
    that dies in between loses nothing: the next ingestion lands what was decided.

    Args:
        batch_id: the file's name without its suffix; or that of a revision of it.
        by: who decides so.
        reason: why.

    Raises:
        LakehouseError: there is no such file, it has the content that landed, nothing of it landed, or it is
            not what its source declares.
    """
    landing = landing or settings().landing_dir
    declared = load_sources() if declared is None else declared
    check_words(by, reason)
    source, delivery = _file_of(batch_id, landing, declared)
    create_tables(spark, schema, [source])
    ledger = Ledger(read_entries(schema, spark))
    settle = settings().settle_seconds if settle_seconds is None else settle_seconds
    digest = _checked(spark, source, delivery, landing, schema, settle)
    decided = ledger.decided(batch_id)
    if decided is None or decided.digest != digest:
        decided = _decide(spark, schema, ledger, delivery, digest, by, reason)
    progress(f"{source.name}: {decided.batch_id} replaces {decided.supersedes}")
    return ingest(
        spark,
        [source.name],
        batch_id=delivery.batch_id,
        landing=landing,
        declared=declared,
        schema=schema,
        settle_seconds=settle_seconds,
        progress=progress,
    )


def _decide(
    spark: SparkSession, schema: str, ledger: Ledger, delivery: Delivery, digest: str, by: str, reason: str
) -> Entry:
    """Note the decision in the ledger; returns it as it is there."""
    landed, of_file = ledger.landed(delivery.batch_id), ledger.of_file(delivery.batch_id)
    is_pending = ledger.decided(delivery.batch_id) is not None
    if landed is not None and landed.digest == digest and not is_pending:
        raise LakehouseError(
            f"{delivery.path} has the content that landed as batch {landed.batch_id}",
            "put the other content there first, under the same name",
        )
    if not of_file and ledger.never_comes(delivery) is None and not _is_held(spark, schema, delivery):
        raise LakehouseError(
            f"batch {delivery.batch_id} has not landed, so there is nothing to replace",
            "`lakehouse ingest` lands it",
        )
    newest = of_file[-1].batch_id if of_file else delivery.batch_id
    revision = revision_id(delivery.batch_id, revision_number(newest) + 1)
    row = entry_row(
        source=delivery.source,
        batch_id=revision,
        day=delivery.day,
        kind="supersede",
        at=datetime.now(UTC),
        digest=digest,
        supersedes=newest,
        decided_by=by,
        reason=reason,
    )
    append_entries(spark, schema, [row])
    decided = next(
        entry
        for entry in Ledger(read_entries(schema, spark)).of_file(delivery.batch_id)
        if entry.kind == "supersede" and entry.batch_id == revision
    )
    if decided.digest != digest:
        raise LakehouseError(
            f"{decided.decided_by} decided meanwhile that {revision} has other content ({decided.reason})",
            "agree on one content, put it there, and run it again",
        )
    return decided


def _is_held(spark: SparkSession, schema: str, delivery: Delivery) -> bool:
    """Whether an ingestion that died has left rows of a batch that the ledger does not know."""
    batch = f"_batch_id = {sql_text(delivery.batch_id)}"
    return bool(held_batches(spark, f"{schema}.{delivery.source}", batch))


def _checked(
    spark: SparkSession, source: Source, delivery: Delivery, landing: Path, schema: str, settle: float
) -> str:
    """The digest of the file's content, which is what its source declares: else nothing is decided."""
    file = file_name(delivery.path, landing)
    waiting = await_settled([(source, delivery)], settle)
    if delivery.path in waiting:
        raise LakehouseError(f"{file} is not whole: {waiting[delivery.path]}", "run it again later")
    now = datetime.now(UTC)
    if source.is_of_the_future(delivery, now):
        raise LakehouseError(f"{file}: {delivery.period} is still to come", "look at its name")
    table = f"{schema}.{source.name}"
    taken_up = {source.name: taken_up_columns(source, table, column_types(spark, table))}
    try:
        # What landed of it does not matter: all of it is looked at.
        offered = offer(source, delivery, landing, Ledger())
        with staging_folder(spark) as staging:
            found = scan(spark, [source], offered.files, taken_up, now, staging)
        digest = checked_digest(offered, found)
        batch = checked_batch(offered, found, digest)
    except (WaitingError, WrongManifestError, ProblemError, OSError) as error:
        raise LakehouseError(f"{file}: {error}", "nothing was decided; put the whole file there") from error
    if batch.rows == 0:
        raise LakehouseError(
            f"{file} has no row, so it cannot replace one",
            "readers would not notice that rows went: override the gate, or deliver rows that correct them",
        )
    return digest


def _file_of(batch_id: str, landing: Path, declared: Mapping[str, Source]) -> tuple[Source, Delivery]:
    wanted = first_id(batch_id)
    for source in declared.values():
        for delivery in source.deliveries(landing):
            if delivery.batch_id == wanted:
                return source, delivery
    raise LakehouseError(
        f"no file of the landing zone {landing} is batch {wanted}",
        "a batch is called as its file, without the suffix; put the other content there, under that name",
    )


def declare_missing(
    spark: SparkSession,
    source_name: str,
    periods: str,
    *,
    by: str,
    reason: str,
    declared: Mapping[str, Source] | None = None,
    schema: str = "bronze",
) -> list[Period]:
    """Note in the ledger that periods never come, so that what came after them counts as told.

    Args:
        periods: a day, an hour, or a range: `2013-10-01`, `2013-10-01T09`, `2013-10-01T09..2013-10-01T11`.
        by: who says so.
        reason: why.

    Returns:
        the periods that were not declared so before.

    Raises:
        LakehouseError: the source is unknown or delivers no periods; a period is not one, is still to come,
            lies before the first delivery, or landed in part.
    """
    declared = load_sources() if declared is None else declared
    check_words(by, reason)
    if source_name not in declared:
        raise LakehouseError(
            f"unknown source {source_name}", f"declared in sources/ are {', '.join(sorted(declared))}"
        )
    source = declared[source_name]
    if source.arrives == "snapshot" or source.database is not None:
        what = "reads a database" if source.database else "delivers snapshots"
        raise LakehouseError(f"{source_name} {what}", "of those no period can be missing")
    try:
        asked = parse_periods(periods)
    except ValueError as error:
        raise LakehouseError(
            f"{periods}: {error}", "give a day, an hour, or a range: 2013-10-01T09..2013-10-01T11"
        ) from None
    create_tables(spark, schema, [source])
    ledger = Ledger(read_entries(schema, spark))
    _check_missing(source, asked, ledger)
    _check_not_begun(spark, f"{schema}.{source.name}", source, asked)
    new = [period for period in asked if not ledger.overlapping(source.name, period, "missing")]
    rows = [
        entry_row(
            source=source.name,
            batch_id=f"{source.name}_{period}",
            day=period.day,
            kind="missing",
            at=datetime.now(UTC),
            delivered_from=period.start(source.time_zone),
            delivered_until=period.end(source.time_zone),
            decided_by=by,
            reason=reason,
        )
        for period in new
    ]
    append_entries(spark, schema, rows)
    return new


def _check_missing(source: Source, asked: list[Period], ledger: Ledger) -> None:
    now = datetime.now(UTC)
    told = [
        entry.delivered_until
        for entry in ledger.entries
        if entry.source == source.name and entry.kind == "delivery" and entry.delivered_until is not None
    ]
    for period in asked:
        if period.end(source.time_zone) > now:
            raise LakehouseError(f"{period} is not over yet", "declare it when it is")
        landed = ledger.overlapping(source.name, period, "delivery")
        if landed:
            raise LakehouseError(
                f"{', '.join(sorted(entry.batch_id for entry in landed))} landed for {period}",
                "declare only what never comes: a day, or hours of it such as 2013-10-01T09..2013-10-01T11",
            )
        if not told or period.end(source.time_zone) <= min(told):
            raise LakehouseError(
                f"{source.name} has delivered nothing before {period}",
                "what it tells begins with its first delivery, so nothing lacks before that",
            )


def _check_not_begun(spark: SparkSession, table: str, source: Source, asked: list[Period]) -> None:
    """An ingestion that died before the ledger's row was written has left rows of a period in bronze."""
    begin = " or ".join(
        f"_batch_id = '{source.name}_{period}' or startswith(_batch_id, '{source.name}_{period}T')"
        for period in asked
    )
    held = held_batches(spark, table, begin)
    if held:
        raise LakehouseError(
            f"rows of {', '.join(sorted(held))} are in {table}, and not in the ledger yet",
            "an ingestion was interrupted: `lakehouse ingest` completes it",
        )


def check_words(by: str, reason: str) -> None:
    """Refuse a decision without a name or a reason.

    Raises:
        LakehouseError: one of them is blank.
    """
    if not by.strip() or not reason.strip():
        raise LakehouseError("a decision needs a name and a reason", "give --by NAME and --reason WHY")
