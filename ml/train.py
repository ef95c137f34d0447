"""Train a model from a published training set, log everything about it, and register it."""

import hashlib
import json
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import mlflow
import pyarrow as pa
from matplotlib.figure import Figure
from pyspark.sql import SparkSession

from lakehouse.delta.content_hash import content_hash
from lakehouse.delta.publications import published_version
from lakehouse.delta.table import location
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT
from ml import plots, tracking
from ml.archive import archive
from ml.card import Measured, measure, model_card
from ml.data.arrow import ArrowTable
from ml.data.columns import Columns
from ml.data.encoding import Encoding
from ml.data.fit_encoding import fit_encoding
from ml.data.tensors import EncodedRows, Tensors, labels_of
from ml.data.training_rows import TrainingRows, scored, training_rows
from ml.data.training_set import (
    Parts,
    TrainingSet,
    check_split,
    read_arrow,
    read_spark,
    training_set,
    validation_month,
)
from ml.dbt_models import DbtModels, current_models
from ml.distribute import fit_on_workers
from ml.environment import code, environment
from ml.evaluate import calibration_by_month, fit_baseline, metrics, permutation_importance
from ml.leaks import refuse_leaks
from ml.lineage import pin, pin_upstream
from ml.manifest import PROTOCOL_VERSION, Content, Manifest, SplitRecord
from ml.model.bundle import Bundle
from ml.model.checkpoint import Epoch, load_checkpoint, save_checkpoint
from ml.model.fit import Fitted, fit, reproducible_torch
from ml.model.network import Shape, TabularNetwork
from ml.registry import log_and_register
from ml.spec import Spec, flat
from ml.tracking import ARCHIVE, MANIFEST

BASELINE, CARD = "baseline.json", "model_card.md"
# The curves need all validation rows; shuffling each feature in turn needs only enough to rank them.
IMPORTANCE_ROWS = 6000
EXAMPLE_ROWS = 5


@dataclass(frozen=True)
class TrainedModel:
    """A registered model.

    Args:
        metrics: on the validation month.
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


def _say_nothing(_: str) -> None: ...


def train(
    spark: SparkSession,
    spec: Spec,
    as_of: date,
    progress: Callable[[str], None] = _say_nothing,
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
        tracking.training_run(spec.name, f"{spec.name} as of {as_of}") as run_id,
        tracking.checkpoints(run_id) as folder,
    ):
        log_inputs(run_id, spec, manifest, code_archive)
        return train_run(run_id, manifest, rows, folder, progress, started)


def train_run(
    run_id: str,
    manifest: Manifest,
    rows: TrainingRows,
    checkpoints: Path,
    progress: Callable[[str], None],
    started: float,
) -> TrainedModel:
    """Train, log and register the model of the MLflow run that is open, from its logged inputs.

    Args:
        checkpoints: the folder of the run's checkpoint; where it holds one, training goes on from it.
        started: when this command began, monotonic.
    """
    spec, columns = manifest.spec, manifest.columns
    trained = _fit(run_id, manifest, rows, checkpoints, progress)
    progress("logging and registering")
    mlflow.log_metrics({f"best_{name}": value for name, value in trained.metrics.items()})
    pictures = tracking.log_pictures(run_id, trained.figures)
    label = str(columns.label)
    pieces = rows.train((label, spec.baseline_column))
    baseline = fit_baseline(((piece, labels_of(piece, label)) for piece in pieces), spec.baseline_column)
    tracking.log_bytes(run_id, BASELINE, json.dumps(asdict(baseline), indent=1).encode())
    card = model_card(manifest, run_id, trained.measured)
    tracking.log_bytes(run_id, CARD, card.encode())
    version, alias = log_and_register(trained.bundle, spec.registered_model, columns, trained.example, card)
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


def pin_published(spark: SparkSession, spec: Spec, as_of: date, models: DbtModels) -> TrainingSet:
    """The published version of the spec's training set, as it was known when a local day began."""
    table = published_version(spark, models.table(spec.training_model))
    return training_set(table, models.columns(spec.training_model), as_of, spec.time_zone)


