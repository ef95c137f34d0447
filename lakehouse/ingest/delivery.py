"""What a delivered file is by its name, and the names that later contents of it get."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from lakehouse.errors import LakehouseError
from lakehouse.ingest.periods import Period

OBJECT_STORES = ("s3://", "s3a://")
_OF_STORE = re.compile("AWS Error|When resolving region")
_REVISION = re.compile(r"_r([1-9]\d*)$")


class UnlistedError(LakehouseError):
    """A source's folder cannot be listed: its store does not answer, or not to us."""


@dataclass(frozen=True)
class Delivery:
    """One file: a batch, which lands once.

    Args:
        batch_id: the file's name without its suffix.
        day: the local day that the name says.
        period: the day, or the hour of it.
        note: what the name says after the period; None for a regular delivery.
        delivered_from, delivered_until: UTC instants between which the source has now told everything; None
            for a snapshot and for a delivery beside the regular ones, such as corrections.
    """

    source: str
    batch_id: str
    path: Path
    day: date
    period: Period
    note: str | None
    delivered_from: datetime | None
    delivered_until: datetime | None


def entries(folder: Path) -> list[tuple[Path, bool]]:
    """What lies in a folder of the landing zone or of a bucket, and whether it is a folder; of none nothing.

    Raises:
        UnlistedError: it cannot be listed.
    """
    try:
        if "://" not in str(folder):
            return [(path, path.is_dir()) for path in folder.iterdir() if path.exists()]
        from lakehouse.ingest.object_store import listed

        return listed(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UnlistedError(
            f"{folder} cannot be listed: {error}",
            "docs/ingestion.md says where the object store's address and credentials come from",
        ) from error


def is_of_store(error: OSError) -> bool:
    """Whether a store did not answer, or not to us: no fault of a file, which is waited for.

    Arrow has one type of error for all that fails in reading.

    >>> is_of_store(OSError("When getting information for key 'a': AWS Error NETWORK_CONNECTION"))
    True
    >>> is_of_store(OSError("zlib inflate failed: incorrect data check"))
    False
    """
    return _OF_STORE.search(str(error)) is not None


def file_name(path: Path, landing: Path) -> str:
    """A delivery, or a part of one, as reports, ledger and bronze name it.

    >>> file_name(Path("/landing/a/a_2013-07-01.csv"), Path("/landing"))
    'a/a_2013-07-01.csv'

    Returns:
        its path below the landing zone; of an object store its URI.
    """
    return str(path) if "://" in str(path) else str(path.relative_to(landing))


def revision_id(batch_id: str, number: int) -> str:
    """The batch id of a batch's second content, or a later one: it sorts after the first, and has its day."""
    return f"{batch_id}_r{number}"


def released_id(batch_id: str) -> str:
    """The batch id of those unreadable rows of a batch that were released.

    >>> released_id("flight_actuals_2013-10-01")
    'flight_actuals_2013-10-01_released'
    """
    return f"{batch_id}_released"


def first_id(batch_id: str) -> str:
    """The batch id of the first content of a revision's file.

    >>> first_id("flight_actuals_2013-10-01_r2"), first_id("flight_actuals_2013-10-01")
    ('flight_actuals_2013-10-01', 'flight_actuals_2013-10-01')
    """
    return _REVISION.sub("", batch_id)


def revision_number(batch_id: str) -> int:
    """Which content of its file a batch is, from 1.

    >>> revision_number("flight_actuals_2013-10-01_r2"), revision_number("flight_actuals_2013-10-01")
    (2, 1)
    """
    matched = _REVISION.search(batch_id)
    return int(matched[1]) if matched else 1


def is_revision(note: str | None) -> bool:
    """Whether a file's note is what revisions end in, which no file may be called."""
    return note is not None and _REVISION.search(f"_{note}") is not None


def in_bucket(files: str) -> str:
    """A path below the landing zone, or that in the bucket of a URI.

    >>> in_bucket("a/a_{delivery}.csv"), in_bucket("s3://flights/in/a_{delivery}.csv")
    ('a/a_{delivery}.csv', 'in/a_{delivery}.csv')
    """
    return files.partition("://")[2].partition("/")[2] if files.startswith(OBJECT_STORES) else files
