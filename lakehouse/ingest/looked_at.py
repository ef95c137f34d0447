"""Which deliveries an ingestion looks at: those that are listed, asked for, plausible, and not landed yet."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

from lakehouse.errors import LakehouseError
from lakehouse.ingest.delivery import Delivery, file_name
from lakehouse.ingest.ledger import Ledger
from lakehouse.ingest.listing import list_deliveries
from lakehouse.ingest.report import IngestReport, Refusal, Waiting
from lakehouse.ingest.source import Source


def listed_of(
    sources: Sequence[Source], landing: Path, report: IngestReport
) -> Mapping[str, Sequence[Delivery]]:
    """What lies of each source; of one whose store does not answer the report says so, and others go on."""
    listed = list_deliveries(sources, landing)
    for source in sources:
        if source.name in listed.unlisted:
            if source.bucket is None:
                raise LakehouseError(listed.unlisted[source.name], "may this user read that folder?")
            place = str(source.root(landing) / source.folder)
            report.waiting.append(Waiting(place, listed.unlisted[source.name]))
    return listed.deliveries


def offered_of(
    source: Source,
    found: Sequence[Delivery],
    ledger: Ledger,
    now: datetime,
    days: tuple[date, date] | None,
    also_pending: bool,
    batch_id: str | None,
) -> Sequence[Delivery]:
    """Those of a source's deliveries that are asked for; arguments as `ingest` of `land` has them."""
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


def misnamed(wanted: Iterable[Source], declared: Mapping[str, Source], landing: Path) -> Iterator[Refusal]:
    """Files in the sources' folders that no source's name fits, each once."""
    folders = {(source.bucket, source.folder): source for source in wanted if source.files}
    for place, source in folders.items():
        neighbours = [
            each for each in declared.values() if each.files and (each.bucket, each.folder) == place
        ]
        for path in source.misnamed(landing):
            if all(each.delivery(path) is None for each in neighbours):
                # Of several sources, the one that the name comes closest to says what is wrong.
                nearest = max(neighbours, key=lambda each: _common(each.name, path.name))
                yield Refusal(file_name(path, landing), nearest.why_misnamed(path))


def _common(name: str, file: str) -> int:
    return len(name) if file.startswith(f"{name}_") else 0


def plausible(
    source: Source, offered: Iterable[Delivery], landing: Path, now: datetime, report: IngestReport
) -> list[Delivery]:
    """The deliveries that are not of the future; those go to the report."""
    kept: list[Delivery] = []
    for delivery in offered:
        if source.is_of_the_future(delivery, now):
            reason = f"it says that it delivers {delivery.period}, which is still to come"
            report.refused.append(Refusal(file_name(delivery.path, landing), reason))
        else:
            kept.append(delivery)
    return kept


def unread_of(offered: Iterable[Delivery], ledger: Ledger, report: IngestReport) -> list[Delivery]:
    """The deliveries whose files have to be read; one that landed and was not touched since is skipped."""
    unread: list[Delivery] = []
    for delivery in offered:
        landed = ledger.landed(delivery.batch_id)
        if landed is not None and ledger.holds_as_it_is(delivery):
            report.skipped.append(landed.batch_id)
        else:
            unread.append(delivery)
    return unread
