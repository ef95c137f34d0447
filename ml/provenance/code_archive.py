"""The code that builds a training set and trains on it, as one archive: git is not needed for it."""

import gzip
import io
import shutil
import tarfile
from pathlib import Path

from lakehouse.errors import LakehouseError

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
    """Unpack an archive of the code into a folder.

    Raises:
        LakehouseError: as `unpack_files`.
    """
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        unpack_files(tar, folder)
    return folder


def unpack_files(tar: tarfile.TarFile, folder: Path) -> int:
    """Unpack a tar of plain files below a folder.

    Python's own filter for that came with 3.11.4; Debian 12 has 3.11.2.

    Returns:
        how many files it holds.

    Raises:
        LakehouseError: a member is not a plain file, or would lie elsewhere; what came before it is there.
    """
    root, count = folder.resolve(), 0
    for member in tar:
        path, content = root / member.name, tar.extractfile(member) if member.isreg() else None
        if content is None or root not in path.resolve().parents:
            raise LakehouseError(
                f"the archive's {member.name} is not a plain file below its folder",
                "what this project writes holds none: get the archive again from where it was made",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            shutil.copyfileobj(content, file)
        count += 1
    return count
