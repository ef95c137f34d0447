"""Train a run's model again: the same rows, spec, seed and threads, by the code that trained it."""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from pyspark.sql import SparkSession

from lakehouse.delta.table import location
from lakehouse.errors import LakehouseError
from lakehouse.process import run_process
from lakehouse.settings import settings
from ml.archive import unpack
from ml.changes import Change
from ml.data.training_set import TrainingSet
from ml.report import Difference
from ml.run import TrainingRun
from ml.train_again import OUTCOME, TASK, Outcome, Task, train_again

Progress = Callable[[str], None]
# On another kind of machine sums are rounded elsewhere: metrics agree this far, weights do not.
TOLERANCE = 1e-6
# Folders of the archive whose code trains, and the file that starts it.
_TRAINS, TRAINER = ("ml/", "lakehouse/"), "ml/train_again.py"
# How much of a failed process' output is shown.
_SHOWN_LINES = 20


def retrain_differences(
    spark: SparkSession,
    run: TrainingRun,
    rows_of: TrainingSet,
    changes: tuple[Change, ...],
    threads: int | None = None,
    progress: Progress = lambda _: None,
) -> tuple[Difference, ...]:
    """What differs between the run's model and one trained again.

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
    files = [change.name for change in changes if change.kind == "code"]
    is_by_own_code = any(name.startswith(_TRAINS) and name.endswith(".py") for name in files)
    outcome = _by_own_code(task, run.archive, progress) if is_by_own_code else train_again(task, progress)
    differences = _metric_differences(run.metrics, outcome.metrics)
    if not differences and any(change.kind == "machine" for change in changes):
        return ()
    if outcome.weights_hash != outcome.logged_weights_hash:
        differences.insert(0, Difference("weights", "", outcome.logged_weights_hash, outcome.weights_hash))
        differences.append(Difference("predictions", "largest difference", "0", f"{outcome.furthest:.3g}"))
    return tuple(differences)


def _task(spark: SparkSession, run: TrainingRun, rows_of: TrainingSet, threads: int | None) -> Task:
    manifest, spec = run.manifest, run.manifest.spec
    if threads is not None:
        spec = spec.model_copy(update={"training": spec.training.model_copy(update={"threads": threads})})
    return Task(
        spec=spec,
        columns=manifest.columns,
        table=rows_of.table,
        table_folder=location(spark, rows_of.table.name),
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
        if not (code / TRAINER).exists():
            progress("the run's own code is too old to train by itself: training by this checkout's")
            return train_again(task, progress)
        progress("training by the run's own code, which is not this checkout's")
        # As the run logged its spec: its code may not know what has become a setting since.
        (folder / TASK).write_text(task.model_dump_json(exclude_unset=True), encoding="utf-8")
        _run(folder, code, progress)
        return Outcome.model_validate_json((folder / OUTCOME).read_text(encoding="utf-8"))


def _run(folder: Path, code: Path, progress: Progress) -> None:
    config = settings()
    # What stands in this checkout's .env.
    told = {f"LAKEHOUSE_{name.upper()}": str(getattr(config, name)) for name in config.model_fields_set}
    told |= {"LAKEHOUSE_WAREHOUSE": str(config.warehouse.resolve()), "PYTHONPATH": str(code)}
    command = (sys.executable, "-m", "ml.train_again", str(folder))
    training = run_process(command, code, os.environ | told, progress)
    if training.code != 0:
        raise LakehouseError(
            f"the run's own code failed:\n{training.end(_SHOWN_LINES)}",
            "where a newer package is the cause, install the versions of its archived requirements.lock",
        )


def _metric_differences(logged: dict[str, float], found: dict[str, float]) -> list[Difference]:
    return [
        Difference("metric", name, repr(logged[name]), repr(value))
        for name, value in found.items()
        if abs(logged[name] - value) > TOLERANCE
    ]
