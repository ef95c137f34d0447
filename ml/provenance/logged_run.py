"""All that a reproduction needs of a training run, from MLflow or from an exported bundle."""

from dataclasses import dataclass
from pathlib import Path

from lakehouse.delta.content_hash import HASH_VERSION
from lakehouse.errors import LakehouseError
from ml.model.bundle import Bundle
from ml.provenance.manifest import Manifest, manifest_of
from ml.tracking.registry import ModelVersion, model_of_run
from ml.tracking.runs import ARCHIVE, VALIDATED, artifact, find_run

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
        LakehouseError: there is no such run, it has no manifest, or the manifest needs other code.
    """
    metrics = find_run(run_id).data.metrics
    return TrainingRun(
        run_id=run_id,
        manifest=known_hash(manifest_of(run_id)),
        archive=artifact(run_id, ARCHIVE).read_bytes(),
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
    return Bundle.load(artifact(model.run_id, VALIDATED) if refit else model.folder)


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
