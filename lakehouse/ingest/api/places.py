"""Where the deliveries of a source are that is fetched, and the pages of those that are not whole yet."""

from pathlib import Path

from lakehouse.ingest.periods import Period
from lakehouse.ingest.source import MANIFEST, Source

_PAGES = ".pages"


def delivery_path(source: Source, landing: Path, period: Period) -> Path:
    """Where the delivery of a period is written."""
    return landing / str(source.path).replace("{delivery}", str(period))


def manifest_of(path: Path) -> Path:
    """The manifest of a delivery; it is written last."""
    return path.with_name(path.name + MANIFEST)


def is_whole(path: Path) -> bool:
    """Whether a delivery lies there with its manifest."""
    return path.is_file() and manifest_of(path).is_file()


def validators_of(path: Path) -> Path:
    """What the API said by which to ask whether a delivery has changed; no delivery has such a name."""
    return path.with_name(f".{path.name}.validators")


def pages_folder(source: Source, landing: Path) -> Path:
    """Where the pages of its deliveries are kept, until these are whole; a folder per period."""
    return landing / source.folder / _PAGES / source.name
