"""Train a model from a published training set, log everything about it, and register it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import mlflow
import pyarrow as pa
from matplotlib.figure import Figure
from mlflow.data.delta_dataset_source import DeltaDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT
from pyspark.sql import SparkSession

from lakehouse.dbt.manifest import DbtModels, current_models
from lakehouse.engine.session import spark_session
from lakehouse.progress import Progress, silent
from lakehouse.settings import PROJECT_ROOT
from ml.data.training_rows import TrainingRows, scored
from ml.encoding.arrow import ArrowTable
from ml.encoding.tensors import labels_of
from ml.evaluation import plots
from ml.evaluation.metrics import calibration_by_month, metrics, permutation_importance
from ml.evaluation.model_card import Measured, measure, model_card
from ml.model.bundle import Bundle
from ml.provenance.code_archive import archive
from ml.provenance.digests import record
from ml.provenance.first_digests import trust_registered
from ml.provenance.manifest import Manifest
from ml.spec import Spec, flat
from ml.tracking import runs
from ml.tracking.registry import log_and_register
from ml.tracking.runs import ARCHIVE, MANIFEST, VALIDATED
from ml.training.checkpoint import Epoch
from ml.training.fit_bundle import fit_bundle, served_bundle
from ml.training.inputs import checked_rows, pin_published, training_manifest
from ml.training.loop import Fitted

CARD = "model_card.md"
# The tag that MLflow shows as a run's description; its own name for it is private.
MLFLOW_RUN_NOTE = "mlflow.note.content"
# MLflow keeps 36 characters of a digest.
_DIGEST = 36
# The curves need all validation rows; shuffling each feature in turn needs only enough to rank them.
IMPORTANCE_ROWS = 6000
EXAMPLE_ROWS = 5


# Below a run's checkpoints: those of the training on the validation month as well.
REFIT = "refit"


@dataclass(frozen=True)
class TrainedModel:
    """A registered model.

    Args:
        metrics: on the validation month, before it was trained on as well.
        manifest: its training set; also in the run as `training_set.json`.
        pictures: where each picture lies, by name.
        seconds: reading, training and logging.
    """

    run_id: str
    model_name: str
    model_version: str
    alias: str
    metrics: dict[str, float]
    manifest: Manifest
    pictures: dict[str, Path]
    seconds: float


@dataclass(frozen=True)
class _Trained:
    """A trained network and what was measured on its validation rows."""

    bundle: Bundle
    fitted: Fitted
    metrics: dict[str, float]
    figures: dict[str, Figure]
    measured: Measured
    example: ArrowTable


def train(
    spark: SparkSession,
    spec: Spec,
    as_of: date,
    progress: Progress = silent,
    models: DbtModels | None = None,
) -> TrainedModel:
    """Train on the published version of the spec's training set, as it was known when a local day began.

    Args:
        as_of: labels known before this day are in; the last whole month before it validates.
        progress: told what is being done.
        models: what dbt says; by default this checkout's production models.

    Raises:
        LakehouseError: the training set was never published or is another table by now, holds no rows to
            train on or to validate with, a feature tells the label, or one can't be encoded.
    """
    started = time.monotonic()
    models = models or current_models()
    pinned = pin_published(spark, spec, as_of, models)
    rows = checked_rows(spark, spec, pinned, progress)
    progress(f"hashing {rows.parts.train_rows + rows.parts.validation_rows} rows")
    code_archive = archive(PROJECT_ROOT)
    manifest = training_manifest(spark, spec, pinned, rows.parts, models, code_archive)
    with (
        runs.training_run(spec.name, f"{spec.name} as of {as_of}") as run_id,
        runs.checkpoints(run_id) as folder,
    ):
        log_inputs(run_id, spec, manifest, code_archive)
        return train_run(run_id, manifest, rows, folder, progress, started)


def train_run(
    run_id: str,
    manifest: Manifest,
    rows: TrainingRows,
    checkpoints: Path,
    progress: Progress,
    started: float,
) -> TrainedModel:
    """Train, log and register the model of the MLflow run that is open, from its logged inputs.

    Args:
        checkpoints: the folder of the run's checkpoint; where it holds one, training goes on from it.
        started: when this command began, monotonic.
    """
    spec, columns = manifest.spec, manifest.columns
    trained = _fit(run_id, manifest, rows, checkpoints, progress)
    progress("logging what was measured")
    mlflow.log_metrics({f"best_{name}": value for name, value in trained.metrics.items()})
    pictures = runs.log_pictures(run_id, trained.figures)
    card = model_card(manifest, run_id, trained.measured)
    runs.log_bytes(run_id, CARD, card.encode())
    if spec.training.refit:
        validated = {f"{VALIDATED}/{name}": each for name, each in trained.bundle.to_files().items()}
        record(spark_session(), run_id, validated)
        for name, content in validated.items():
            runs.log_bytes(run_id, name, content)
    bundle = served_bundle(
        spec,
        manifest.pinned,
        rows,
        trained.bundle,
        trained.fitted,
        progress,
        _epoch_log(run_id, "refit_"),
        checkpoints / REFIT,
    )
    progress("registering")
    record(spark_session(), run_id, bundle.to_files())
    version, alias = log_and_register(bundle, spec.registered_model, columns, trained.example, card)
    return TrainedModel(
        run_id=run_id,
        model_name=spec.registered_model,
        model_version=version,
        alias=alias,
        metrics=trained.metrics,
        manifest=manifest,
        pictures=pictures,
        seconds=time.monotonic() - started,
    )


def _fit(
    run_id: str,
    manifest: Manifest,
    rows: TrainingRows,
    checkpoints: Path,
    progress: Progress,
) -> _Trained:
    spec, pinned = manifest.spec, manifest.pinned
    bundle, fitted = fit_bundle(spec, pinned, rows, progress, _epoch_log(run_id), checkpoints)
    columns, label, seed = pinned.columns, str(pinned.columns.label), spec.training.seed
    validation, scores = scored(rows, columns, (columns.partition, *spec.segments), bundle.predict)
    labels = labels_of(validation, label)
    days = validation.column(columns.partition).cast(pa.date32()).to_numpy()
    progress("measuring what each feature is worth")
    sample = rows.validation_sample(IMPORTANCE_ROWS, seed)
    importance = permutation_importance(
        bundle.predict, sample, labels_of(sample, label), columns.features, seed
    )
    figures = {
        "loss": plots.loss_curve(
            [epoch.train_loss for epoch in fitted.epochs],
            [epoch.validation["log_loss"] for epoch in fitted.epochs],
            fitted.best,
        ),
        "roc": plots.roc_curve(labels, scores),
        "precision_recall": plots.precision_recall_curve(labels, scores),
        "calibration": plots.calibration_curve(calibration_by_month(labels, scores, days)),
        "feature_importance": plots.feature_importance(importance),
    }
    progress("measuring it by segment")
    measured = measure(validation, labels, scores, columns.partition, spec.segments, importance)
    return _Trained(bundle, fitted, metrics(labels, scores), figures, measured, sample.slice(0, EXAMPLE_ROWS))


def _epoch_log(run_id: str, prefix: str = "") -> Callable[[Epoch], None]:
    """Logs each epoch once, also when a resumed run tells one again."""
    history = runs.client().get_metric_history(run_id, f"{prefix}train_loss")
    logged = {metric.step for metric in history}

    def log(epoch: Epoch) -> None:
        if epoch.number not in logged:
            log_epoch(epoch, prefix)

    return log


def log_epoch(epoch: Epoch, prefix: str = "") -> None:
    """An epoch's metrics, into the running MLflow run."""
    measured: dict[str, float] = {"train_loss": epoch.train_loss, "epoch_seconds": epoch.seconds}
    measured |= {f"validation_{name}": value for name, value in epoch.validation.items()}
    mlflow.log_metrics({f"{prefix}{name}": value for name, value in measured.items()}, step=epoch.number)


