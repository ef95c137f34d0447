"""A logged training once more: in this process, or alone as `python -m ml.reproduction.train_again FOLDER`.

Alone it runs in a run's archive, by the code that trained the model: the folder, and the names and forms of
the two files in it, are the protocol between that code and newer code.
"""

import sys
from datetime import date, datetime
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from lakehouse.delta.table import TableVersion
from lakehouse.progress import Progress
from ml.data.columns import Columns
from ml.data.training_rows import scored
from ml.data.training_set import TrainingSet
from ml.encoding.tensors import labels_of
from ml.evaluation.metrics import metrics
from ml.model.bundle import Bundle
from ml.spec import Spec
from ml.training.fit_bundle import fit_bundle, served_bundle, split_training_rows

# In the folder: what is to be trained, and what came of it.
TASK, OUTCOME = "task.json", "outcome.json"


class Task(BaseModel):
    """A logged training.

    Args:
        table: the version to train on, as pinned or rebuilt; it lies in `table_folder`.
        as_of_at: labels known by then are in, UTC.
        validation_start, validation_end: first day of the validation month, first day after it.
        model_folder: the model that the run registered.
    """

    # What newer code asks for, and this does not know, must not be left out in silence.
    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: Spec
    columns: Columns
    table: TableVersion
    table_folder: Path
    as_of: date
    as_of_at: datetime
    validation_start: date
    validation_end: date
    model_folder: Path


class Outcome(BaseModel):
    """What a training came to.

    Args:
        metrics: of the model that the validation rows chose, on these rows; NaN where one class is missing.
        weights_hash: of the model that would be registered.
        furthest: the largest difference of its scores on the validation rows from those of the one that was.
    """

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")

    metrics: dict[str, float]
    weights_hash: str
    furthest: float


def train_again(task: Task, progress: Progress) -> Outcome:
    """Train as it was done, and compare with the registered model.

    Raises:
        LakehouseError: the rows or the registered model cannot be read, or the scores are no numbers.
    """
    spec, columns = task.spec, task.columns
    pinned = TrainingSet(task.table, columns, task.as_of, task.as_of_at)
    rows = split_training_rows(task.table_folder, spec, pinned, task.validation_start, task.validation_end)
    measured, fitted = fit_bundle(spec, pinned, rows, progress)
    validation, scores = scored(rows, columns, (), measured.predict)
    served = served_bundle(spec, pinned, rows, measured, fitted, progress)
    logged, furthest = Bundle.load(task.model_folder), 0.0
    if served.weights_hash() != logged.weights_hash():
        found, before = (scored(rows, columns, (), each.predict)[1] for each in (served, logged))
        furthest = float(np.abs(found - before).max())
    return Outcome(
        metrics=metrics(labels_of(validation, str(columns.label)), scores),
        weights_hash=served.weights_hash(),
        furthest=furthest,
    )


def main(folder: Path) -> None:
    """Train what the folder holds, by one worker; each line of output is progress."""
    task = Task.model_validate_json((folder / TASK).read_text(encoding="utf-8"))
    outcome = train_again(task, _tell)
    (folder / OUTCOME).write_text(outcome.model_dump_json(indent=1), encoding="utf-8")


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
