"""From a spec and rows to a trained bundle; nothing is logged."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress, silent
from ml.data.columns import Columns
from ml.data.training_rows import TrainingRows, training_rows
from ml.data.training_set import TrainingSet
from ml.encoding.encode import Encoding
from ml.encoding.fit import ByDay, fit_encoding
from ml.encoding.tensors import EncodedRows, Tensors, labels_of
from ml.model.bundle import Bundle
from ml.model.network import Shape, TabularNetwork
from ml.spec import Spec
from ml.training.checkpoint import Epoch, load_checkpoint, save_checkpoint
from ml.training.distributed.driver import fit_on_workers
from ml.training.loop import Fitted, fit, reproducible_torch


def split_training_rows(
    folder: Path, spec: Spec, pinned: TrainingSet, validation_start: date, validation_end: date
) -> TrainingRows:
    """The columns that a spec's training needs: in memory, or past the spec's budget streamed.

    Args:
        folder: where the table of the training set lies.

    Raises:
        LakehouseError: as `training_rows`.
    """
    return training_rows(
        folder,
        pinned,
        spec.segments,
        validation_start,
        validation_end,
        len(spec.crosses),
        spec.training.memory_mb,
    )


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
    progress: Progress = silent,
) -> Generator[Encoded]:
    """Fit the encoding on the training rows, and encode; what is on disk is gone after the block."""
    progress(f"encoding {len(pinned.columns.features)} features of {rows.parts.train_rows} rows")
    encoding = learn_encoding(spec, pinned.columns, rows)
    with rows.encoded(encoding, progress) as (train, validation):
        yield Encoded(encoding, train, validation)


def fit_encoded(
    spec: Spec,
    encoded: Encoded,
    progress: Progress,
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
    progress: Progress = silent,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    checkpoints: Path | None = None,
) -> tuple[Bundle, Fitted]:
    """Encode and train, nothing logged; see `fit_encoded`."""
    with encode_parts(spec, pinned, rows, progress) as encoded:
        return fit_encoded(spec, encoded, progress, on_epoch, checkpoints)


def refit_bundle(
    spec: Spec,
    pinned: TrainingSet,
    rows: TrainingRows,
    epochs: int,
    progress: Progress = silent,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    checkpoints: Path | None = None,
) -> Bundle:
    """Encode and train again on all rows, those that validated included; nothing is left to measure it on.

    Args:
        epochs: so many, the number that validation found best; the learning rate's schedule spans them.
        on_epoch, checkpoints: as in `fit_encoded`.
    """
    training = spec.training.model_copy(update={"epochs": epochs})
    again = spec.model_copy(update={"training": training})
    bundle, _ = fit_bundle(again, pinned, rows.without_validation(), progress, on_epoch, checkpoints)
    return bundle


def served_bundle(
    spec: Spec,
    pinned: TrainingSet,
    rows: TrainingRows,
    measured: Bundle,
    fitted: Fitted,
    progress: Progress = silent,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    checkpoints: Path | None = None,
) -> Bundle:
    """The model that is registered: the measured one, or with `training.refit` one that had all rows.

    Args:
        measured, fitted: what `fit_bundle` made of the same rows.
        on_epoch, checkpoints: of the second training, as in `fit_encoded`.
    """
    if not spec.training.refit:
        return measured
    progress("training anew on the validation rows, too")
    return refit_bundle(spec, pinned, rows, fitted.best, progress, on_epoch, checkpoints)


def learn_encoding(spec: Spec, columns: Columns, rows: TrainingRows) -> Encoding:
    """The statistics of the training rows, as the spec wants them."""
    learned_from, share = rows.to_learn_from()
    day_bins = spec.encoding.day_bins
    return fit_encoding(
        learned_from,
        columns.numeric,
        columns.categorical,
        labels_of(learned_from, str(columns.label)),
        crosses=spec.crosses,
        bins=spec.encoding.bins,
        min_bin_rows=spec.encoding.min_bin_rows,
        rare_below=max(1, round(spec.encoding.rare_below * share)),
        by_day=None if day_bins is None else ByDay(columns.partition, day_bins),
    )
