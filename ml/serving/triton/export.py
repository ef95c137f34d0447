"""A registered version written as a model repository of Triton Inference Server."""

import ast
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT
from ml.model.bundle import Bundle, read_files
from ml.provenance.digests_here import require_here
from ml.serving.triton import scorer
from ml.serving.triton.config import config_of
from ml.serving.triton.golden import write_golden
from ml.tracking.registry import ModelVersion

CONFIG, MODEL, CODE = "config.pbtxt", "model.py", "code"

# Packages whose modules travel with a version.
_OURS = ("ml", "lakehouse")


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Args:
        repository: what `tritonserver --model-repository` takes.
        folder: of the version.
        written: False when the same files were there already.
    """

    name: str
    version: str
    run_id: str
    repository: Path
    folder: Path
    numeric_features: int
    categorical_features: int
    weights_sha256: str
    written: bool


def export(model: ModelVersion, repository: Path) -> Exported:
    """Write a version into a model repository and make it the one that is served.

    Versions that were exported before stay beside it; exporting one again serves it again.

    Raises:
        LakehouseError: a file of the version was replaced, the version is there with other files, or the
            folder is not one of a model repository.
    """
    files = read_files(model.folder)
    require_here(model.run_id, files)
    bundle = Bundle.from_files(files)
    home = repository.resolve() / model.name
    if repository.is_file() or home.is_file():
        raise LakehouseError(f"{repository} is not a folder for models", "name another one with --to")
    home.mkdir(parents=True, exist_ok=True)
    weights = bundle.weights_hash()
    facts = {"run_id": model.run_id, "weights_sha256": weights}
    written = _place(home, model.version, bundle)
    # Last: until then the server finds the version that it had.
    _replace(home / CONFIG, config_of(model.name, model.version, bundle.encoding, facts))
    return Exported(
        name=model.name,
        version=model.version,
        run_id=model.run_id,
        repository=repository.resolve(),
        folder=home / model.version,
        numeric_features=len(bundle.encoding.edges),
        categorical_features=len(bundle.encoding.categories),
        weights_sha256=weights,
        written=written,
    )


def _place(home: Path, version: str, bundle: Bundle) -> bool:
    """Put the version's folder there, whole or not at all; False when it is there already."""
    # Triton passes over folders that are not called by a number.
    with tempfile.TemporaryDirectory(prefix=f".{version}.", dir=home) as scratch:
        made = Path(scratch) / version
        bundle.save(made / scorer.BUNDLE)
        write_golden(bundle, made / scorer.GOLDEN)
        shutil.copyfile(Path(__file__).parent / MODEL, made / MODEL)
        _copy_code(made / CODE)
        _let_all_read(made)
        there = home / version
        try:
            made.rename(there)
        except OSError:
            # There already, perhaps since a moment ago.
            if not there.is_dir():
                raise
            _check_same(made, there)
            return False
    return True


def _check_same(made: Path, there: Path) -> None:
    if _hashes(made) != _hashes(there):
        raise LakehouseError(
            f"{there} has other files than this export",
            "it was exported by other code, or changed since: delete it, or name another folder with --to",
        )


def _hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _copy_code(folder: Path) -> None:
    for source in sources_of(scorer.__name__):
        target = folder / source.relative_to(PROJECT_ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def sources_of(start: str) -> Iterator[Path]:
    """The files of a module of ours, of all of ours that it imports, and of the packages they lie in."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        source = None if name in found else _source(name)
        if source is None:
            continue
        found.add(name)
        yield source
        waiting += [name.rpartition(".")[0], *_imports(source)]


def _source(name: str) -> Path | None:
    """Of a module or package; None: it is something in one."""
    path = PROJECT_ROOT.joinpath(*name.split("."))
    files = (path / "__init__.py", path.with_suffix(".py"))
    return next((each for each in files if name and each.is_file()), None)


def _imports(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_bytes())):
        match node:
            case ast.Import(names):
                named = [each.name for each in names]
            case ast.ImportFrom(module=str(module), names=names):
                # What is imported may be a module itself.
                named = [module, *(f"{module}.{each.name}" for each in names)]
            case _:
                continue
        yield from (each for each in named if each.partition(".")[0] in _OURS)


def _let_all_read(folder: Path) -> None:
    """The server runs as another user; a temporary folder is its maker's alone."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text)
    partial.replace(path)