def checked_rows(
    spark: SparkSession, spec: Spec, pinned: TrainingSet, progress: Callable[[str], None]
) -> TrainingRows:
    """Rows by part; a feature that tells the label is refused."""
    progress(f"reading {pinned.table} as known on {pinned.as_of}")
    rows = split_training_rows(spark, spec, pinned, *validation_month(pinned.as_of))
    check_split(pinned.as_of, rows.parts)
    refuse_leaks(spec, pinned.columns, rows.to_learn_from()[0], progress)
    return rows


def read_training_rows(spark: SparkSession, spec: Spec, pinned: TrainingSet) -> ArrowTable:
    """The columns that training needs, straight from the table's files, ordered by entity."""
    return read_arrow(location(spark, pinned.table.name), pinned, _names(spec, pinned.columns))


def split_training_rows(
    spark: SparkSession, spec: Spec, pinned: TrainingSet, validation_start: date, validation_end: date
) -> TrainingRows:
    """The same rows by part: in memory, or past the spec's budget streamed from the table's files."""
    return training_rows(
        location(spark, pinned.table.name),
        pinned,
        _names(spec, pinned.columns),
        validation_start,
        validation_end,
        len(spec.crosses),
        spec.training.memory_mb,
    )


def _names(spec: Spec, columns: Columns) -> tuple[str, ...]:
    return (columns.partition, str(columns.label), *columns.features, spec.baseline_column, *spec.segments)


@dataclass(frozen=True)
class Encoded:
    """Rows to train on and to validate with, encoded by what the former taught."""

    encoding: Encoding
    train: EncodedRows
    validation: EncodedRows


@contextmanager
def encode_parts(
    spec: Spec,
    pinned: TrainingSet,
    rows: TrainingRows,
    progress: Callable[[str], None] = _say_nothing,
) -> Generator[Encoded]:
    """Fit the encoding on the training rows, and encode; what is on disk is gone after the block."""
    progress(f"encoding {len(pinned.columns.features)} features of {rows.parts.train_rows} rows")
    encoding = _learn_encoding(spec, pinned.columns, rows)
    with rows.encoded(encoding, progress) as (train, validation):
        yield Encoded(encoding, train, validation)


def fit_encoded(
    spec: Spec,
    encoded: Encoded,
    progress: Callable[[str], None],
    on_epoch: Callable[[Epoch], None],
    checkpoints: Path | None = None,
) -> tuple[Bundle, Fitted]:
    """Train on encoded rows, nothing logged; the same rows, spec and threads give the same weights.

    Args:
        on_epoch: told each epoch, those of a checkpoint, too.
        checkpoints: a folder that keeps a checkpoint; where it holds one, training goes on from it.

    Raises:
        LakehouseError: the scores are no numbers any more, the checkpoint is damaged, or several workers are
            wanted for rows that are streamed.
    """
    shape = Shape(**spec.network.model_dump())
    done = load_checkpoint(checkpoints) if checkpoints else None
    for epoch in done.epochs if done else ():
        on_epoch(epoch)
    if spec.training.workers > 1:
        train, validation = _tensors(encoded.train), _tensors(encoded.validation)
        return fit_on_workers(
            encoded.encoding, shape, train, validation, spec.training, progress, on_epoch, checkpoints
        )
    with reproducible_torch(spec.training.seed, spec.training.threads):
        network = TabularNetwork(encoded.encoding, shape)
        fitted = fit(
            network,
            encoded.train,
            encoded.validation,
            spec.training,
            progress,
            on_epoch,
            partial(save_checkpoint, checkpoints) if checkpoints else None,
            done,
        )
    return Bundle(network, encoded.encoding, shape), fitted


def _tensors(rows: EncodedRows) -> Tensors:
    if not isinstance(rows, Tensors):
        raise LakehouseError(
            "rows past training.memory_mb are streamed, which several workers can't share",
            "raise memory_mb in the spec's training part, or set workers: 1",
        )
    return rows


