"""Train a run's model again: the same rows, spec, seed and threads."""

from collections.abc import Callable

import numpy as np
from pyspark.sql import SparkSession

from ml.changes import Change
from ml.data.tensors import labels_of
from ml.data.training_rows import scored
from ml.data.training_set import TrainingSet
from ml.evaluate import metrics
from ml.fit_bundle import fit_bundle, served_bundle
from ml.report import Difference
from ml.run import TrainingRun
from ml.training_inputs import split_training_rows

# On another kind of machine sums are rounded elsewhere: metrics agree this far, weights do not.
TOLERANCE = 1e-6


def retrain_differences(
    spark: SparkSession,
    run: TrainingRun,
    rows_of: TrainingSet,
    changes: tuple[Change, ...],
    threads: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Difference, ...]:
    """What differs between the run's model and one trained again.

    On the same kind of machine the weights must be the same bits, elsewhere metrics within `TOLERANCE`.

    Args:
        rows_of: the training set, as pinned or rebuilt.
        changes: what is not as it was; says whether this is another kind of machine.
        threads: of torch, instead of the run's number.

    Raises:
        LakehouseError: the run registered no model, or its rows cannot be read.
    """
    manifest, spec = run.manifest, run.manifest.spec
    if threads is not None:
        spec = spec.model_copy(update={"training": spec.training.model_copy(update={"threads": threads})})
    columns, record = manifest.columns, manifest.split
    rows = split_training_rows(spark, spec, rows_of, record.validation_start, record.validation_end)
    before, fitted = fit_bundle(spec, rows_of, rows, progress)
    validation, scores = scored(rows, columns, (), before.predict)
    measured = metrics(labels_of(validation, str(columns.label)), scores)
    differences = _metric_differences(run.metrics, measured)
    bundle = served_bundle(spec, rows_of, rows, before, fitted, progress)
    if not differences and any(change.kind == "machine" for change in changes):
        return ()
    logged = run.model()
    if logged.weights_hash() != bundle.weights_hash():
        differences.insert(0, Difference("weights", "", logged.weights_hash(), bundle.weights_hash()))
        (_, logged_scores), (_, found) = (
            scored(rows, columns, (), each.predict) for each in (logged, bundle)
        )
        furthest = float(np.abs(logged_scores - found).max())
        differences.append(Difference("predictions", "largest difference", "0", f"{furthest:.3g}"))
    return tuple(differences)


def _metric_differences(logged: dict[str, float], found: dict[str, float]) -> list[Difference]:
    return [
        Difference("metric", name, repr(logged[name]), repr(value))
        for name, value in found.items()
        if abs(logged[name] - value) > TOLERANCE
    ]
