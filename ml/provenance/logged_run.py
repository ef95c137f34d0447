"""All that a reproduction needs of a training run, from MLflow or from an exported bundle."""

from dataclasses import dataclass
from pathlib import Path

from lakehouse.delta.content_hash import HASH_VERSION
from lakehouse.engine.session import spark_session
from lakehouse.errors import LakehouseError
from ml.model.bundle import Bundle, read_files
from ml.provenance.digests import require
from ml.provenance.manifest import Manifest, load_manifest, manifest_of
from ml.tracking.registry import ModelVersion, model_of_run
from ml.tracking.runs import ARCHIVE, MANIFEST, VALIDATED, artifact, find_run

# How a run's metrics of its best epoch are called.
_BEST = "best_"


@dataclass(frozen=True)
class TrainingRun:
    """A training run as it was logged.

    Args:
        archive: its `code.tar.gz`.
        metrics: of its model on the validation rows.
        model_folder: where its model lies; None for the model that it registered.
    """

    run_id: str
    manifest: Manifest
    archive: bytes
    metrics: dict[str, float]
    model_folder: Path | None = None

    def bundle_folder(self) -> Path:
        """Where the files of its model lie.

        Raises:
            LakehouseError: it registered none, or its files are gone.
        """
        return self.model_folder or model_of_run(self.run_id).folder


def logged_run(run_id: str) -> TrainingRun:
    """A run of this warehouse's MLflow.

    Raises:
        LakehouseError: there is no such run, it has no manifest, a file of it was replaced, or the manifest
            needs other code.
    """
    metrics = find_run(run_id).data.metrics
    manifest, code = artifact(run_id, MANIFEST), artifact(run_id, ARCHIVE).read_bytes()
    require(spark_session(), run_id, {MANIFEST: manifest.read_bytes(), ARCHIVE: code})
    return TrainingRun(
        run_id=run_id,
        manifest=known_hash(load_manifest(manifest)),
        archive=code,
        metrics={
            name.removeprefix(_BEST): value for name, value in metrics.items() if name.startswith(_BEST)
        },
    )


def measured_bundle(model: ModelVersion) -> Bundle:
    """The weights that a version's metrics are of: those before it was trained again on its validation rows.

    Of a version that was not, its own.

    Raises:
        LakehouseError: its run or its files are gone.
    """
    refit = manifest_of(model.run_id).spec.training.refit
    if not refit:
        return Bundle.from_files(files_of(model))
    files = read_files(artifact(model.run_id, VALIDATED))
    require(spark_session(), model.run_id, {f"{VALIDATED}/{name}": each for name, each in files.items()})
    return Bundle.from_files(files)


def files_of(model: ModelVersion) -> dict[str, bytes]:
    """The files of a version's model, as its run wrote them.

    Raises:
        LakehouseError: one is missing, or was replaced.
    """
    files = read_files(model.folder)
    require(spark_session(), model.run_id, files)
    return files


def known_hash(manifest: Manifest) -> Manifest:
    """The manifest, if its content was hashed as this code does.

    Raises:
        LakehouseError: it was hashed by another version.
    """
    if manifest.content.hash_version != HASH_VERSION:
        raise LakehouseError(
            f"logged with content hash version {manifest.content.hash_version}, this code has {HASH_VERSION}",
            "reproduce it with the code that logged it",
        )
    return manifest
