"""What is to become of a delivery that was read: it may land, or it is skipped, refused, or waits."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
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
    is_part,
    look,
    read_manifest,
)
from lakehouse.ingest.delivery import Delivery, file_name, first_id, is_of_store
from lakehouse.ingest.ledger import Entry, Ledger
from lakehouse.ingest.offer import Found, Offer
from lakehouse.ingest.read.problems import ProblemError
from lakehouse.ingest.report import IngestReport, Refusal, Waiting
from lakehouse.ingest.source import Source


@dataclass(frozen=True)
class Offered:
    """A delivery that is to be read.

    Args:
        file: it, below the landing zone.
        seen: how it looked before it was read.
        files: what is read of it: itself, or its parts in the order of their names; each with its bytes.
        decision: that its content supersedes another one.
    """

    source: Source
    delivery: Delivery
    file: str
    seen: Look
    manifest: Manifest | None
    files: Sequence[tuple[Offer, int]]
    decision: Entry | None = None


@dataclass(frozen=True)
class Batch:
    """A delivery that was read, and is what its source declares.

    Args:
        batch_id: of this content: the delivery's, or that of a revision.
        digest: SHA-256 of the file; of a folder, see `digest_of`.
        rows: how many of its rows are as declared.
        unreadable: how many are not.
        new_columns: type of each column that is not declared.
        staged, set_aside: the staged files in which these and those rows are, among others.
        decision: that this content supersedes another one.
        replaced: the batches that it supersedes, oldest first.
    """

    delivery: Delivery
    batch_id: str
    file: str
    digest: str
    seen: Look
    rows: int
    unreadable: int
    new_columns: Mapping[str, str]
    staged: frozenset[str] = frozenset()
    set_aside: frozenset[str] = frozenset()
    decision: Entry | None = None
    replaced: tuple[str, ...] = ()

    @property
    def delivered(self) -> int:
        """How many rows the delivery has, readable or not."""
        return self.rows + self.unreadable


def offer(source: Source, delivery: Delivery, landing: Path, ledger: Ledger) -> Offered:
    """What Spark's tasks are asked of a delivery.

    Raises:
        WaitingError: its manifest is not there.
        WrongManifestError: its manifest is not one.
        ProblemError: it is a folder with files that are not its parts.
        OSError: it cannot be looked at.
    """
    decision = ledger.decided(delivery.batch_id)
    manifest = read_manifest(source, delivery.path)
    seen = look(delivery.path)
    paths = _parts(source, delivery.path) if source.has_parts else [delivery.path]
    files = [
        (
            Offer(
                source=source.name,
                batch_id=decision.batch_id if decision else delivery.batch_id,
                path=str(path),
                file=file_name(path, landing),
                delivered_until=delivery.delivered_until,
                is_known=decision is None and ledger.landed(delivery.batch_id) is not None,
            ),
            path.stat().st_size,
        )
        for path in paths
    ]
    return Offered(source, delivery, file_name(delivery.path, landing), seen, manifest, files, decision)


def _parts(source: Source, folder: Path) -> list[Path]:
    parts = sorted(part for part in folder.iterdir() if is_part(part))
    others = [part.name for part in parts if not part.name.endswith(source.suffix) or not part.is_file()]
    if others:
        raise ProblemError(f"holds {', '.join(others[:5])}, which is not a file *{source.suffix}")
    return parts


def digest_of(found: Mapping[str, str]) -> str:
    """SHA-256 of a folder of parts: of the lines that `sha256sum` prints for them, by name.

    Args:
        found: SHA-256 of each part, by its name.

    >>> digest_of({"b.csv": "22", "a.csv": "11"}) == hashlib.sha256(b"11  a.csv\\n22  b.csv\\n").hexdigest()
    True
    """
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(found.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def take(offered: Offered, found: Mapping[str, Found], ledger: Ledger, report: IngestReport) -> Batch | None:
    """Decide about a delivery; None where it does not land, which the report then has.

    Args:
        found: what was found in files, by their paths.
    """
    try:
        return _take(offered, found, ledger, report)
    except WaitingError as waiting:
        report.waiting.append(Waiting(offered.file, str(waiting)))
    except (WrongManifestError, ProblemError) as refused:
        report.refused.append(Refusal(offered.file, str(refused)))
    except OSError as error:
        why = f"cannot be read: {error.strerror or error}"
        if is_of_store(error):
            report.waiting.append(Waiting(offered.file, why))
        else:
            # It went while it was read.
            report.refused.append(Refusal(offered.file, why))
    return None


def _take(offered: Offered, found: Mapping[str, Found], ledger: Ledger, report: IngestReport) -> Batch | None:
    delivery, decision = offered.delivery, offered.decision
    digest = checked_digest(offered, found)
    landed = ledger.landed(delivery.batch_id)
    if decision is not None and decision.digest != digest:
        raise ProblemError(_other_than_decided(decision, digest))
    if decision is None and landed is not None:
        settle(landed.batch_id, offered.file, digest, landed.digest, landed.ingested_at, report)
        return None
    never = ledger.never_comes(delivery) if decision is None else None
    batch = checked_batch(offered, found, digest, may_lack_rows=never is not None)
    if never is not None:
        if batch.delivered:
            raise ProblemError(_came_after_all(never, delivery))
        report.skipped.append(delivery.batch_id)
        return None
    return batch if decision is None else _replacing(batch, decision, ledger)


def _replacing(batch: Batch, decision: Entry, ledger: Ledger) -> Batch:
    of_file = ledger.of_file(batch.delivery.batch_id)
    replaced = tuple(dict.fromkeys(entry.supersedes for entry in of_file if entry.supersedes))
    return dataclasses.replace(batch, batch_id=decision.batch_id, decision=decision, replaced=replaced)


def checked_digest(offered: Offered, found: Mapping[str, Found]) -> str:
    """The SHA-256 of a delivery that stood still, which is what its manifest says.

    Raises:
        WaitingError: it did not stand still.
        WrongManifestError: its manifest says another one.
        ProblemError: it cannot be read.
    """
    parts = _found(offered, found)
    for part in parts:
        if part.waiting is not None:
            raise WaitingError(part.waiting)
    if look(offered.delivery.path) != offered.seen:
        raise WaitingError("it is still being written")
    for part in parts:
        if not part.digest:
            raise ProblemError(_in_part(offered, part))
    if offered.source.has_parts:
        digest = digest_of({Path(part.offer.path).name: part.digest for part in parts})
    else:
        digest = parts[0].digest
    check_digest(offered.manifest, digest)
    return digest


def checked_batch(
    offered: Offered, found: Mapping[str, Found], digest: str, *, may_lack_rows: bool = False
) -> Batch:
    """A delivery with as many rows as its manifest and its declaration ask for.

    Raises:
        ProblemError: it is not what its source declares, or has too few rows.
        WrongManifestError: its manifest says another number of rows.
    """
    source, parts = offered.source, _found(offered, found)
    for part in parts:
        if part.refused is not None:
            raise ProblemError(_in_part(offered, part))
    new_columns: dict[str, str] = {}
    for part in parts:
        new_columns |= part.new_columns
    batch = Batch(
        offered.delivery,
        offered.delivery.batch_id,
        offered.file,
        digest,
        offered.seen,
        sum(part.rows for part in parts),
        sum(part.unreadable for part in parts),
        new_columns,
        frozenset().union(*(part.staged for part in parts)),
        frozenset().union(*(part.set_aside for part in parts)),
    )
    check_rows(offered.manifest, batch.delivered)
    least = source.least_rows(offered.delivery)
    if batch.delivered < least and not may_lack_rows and not (batch.delivered == 0 and source.may_be_empty):
        raise ProblemError(_too_short(source, batch.delivered, least))
    return batch


def _found(offered: Offered, found: Mapping[str, Found]) -> list[Found]:
    return [found[asked.path] for asked, _ in offered.files]


def _in_part(offered: Offered, part: Found) -> str:
    """A part's problem, with its name where the delivery has several."""
    name = f"{Path(part.offer.path).name}: " if offered.source.has_parts else ""
    return f"{name}{part.refused}"


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
