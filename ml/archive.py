"""The code that builds a training set and trains on it, as one archive: git is not needed for it."""

import gzip
import io
import tarfile
from pathlib import Path

# Files and folders below the project's root, in the working tree's state, committed or not.
ARCHIVED = (
    "dbt_project.yml",
    "profiles.yml",
    "packages.yml",
    "package-lock.yml",
    "dependencies.yml",
    "dbt_packages",
    "dbt_project",
    "sources",
    "ml",
    "lakehouse",
    "requirements.lock",
)
_IGNORED = {"__pycache__", "target", "logs"}


def archive(root: Path) -> bytes:
    """A tar.gz of the dbt project, the sources, `ml` with its specs, what it imports, and the lock file.

    The same files give the same bytes: names sorted, no owners, no times.
    """
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", filename="", mtime=0, compresslevel=6) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(_files(root)):
            content = path.read_bytes()
            entry = tarfile.TarInfo(path.relative_to(root).as_posix())
            entry.size = len(content)
            entry.mode = 0o644
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _files(root: Path) -> set[Path]:
    found: set[Path] = set()
    for name in ARCHIVED:
        path = root / name
        candidates = path.rglob("*") if path.is_dir() else [path]
        found |= {
            file
            for file in candidates
            if file.is_file() and not _IGNORED.intersection(file.relative_to(root).parts)
        }
    return found


def unpack(archive: bytes, folder: Path) -> Path:
    """Unpack an archive of the code into a folder."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        tar.extractall(folder, filter="data")
    return folder