def log_inputs(run_id: str, spec: Spec, manifest: Manifest, code_archive: bytes) -> None:
    """Parameters, training set, manifest and code, into the running MLflow run."""
    mlflow.log_params(flat(spec.model_dump(mode="json")) | {"as_of": manifest.as_of.isoformat()})
    mlflow.set_tags(
        {
            "training_set.table": str(manifest.training_set.table),
            "training_set.table_id": manifest.training_set.table_id,
            "training_set.rows": str(manifest.content.row_count),
            "training_set.content_hash": manifest.content.rows,
            # What MLflow's own pages show: the description, the commit.
            MLFLOW_RUN_NOTE: f"{spec.description}. As of {manifest.as_of}, on {manifest.training_set.table}.",
            **({MLFLOW_GIT_COMMIT: manifest.code.commit} if manifest.code.commit else {}),
        }
    )
    pinned = manifest.training_set.table
    source = DeltaDatasetSource(
        delta_table_name=f"spark_catalog.{pinned.name}", delta_table_version=pinned.version
    )
    mlflow.log_input(MetaDataset(source, str(pinned), manifest.content.rows[:_DIGEST]), context="training")
    files = {MANIFEST: manifest.to_json().encode(), ARCHIVE: code_archive}
    # Before they lie where others might write.
    trust_registered(spark_session())
    record(spark_session(), run_id, files)
    for name, content in files.items():
        runs.log_bytes(run_id, name, content)
