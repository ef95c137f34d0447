"""Whether a delivered file is whole: a marker or manifest says so, or it has stood still for a while.

Only whoever writes a file knows when it is whole, so a source that can say it does, by a file beside it.
Of the others, one that was changed within the last `LAKEHOUSE_SETTLE_SECONDS` is looked at again once it is
older, at most that long later: it is taken if it has stood still, and waits for the next call if not.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.ingest.delivery import Delivery, is_of_store
from lakehouse.ingest.source import MANIFEST, MARKER, Source


@dataclass(frozen=True)
class Look:
    """A delivery as it was seen: its bytes, and when it was last changed, in nanoseconds since 1970."""

    size: int
    modified_ns: int


class WaitingError(Exception):
    """A file that is not whole yet, and why. It is neither refused nor landed."""


class WrongManifestError(Exception):
    """A manifest that is not one, or a file that is not what its manifest says."""


def look(path: Path) -> Look:
    """Look at a file; or at a folder of parts, which has the size of all and the youngest one's time.

    Raises:
        OSError: it is gone, or may not be looked at.
    """
    status = path.stat()
    if not path.is_dir():
        return Look(status.st_size, status.st_mtime_ns)
    parts = [part.stat() for part in path.iterdir() if is_part(part)]
    # A folder's own time says when a part came or went.
    changed = max((part.st_mtime_ns for part in parts), default=0)
    return Look(sum(part.st_size for part in parts), max(changed, status.st_mtime_ns))


def is_part(path: Path) -> bool:
    """Whether a file in a delivery's folder is a part of it: others are hidden, as Spark has it."""
    return not path.name.startswith((".", "_"))


def is_young(seen: Look, settle_seconds: float, now_ns: int) -> bool:
    """Whether a file was changed less than `settle_seconds` ago, or later than now by another clock."""
    return now_ns - seen.modified_ns < settle_seconds * 1e9


def is_complete(source: Source, delivery: Delivery, settle_seconds: float) -> bool:
    """Whether a file may be taken, by one look; one changed later than now, by another clock, may."""
    try:
        if source.complete_when != "settled":
            return is_marked(source, delivery.path)
        seen, now_ns = look(delivery.path), time.time_ns()
    except OSError:
        return False
    return seen.modified_ns > now_ns or not is_young(seen, settle_seconds, now_ns)


def is_marked(source: Source, path: Path) -> bool:
    """Whether the marker or manifest of a delivery is there; a folder may have Spark's `_SUCCESS` in it."""
    has_success = source.complete_when == "marker" and source.has_parts and (path / "_SUCCESS").is_file()
    return has_success or beside(source, path).is_file()


def beside(source: Source, path: Path) -> Path:
    """The marker or manifest of a file, where its source has one."""
    return path.with_name(path.name + (MANIFEST if source.complete_when == "manifest" else MARKER))


def await_settled(offered: Iterable[tuple[Source, Delivery]], settle_seconds: float) -> dict[Path, str]:
    """Wait until the youngest of these files is old enough, at most `settle_seconds` in all.

    Returns:
        the files that are not whole, and why.
    """
    waiting: dict[Path, str] = {}
    young: dict[Path, Look] = {}
    wait = 0.0
    for source, delivery in offered:
        path = delivery.path
        if source.complete_when != "settled":
            named = f"its {source.complete_when} {beside(source, path).name}"
            try:
                if not is_marked(source, path):
                    waiting[path] = f"{named} is not there yet"
            except OSError as error:
                waiting[path] = f"{named} cannot be looked for: {error.strerror or error}"
            continue
        try:
            seen = look(path)
        except OSError:
            continue  # reading it says what is wrong
        now_ns = time.time_ns()
        if is_young(seen, settle_seconds, now_ns):
            young[path] = seen
            # By the file's own clock; a clock that runs ahead of ours is not waited for any longer than that.
            wait = max(wait, min(settle_seconds, settle_seconds - (now_ns - seen.modified_ns) / 1e9))
    if young:
        time.sleep(wait)
    for path, seen in young.items():
        try:
            if look(path) != seen:
                waiting[path] = "it is still being written"
        except OSError:
            continue
    return waiting


@dataclass(frozen=True)
class Manifest:
    """What a manifest says of its file: how many rows, and the SHA-256 of its bytes."""

    rows: int
    sha256: str


def read_manifest(source: Source, path: Path) -> Manifest | None:
    """What lies beside a file of a source whose deliveries have manifests: `{"rows": 2, "sha256": "…"}`.

    Raises:
        WaitingError: it is not there yet.
        WrongManifestError: it is not of this form.
    """
    if source.complete_when != "manifest":
        return None
    manifest = beside(source, path)
    try:
        said: Any = json.loads(manifest.read_bytes())
    except FileNotFoundError:
        raise WaitingError(f"its manifest {manifest.name} is not there yet") from None
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and is_of_store(error):
            raise WaitingError(f"its manifest {manifest.name} cannot be read: {error}") from error
        raise WrongManifestError(f"its manifest {manifest.name} cannot be read: {error}") from error
    rows, sha256 = (said.get("rows"), said.get("sha256")) if isinstance(said, dict) else (None, None)
    if not isinstance(rows, int) or isinstance(rows, bool) or not isinstance(sha256, str):
        raise WrongManifestError(
            f'its manifest {manifest.name} is not of the form {{"rows": 2, "sha256": "…"}}'
        )
    return Manifest(rows, sha256.lower())


def check_digest(manifest: Manifest | None, digest: str) -> None:
    """Compare a delivery's SHA-256 with what its manifest says.

    Raises:
        WrongManifestError: the manifest says another one.
    """
    if manifest is not None and manifest.sha256 != digest:
        raise WrongManifestError(
            f"its sha256 is {digest[:12]}…, but its manifest says {manifest.sha256[:12]}…"
        )


def check_rows(manifest: Manifest | None, rows: int) -> None:
    """Compare a file's rows with what its manifest says.

    Raises:
        WrongManifestError: the manifest says another number.
    """
    if manifest is not None and manifest.rows != rows:
        raise WrongManifestError(f"it has {rows} rows, but its manifest says {manifest.rows}")
