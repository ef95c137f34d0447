"""What is to become of one delivered file: a batch that may land, or it is skipped, refused, or waits."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lakehouse.ingest.complete import (
    Look,
    Manifest,
    WaitingError,
    WrongManifestError,
    check_digest,
    check_rows,
    read_manifest,
    read_still,
)
from lakehouse.ingest.delivery import Delivery, first_id
from lakehouse.ingest.ledger import Entry, Ledger
from lakehouse.ingest.problems import RefusedFileError
from lakehouse.ingest.report import IngestReport, Refusal, Waiting
from lakehouse.ingest.source import Source
from lakehouse.ingest.split import Content, read_content


@dataclass(frozen=True)
class Batch:
    """A file that was read, and is what its source declares.

    Args:
        batch_id: of this content: the file's, or that of a revision.
        seen: the file when it was read.
        decision: that this content supersedes another one.
        replaced: the batches that it supersedes, oldest first.
    """

    delivery: Delivery
    batch_id: str
    file: str
    digest: str
    seen: Look
    content: Content
    decision: Entry | None = None
    replaced: tuple[str, ...] = ()


def take(
    source: Source,
    delivery: Delivery,
    landing: Path,
    ledger: Ledger,
    taken_up: Mapping[str, str],
    report: IngestReport,
) -> Batch | None:
    """Read a file; None where it does not land, which the report then has."""
    file = str(delivery.path.relative_to(landing))
    try:
        return _take(source, delivery, file, ledger, taken_up, report)
    except WaitingError as waiting:
        report.waiting.append(Waiting(file, str(waiting)))
    except WrongManifestError as wrong:
        report.refused.append(Refusal(file, str(wrong)))
    except RefusedFileError as refused:
        report.refused.append(Refusal(file, refused.reason))
    except OSError as error:
        report.refused.append(Refusal(file, f"cannot be read: {error.strerror}"))
    return None


def _take(
    source: Source,
    delivery: Delivery,
    file: str,
    ledger: Ledger,
    taken_up: Mapping[str, str],
    report: IngestReport,
) -> Batch | None:
    raw = read_raw(source, delivery)
    landed, decision = ledger.landed(delivery.batch_id), ledger.decided(delivery.batch_id)
    if decision is not None and decision.digest != raw.digest:
        raise RefusedFileError(file, _other_than_decided(decision, raw.digest))
    if decision is None and landed is not None:
        settle(landed.batch_id, file, raw.digest, landed.digest, landed.ingested_at, report)
        return None
    never = ledger.never_comes(delivery) if decision is None else None
    content = read_typed(source, delivery, raw, file, taken_up, may_lack_rows=never is not None)
    if never is not None:
        if content.delivered:
            raise RefusedFileError(file, _came_after_all(never, delivery))
        report.skipped.append(delivery.batch_id)
        return None
    if decision is None:
        return Batch(delivery, delivery.batch_id, file, raw.digest, raw.seen, content)
    replaced = tuple(entry.supersedes for entry in ledger.of_file(delivery.batch_id) if entry.supersedes)
    unique = tuple(dict.fromkeys(replaced))
    return Batch(delivery, decision.batch_id, file, raw.digest, raw.seen, content, decision, unique)


@dataclass(frozen=True)
class Raw:
    """A file's bytes, their SHA-256, how the file looked, and what its manifest says."""

    content: bytes
    digest: str
    seen: Look
    manifest: Manifest | None


def read_raw(source: Source, delivery: Delivery) -> Raw:
    """A file that stood still, and is what its manifest says.

    Raises:
        WaitingError: it did not stand still, or its manifest is not there.
        WrongManifestError: its manifest says something else.
        OSError: it cannot be read.
    """
    manifest = read_manifest(source, delivery.path)
    content, seen = read_still(delivery.path)
    return Raw(content, check_digest(manifest, content), seen, manifest)


def read_typed(
    source: Source,
    delivery: Delivery,
    raw: Raw,
    file: str,
    taken_up: Mapping[str, str],
    *,
    may_lack_rows: bool = False,
) -> Content:
    """The rows of a file, as many as its manifest and its declaration ask for.

    Raises:
        RefusedFileError: it is not what its source declares, or has too few rows.
        WrongManifestError: its manifest says another number of rows.
    """
    content = read_content(source, raw.content, file, taken_up)
    check_rows(raw.manifest, content.delivered)
    least = source.least_rows(delivery)
    is_empty = content.delivered == 0
    if content.delivered < least and not may_lack_rows and not (is_empty and source.may_be_empty):
        raise RefusedFileError(file, _too_short(source, content.delivered, least))
    return content


def settle(
    batch_id: str, file: str, digest: str, held: str | None, landed_at: datetime, report: IngestReport
) -> None:
    """Report a batch that landed before: the same content is skipped, other content is refused.

    Args:
        held: SHA-256 of what landed.
        landed_at: UTC.
    """
    if held == digest:
        report.skipped.append(batch_id)
        return
    reason = (
        f"batch {batch_id} landed on {landed_at:%Y-%m-%d %H:%M} UTC with other content "
        f"(sha256 {str(held)[:12]}…, now {digest[:12]}…): deliver it under a name of its own, or replace "
        f"what landed: {supersede_command(batch_id)}"
    )
    report.refused.append(Refusal(file, reason))


def _other_than_decided(decision: Entry, digest: str) -> str:
    return (
        f"{decision.decided_by} decided on {decision.ingested_at:%Y-%m-%d} that batch {decision.batch_id} "
        f"replaces {decision.supersedes} with other content (sha256 {str(decision.digest)[:12]}…, now "
        f"{digest[:12]}…): deliver that again, or decide anew: {supersede_command(decision.batch_id)}"
    )


def _came_after_all(never: Entry, delivery: Delivery) -> str:
    return (
        f"{never.decided_by} declared on {never.ingested_at:%Y-%m-%d} that {never.period} never comes "
        f"({never.reason}): if it is right after all, {supersede_command(delivery.batch_id)}"
    )


def _too_short(source: Source, rows: int, least: int) -> str:
    said = f"has {rows or 'no'} {'row' if rows == 1 else 'rows'}"
    return f"{said}, but {source.name} declares at least {least} (min_rows, may_be_empty in its declaration)"


def supersede_command(batch_id: str) -> str:
    """What a person types to let a file's other content replace what landed."""
    return f"lakehouse ingest --supersede {first_id(batch_id)} --by NAME --reason WHY"
