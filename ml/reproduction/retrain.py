"""Train a run's model again: the same rows, spec, seed and threads, by the code that trained it."""

import hashlib
import math
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession

from lakehouse.delta.place import data_folder
from lakehouse.errors import LakehouseError
from lakehouse.process import run_process
from lakehouse.progress import Progress, silent
from lakehouse.settings import settings
from ml.data.training_set import TrainingSet
from ml.model.bundle import WEIGHTS, read_files
from ml.provenance.code_archive import unpack
from ml.provenance.differences import Difference
from ml.provenance.logged_run import TrainingRun
from ml.reproduction.train_again import OUTCOME, TASK, Outcome, Task, train_again
from ml.spec import Spec

# On another kind of machine sums are rounded elsewhere: metrics agree this far, weights do not.
TOLERANCE = 1e-6
# Folders of the archive whose code trains, and the file that starts it.
_TRAINS, TRAINER = ("ml/", "lakehouse/"), "ml/reproduction/train_again.py"
# Whose code trains.
SAME = "the run's code, which is this checkout's"
OWN = "the run's own code, which is not this checkout's"
TOO_OLD = "this checkout's code: the run's own is too old to train by itself"
INSTALLED = "this checkout's code: several workers run what is installed"
# How much of a failed process' output is shown.
_SHOWN_LINES = 20


@dataclass(frozen=True)
class Retraining:
    """What came of training again.

    Args:
        trained_by: whose code trained, in words; this checkout's with the reason.
        differences: between the run's model and this one; empty when identical.
    """

    trained_by: str
    differences: tuple[Difference, ...]


def train_run_again(
    spark: SparkSession,
    run: TrainingRun,
    rows_of: TrainingSet,
    changes: tuple[Difference, ...],
    threads: int | None = None,
    progress: Progress = silent,
) -> Retraining:
    """Train a run's model again, and compare.

    On the same kind of machine the weights must be the same bits, elsewhere metrics within `TOLERANCE`. Where
    this checkout trains by other code, the run's archived code does it, in a process of its own.

    Args:
        rows_of: the training set, as pinned or rebuilt.
        changes: what is not as it was; says whether the code is, and whether this is another kind of machine.
        threads: of torch, instead of the run's number.

    Raises:
        LakehouseError: the run registered no model, its rows cannot be read, or its code failed.
    """
    task = _task(spark, run, rows_of, threads)
    logged_hash = hashlib.sha256(read_files(task.model_folder)[WEIGHTS]).hexdigest()
    trained_by = _trained_by(task.spec, changes)
    progress(f"training by {trained_by}")
    outcome = _by_own_code(task, run.archive, progress) if trained_by == OWN else train_again(task, progress)
    differences = metric_differences(run.metrics, outcome.metrics)
    is_elsewhere = any(change.kind == "machine" for change in changes)
    if outcome.weights_hash != logged_hash and (differences or not is_elsewhere):
        differences.insert(0, Difference("weights", "", logged_hash, outcome.weights_hash))
        differences.append(Difference("predictions", "largest difference", "0", f"{outcome.furthest:.3g}"))
    return Retraining(trained_by, tuple(differences))


def _trained_by(spec: Spec, changes: tuple[Difference, ...]) -> str:
    code = [
        change
        for change in changes
        if change.kind == "code" and change.name.startswith(_TRAINS) and change.name.endswith(".py")
    ]
    if not code:
        return SAME
    if spec.training.workers > 1:
        return INSTALLED
    return TOO_OLD if any(change.name == TRAINER and not change.before for change in code) else OWN


def _task(spark: SparkSession, run: TrainingRun, rows_of: TrainingSet, threads: int | None) -> Task:
    manifest, spec = run.manifest, run.manifest.spec
    if threads is not None:
        spec = spec.model_copy(update={"training": spec.training.model_copy(update={"threads": threads})})
    return Task(
        spec=spec,
        columns=manifest.columns,
        table=rows_of.table,
        table_folder=data_folder(spark, rows_of.table.name, rows_of.table.version),
        as_of=rows_of.as_of,
        as_of_at=rows_of.as_of_at,
        validation_start=manifest.split.validation_start,
        validation_end=manifest.split.validation_end,
        model_folder=run.bundle_folder(),
    )


def _by_own_code(task: Task, archive: bytes, progress: Progress) -> Outcome:
    """Train in a process that imports what the archive holds."""
    with tempfile.TemporaryDirectory(prefix="lakehouse-retrain-") as scratch:
        folder, code = Path(scratch), unpack(archive, Path(scratch) / "code")
        # As the run logged its spec: its code may not know what has become a setting since.
        (folder / TASK).write_text(task.model_dump_json(exclude_unset=True), encoding="utf-8")
        _run(folder, code, progress)
        try:
            return Outcome.model_validate_json((folder / OUTCOME).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError) as error:
            raise LakehouseError(
                f"the run's own code trained, but did not say what came of it: {error}",
                "check out the run's commit, and run `lakehouse reproduce --retrain` there",
            ) from error


def _run(folder: Path, code: Path, progress: Progress) -> None:
    config = settings()
    # What stands in this checkout's .env.
    told = {f"LAKEHOUSE_{name.upper()}": str(getattr(config, name)) for name in config.model_fields_set}
    # Packages may have been laid over the installed ones.
    path = os.pathsep.join(filter(None, (str(code), os.environ.get("PYTHONPATH"))))
    told |= {"LAKEHOUSE_WAREHOUSE": str(config.warehouse.resolve()), "PYTHONPATH": path}
    command = (sys.executable, "-m", "ml.reproduction.train_again", str(folder))
    training = run_process(command, code, os.environ | told, progress)
    if training.code < 0:
        raise LakehouseError(
            f"the run's own code was killed by signal {-training.code}",
            "signal 9 mostly means that the machine had no memory left: free some, then again",
        )
    if training.code > 0:
        raise LakehouseError(
            f"the run's own code failed:\n{training.end(_SHOWN_LINES)}",
            "where a newer package is the cause, install the versions of its archived requirements.lock",
        )


def metric_differences(logged: dict[str, float], found: dict[str, float]) -> list[Difference]:
    """The logged metrics that are missing, or differ by more than `TOLERANCE`; NaN equals NaN only."""
    return [
        Difference("metric", name, repr(value), repr(found.get(name)))
        for name, value in logged.items()
        if name not in found or not _agree(value, found[name])
    ]


def _agree(logged: float, found: float) -> bool:
    return abs(logged - found) <= TOLERANCE or (math.isnan(logged) and math.isnan(found))
