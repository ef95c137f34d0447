"""Go on with a training run whose process died: the same inputs, the same MLflow run, the same weights."""

import json
import time
from dataclasses import asdict
from pathlib import Path

from pyspark.sql import SparkSession

from lakehouse.delta.place import data_folder
from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress, silent
from lakehouse.settings import PROJECT_ROOT
from ml.provenance.code_archive import archive
from ml.provenance.differences import Difference, code_changes, environment_changes
from ml.provenance.environment import environment
from ml.provenance.logged_run import TrainingRun, logged_run
from ml.provenance.manifest import Manifest
from ml.reproduction.reproduce import compare
from ml.tracking import runs
from ml.training.checkpoint import load_checkpoint
from ml.training.fit_bundle import split_training_rows
from ml.training.train import REFIT, TrainedModel, train_run

# What the weights are made by: with other code or other versions of these, a run would be half one thing and
# half another.
DECIDING_CODE = (
    "ml/encoding/",
    "ml/data/",
    "ml/model/",
    "ml/evaluation/metrics.py",
    "ml/training/checkpoint.py",
    "ml/training/distributed/",
    "ml/training/fit_bundle.py",
    "ml/training/inputs.py",
    "ml/training/loop.py",
    "ml/training/workers.py",
)
_DECIDING_PACKAGES = ("torch", "numpy", "pyarrow", "pandas", "scikit-learn")


def resume(spark: SparkSession, run_id: str, progress: Progress = silent) -> TrainedModel:
    """Train a run to its end, from its last checkpoint, on what its manifest pins.

    A run that was killed before its first epoch ended starts over at epoch 1.

    Raises:
        LakehouseError: there is no such run, it has ended, another process trains it, its training set can't
            be read as it was, the code or a package that decides the weights is another one, or the
            checkpoint is damaged.
    """
    started = time.monotonic()
    _refuse_an_ended_run(run_id)
    run = logged_run(run_id)
    with runs.checkpoints(run_id) as folder:
        changes = _checked_changes(spark, run)
        _check_content(spark, run.manifest, progress)
        ended, anew = _ended_epochs(folder), _ended_epochs(folder / REFIT)
        after = f"after epoch {ended}" + (f" and epoch {anew} of the training anew" if anew else "")
        progress(f"going on {after}" if ended else "no epoch had ended: starting at epoch 1")
        with runs.resumed_run(run_id):
            _tag(run_id, after, ended + anew, changes)
            manifest, record = run.manifest, run.manifest.split
            rows = split_training_rows(
                data_folder(spark, manifest.training_set.name, manifest.training_set.version),
                manifest.spec,
                manifest.pinned,
                record.validation_start,
                record.validation_end,
            )
            return train_run(run_id, manifest, rows, folder, progress, started)


def _refuse_an_ended_run(run_id: str) -> None:
    run = runs.find_run(run_id)
    registered = runs.client().search_model_versions(f"run_id = '{run_id}'")
    if run.info.status == "FINISHED" or registered:
        model = f", model {registered[0].name} version {registered[0].version}" if registered else ""
        raise LakehouseError(
            f"run {run_id} has ended{model}: there is nothing to resume",
            f"`lakehouse reproduce {run_id} --retrain` trains it again",
        )


def _checked_changes(spark: SparkSession, run: TrainingRun) -> tuple[Difference, ...]:
    """What is not as it was when the run began, none of which decides the weights on this kind of machine."""
    threads = run.manifest.spec.training.threads
    changes = (
        *code_changes(run.archive, archive(PROJECT_ROOT)),
        *environment_changes(run.manifest.environment, environment(spark, threads)),
    )
    deciding = [
        change.name
        for change in changes
        if (change.kind == "code" and change.name.startswith(DECIDING_CODE))
        or (change.kind == "package" and change.name in _DECIDING_PACKAGES)
    ]
    if deciding:
        raise LakehouseError(
            f"run {run.run_id} was begun with other {', '.join(deciding)}",
            f"resume it with its code (commit {run.manifest.code.commit}), or train again",
        )
    return changes


def _check_content(spark: SparkSession, manifest: Manifest, progress: Progress) -> None:
    pinned = manifest.training_set.table
    progress(f"comparing {pinned} as known on {manifest.as_of} with what the run began with")
    differences = compare(spark, manifest)
    if differences:
        found = "; ".join(f"{each.kind} {each.name}: {each.after}" for each in differences[:3])
        raise LakehouseError(
            f"{pinned} is not what the run began with ({found})", "train again: what it began with is gone"
        )


def _ended_epochs(checkpoints: Path) -> int:
    done = load_checkpoint(checkpoints)
    return len(done.epochs) if done else 0


def _tag(run_id: str, after: str, epochs: int, changes: tuple[Difference, ...]) -> None:
    """Let the run say that it was resumed, after which epochs, and what had changed each time."""
    before = runs.find_run(run_id).data.tags.get("resumed")
    runs.client().set_tag(run_id, "resumed", f"{before}, {after}" if before else after)
    if changes:
        content = json.dumps([asdict(change) for change in changes], indent=1)
        runs.log_bytes(run_id, f"resumed/changes_after_epoch_{epochs}.json", content.encode())