def fit_bundle(
    spec: Spec,
    pinned: TrainingSet,
    rows: TrainingRows,
    progress: Callable[[str], None] = _say_nothing,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    checkpoints: Path | None = None,
) -> tuple[Bundle, Fitted]:
    """Encode and train, nothing logged; see `fit_encoded`."""
    with encode_parts(spec, pinned, rows, progress) as encoded:
        return fit_encoded(spec, encoded, progress, on_epoch, checkpoints)


def _learn_encoding(spec: Spec, columns: Columns, rows: TrainingRows) -> Encoding:
    learned_from, share = rows.to_learn_from()
    return fit_encoding(
        learned_from,
        columns.numeric,
        columns.categorical,
        labels_of(learned_from, str(columns.label)),
        crosses=spec.crosses,
        bins=spec.encoding.bins,
        min_bin_rows=spec.encoding.min_bin_rows,
        rare_below=max(1, round(spec.encoding.rare_below * share)),
    )


def _fit(
    run_id: str,
    manifest: Manifest,
    rows: TrainingRows,
    checkpoints: Path,
    progress: Callable[[str], None],
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
        "loss": plots.loss_curve(fitted.epochs, fitted.best),
        "roc": plots.roc_curve(labels, scores),
        "precision_recall": plots.precision_recall_curve(labels, scores),
        "calibration": plots.calibration_curve(calibration_by_month(labels, scores, days)),
        "feature_importance": plots.feature_importance(importance),
    }
    progress("measuring it by segment")
    measured = measure(validation, labels, scores, columns.partition, spec.segments, importance)
    return _Trained(bundle, fitted, metrics(labels, scores), figures, measured, sample.slice(0, EXAMPLE_ROWS))


def _epoch_log(run_id: str) -> Callable[[Epoch], None]:
    """Logs each epoch once, also when a resumed run tells one again."""
    logged = {metric.step for metric in tracking.client().get_metric_history(run_id, "train_loss")}

    def log(epoch: Epoch) -> None:
        if epoch.number not in logged:
            log_epoch(epoch)

    return log


def log_epoch(epoch: Epoch) -> None:
    """An epoch's metrics, into the running MLflow run."""
    measured: dict[str, float] = {"train_loss": epoch.train_loss, "epoch_seconds": epoch.seconds}
    measured |= {f"validation_{name}": value for name, value in epoch.validation.items()}
    mlflow.log_metrics(measured, step=epoch.number)


def log_inputs(run_id: str, spec: Spec, manifest: Manifest, code_archive: bytes) -> None:
    """Parameters, manifest and code, into the running MLflow run."""
    mlflow.log_params(flat(spec.model_dump(mode="json")) | {"as_of": manifest.as_of.isoformat()})
    mlflow.set_tags(
        {
            "training_set.table": str(manifest.training_set.table),
            "training_set.table_id": manifest.training_set.table_id,
            "training_set.rows": str(manifest.content.row_count),
            "training_set.content_hash": manifest.content.rows,
        }
    )
    tracking.log_bytes(run_id, MANIFEST, manifest.to_json().encode())
    tracking.log_bytes(run_id, ARCHIVE, code_archive)


def training_manifest(
    spark: SparkSession,
    spec: Spec,
    pinned: TrainingSet,
    parts: Parts,
    models: DbtModels,
    code_archive: bytes,
) -> Manifest:
    """All it takes to read a training set again, or to rebuild it, and to prove that it is the same."""
    content = content_hash(read_spark(spark, pinned), pinned.columns.entity)
    return Manifest(
        protocol_version=PROTOCOL_VERSION,
        created_at=datetime.now(UTC),
        spec=spec,
        as_of=pinned.as_of,
        as_of_at=pinned.as_of_at,
        training_set=pin(spark, pinned.table, "published"),
        columns=pinned.columns,
        content=Content.of(content),
        upstream=pin_upstream(spark, spec.training_model, pinned.table, models),
        split=SplitRecord(
            train_rows=parts.train_rows,
            validation_rows=parts.validation_rows,
            validation_start=parts.validation_start,
            validation_end=parts.validation_end,
        ),
        seed=spec.training.seed,
        code=code(hashlib.sha256(code_archive).hexdigest()),
        environment=environment(spark, spec.training.threads),
    )
