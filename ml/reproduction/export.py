"""A training run as one file, all it takes to reproduce it elsewhere: manifest, code, model, bronze."""

import io
import json
import re
import tarfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.delta.owned_schemas import owned_schemas
from lakehouse.delta.place import data_folder
from lakehouse.delta.table import file_names, sql_text
from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress, silent
from lakehouse.settings import settings
from ml.provenance.code_archive import unpack_files
from ml.provenance.logged_run import TrainingRun, files_of, known_hash
from ml.provenance.manifest import PinnedTable, load_manifest
from ml.provenance.verify import pin_differences
from ml.tracking.registry import model_of_run
from ml.tracking.runs import ARCHIVE, MANIFEST

# Raised when a reader of older bundles would go wrong.
FORMAT = 1
RUN, MODEL, BRONZE = "run.json", "model", "bronze"


def export_run(spark: SparkSession, run: TrainingRun, path: Path, progress: Progress = silent) -> Path:
    """Write a bundle: an uncompressed tar, as what is large in it (Parquet) is compressed.

    Of each source it holds the files of the pinned version, and Delta's log up to it.

    Raises:
        LakehouseError: the file exists, or a pinned source is not what it was.
    """
    if path.exists():
        raise LakehouseError(f"{path} exists", "name another file")
    sources = [pin for pin in run.manifest.upstream if pin.is_source]
    for pin in sources:
        wrong = pin_differences(spark, pin)
        if wrong:
            raise LakehouseError(
                f"{pin.table} is not what run {run.run_id} read: {wrong[0].kind} {wrong[0].after}",
                "`lakehouse reproduce RUN_ID --rebuild` tells all of it",
            )
    written = path.with_name(f".{path.name}.part")
    members: dict[str, bytes | Path] = {MANIFEST: run.manifest.to_json().encode(), ARCHIVE: run.archive}
    for name, content in files_of(model_of_run(run.run_id)).items():
        members[f"{MODEL}/{name}"] = content
    for pin in sources:
        folder = data_folder(spark, pin.name, pin.version)
        for file in _files_of(spark, pin, folder):
            members[f"{BRONZE}/{_table(pin)}/{file.relative_to(folder)}"] = file
    facts = {"format": FORMAT, "run_id": run.run_id, "metrics": run.metrics, "files": len(members)}
    try:
        with tarfile.open(written, "w") as tar:
            _add(tar, RUN, json.dumps(facts, indent=1).encode())
            for number, (name, content) in enumerate(members.items(), 1):
                progress(f"{number} of {len(members)} files: {name}")
                if isinstance(content, Path):
                    tar.add(content, name)
                else:
                    _add(tar, name, content)
        written.rename(path)
    finally:
        written.unlink(missing_ok=True)
    return path


def _files_of(spark: SparkSession, pin: PinnedTable, folder: Path) -> Iterable[Path]:
    """The files of a version, and the log up to it; what points at the newest version stays behind."""
    names = file_names(spark, pin.table)
    yield from (file for file in sorted(folder.rglob("*.parquet")) if file.name in names)
    for file in sorted((folder / "_delta_log").iterdir()):
        if file.name[:20].isdigit() and int(file.name[:20]) <= pin.version:
            yield file


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mode = 0o644
    tar.addfile(entry, io.BytesIO(content))


@contextmanager
def imported_run(spark: SparkSession, path: Path, progress: Progress = silent) -> Generator[TrainingRun]:
    """A run from a bundle; its sources stand in a schema of their own, which goes away afterwards.

    Raises:
        LakehouseError: the file is not a bundle, is damaged, or is being imported by another process.
    """
    facts = _facts(path)
    schema = f"import_{facts['run_id'][:12]}"
    folder = settings().tables_dir / f"{schema}.db"
    with owned_schemas(spark, [schema], progress=progress):
        progress(f"unpacking {path.name}")
        _unpack(path, folder, facts["files"])
        manifest = known_hash(load_manifest(folder / MANIFEST))
        sources = {pin.name: f"{schema}.{_table(pin)}" for pin in manifest.upstream if pin.is_source}
        for name in sources.values():
            table = folder / BRONZE / name.partition(".")[2]
            spark.sql(f"create table {name} using delta location {sql_text(str(table))}")
        upstream = tuple(
            pin.model_copy(update={"name": sources.get(pin.name, pin.name)}) for pin in manifest.upstream
        )
        yield TrainingRun(
            run_id=facts["run_id"],
            manifest=manifest.model_copy(update={"upstream": upstream}),
            archive=(folder / ARCHIVE).read_bytes(),
            metrics=facts["metrics"],
            model_folder=folder / MODEL,
        )


def _unpack(path: Path, folder: Path, files: int) -> None:
    try:
        with tarfile.open(path) as tar:
            # A tar that ends between two files is no error to tarfile.
            found = unpack_files(tar, folder) - 1
    except (OSError, tarfile.TarError) as error:
        raise LakehouseError(f"{path} is damaged: {error}", "export it again") from error
    if found != files:
        raise LakehouseError(f"{path} is damaged: it holds {found} files of {files}", "export it again")


def _facts(path: Path) -> dict[str, Any]:
    try:
        with tarfile.open(path) as tar:
            # The first member, so that the rest is not read here.
            member = tar.next()
            content = tar.extractfile(member) if member and member.name == RUN else None
            facts: dict[str, Any] = json.loads(content.read()) if content else {}
    except (OSError, tarfile.TarError, ValueError) as error:
        raise LakehouseError(
            f"{path} is not a bundle of a run: {error}",
            "`lakehouse reproduce RUN_ID --export FILE` makes one",
        ) from error
    if facts.get("format") != FORMAT:
        raise LakehouseError(f"{path} has format {facts.get('format')}, this code knows {FORMAT}")
    if not re.fullmatch(r"[0-9a-f]{32}", str(facts.get("run_id"))):
        # A folder is named by it.
        raise LakehouseError(f"{path} is of run {facts.get('run_id')!r}, which is not an id of MLflow's")
    return facts


def _table(pin: PinnedTable) -> str:
    return pin.name.rpartition(".")[2]
