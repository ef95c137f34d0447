"""The shipped network against LightGBM, on the project's own training set, in one run.

    python -m benchmarks.quality [--seeds 5] [--draws 300] [--picture calibration.png] [--without PATTERN]
        [--monthly]

Both are trained on the months before September, make every choice on September, and are measured on October
to December: as they are then, and trained anew through September with what was chosen, as the network is
shipped; with --monthly also trained anew when each month begins, as it is operated. LightGBM gets a search
over its usual settings. The intervals come from a bootstrap over days, the same days for both. Needs the
training set of the whole year, published; counts how often the test months of this warehouse were looked at.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.published import published
from lakehouse.engine.session import spark_session
from lakehouse.settings import settings
from ml.data.training_rows import InMemoryRows
from ml.data.training_set import Split, TrainingSet, split_at
from ml.encoding.arrow import ArrowTable
from ml.encoding.encode import encode
from ml.encoding.fit import fit_encoding
from ml.encoding.tensors import labels_of
from ml.evaluation.bootstrap import Interval, over_days
from ml.evaluation.metrics import METRICS, calibration_by_month, log_loss, metrics
from ml.evaluation.plots import calibration_curve
from ml.spec import Spec
from ml.training.fit_bundle import fit_bundle, refit_bundle
from ml.training.inputs import read_training_rows

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
VALIDATION = date(2013, 9, 1)
TEST_MONTHS = (date(2013, 10, 1), date(2013, 11, 1), date(2013, 12, 1))
TEST = TEST_MONTHS[0]
SEARCHED = {
    "num_leaves": (31, 63),
    "feature_fraction": (0.15, 0.4),
    "min_data_in_leaf": (100, 300),
}
FIXED: dict[str, Any] = {
    "objective": "binary",
    "metric": "binary_logloss",
    "learning_rate": 0.04,
    "lambda_l2": 20.0,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "verbosity": -1,
    "num_threads": 2,
}
ROUNDS, PATIENCE = 1000, 50
# What each is trained on.
TO_AUGUST, ANEW, MONTHLY = "to August", "anew through September", "anew each month"
progress = Console(stderr=True)


@dataclass(frozen=True)
class Frame:
    """The rows, their parts and their test days."""

    spec: Spec
    pinned: TrainingSet
    rows: ArrowTable
    parts: Split
    labels: Array
    test: Mask
    days: Array


def read_frame(without: Sequence[str]) -> Frame:
    """The whole year as published, split by month.

    Args:
        without: patterns of features to leave out.
    """
    spark = spark_session()
    source = published(spark, without)
    spec, pinned, columns = source.spec, source.pinned, source.columns
    rows = read_training_rows(spark, spec, pinned)
    days = rows.column(columns.partition).cast(pa.date32()).to_numpy()
    test = days >= np.datetime64(TEST)
    labels = labels_of(rows, str(columns.label))
    parts = split_at(rows.column(columns.partition), VALIDATION, TEST)
    return Frame(spec, pinned, rows, parts, labels, test, days)


# Scores of some rows, `(rows,)`.
Predict = Callable[[Mask], Array]
# By parts and seed: trained on the first part, what the second chose; and trained anew on both.
Train = Callable[[Split, int], tuple[Predict, Predict]]


def boosted(frame: Frame) -> Train:
    """LightGBM with the settings that September prefers."""
    columns = frame.pinned.columns
    train = frame.rows.filter(pa.array(frame.parts.train))
    encoding = fit_encoding(
        train,
        columns.numeric,
        columns.categorical,
        frame.labels[frame.parts.train],
        bins=2,
        min_bin_rows=300,
        rare_below=frame.spec.encoding.rare_below,
    )
    numeric, codes = encode(encoding, frame.rows)
    matrix = np.hstack([numeric, codes.astype(np.float32)])
    categorical = list(range(numeric.shape[1], matrix.shape[1]))

    def data(part: Mask) -> lightgbm.Dataset:
        return lightgbm.Dataset(
            matrix[part], frame.labels[part], categorical_feature=categorical, free_raw_data=False
        )

    def fit(parts: Split, chosen: dict[str, Any], seed: int) -> lightgbm.Booster:
        return lightgbm.train(
            FIXED | chosen | {"seed": seed},
            data(parts.train),
            ROUNDS,
            valid_sets=[data(parts.validation)],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )

    def september(chosen: dict[str, Any]) -> float:
        september = frame.parts.validation
        scores = np.asarray(fit(frame.parts, chosen, 0).predict(matrix[september]))
        loss = log_loss(frame.labels[september], scores)
        progress.print(f"LightGBM {chosen}: log loss {loss:.4f} in September")
        return loss

    tried = [dict(zip(SEARCHED, values, strict=True)) for values in product(*SEARCHED.values())]
    best = min(tried, key=september)

    def train_both(parts: Split, seed: int) -> tuple[Predict, Predict]:
        first = fit(parts, best, seed)
        known = data(parts.train | parts.validation)
        anew = lightgbm.train(FIXED | best | {"seed": seed}, known, first.best_iteration)
        return (
            lambda rows: np.asarray(first.predict(matrix[rows])),
            lambda rows: np.asarray(anew.predict(matrix[rows])),
        )

    return train_both


def network(frame: Frame) -> Train:
    """The shipped spec."""

    def train_both(parts: Split, seed: int) -> tuple[Predict, Predict]:
        training = frame.spec.training.model_copy(update={"seed": seed})
        spec = frame.spec.model_copy(update={"training": training})
        rows = InMemoryRows.of(frame.rows, parts, frame.pinned.columns)
        first, fitted = fit_bundle(spec, frame.pinned, rows)
        anew = refit_bundle(spec, frame.pinned, rows, fitted.best)
        return (
            lambda some: first.predict(frame.rows.filter(pa.array(some))),
            lambda some: anew.predict(frame.rows.filter(pa.array(some))),
        )

    return train_both


def month_by_month(frame: Frame, train: Train, seed: int, october: Predict) -> Array:
    """Scores of the test rows, by a model that is trained anew when a month begins, as it is operated."""
    scores = october(frame.test)
    for start, end in pairwise(TEST_MONTHS):
        parts = split_at(frame.rows.column(frame.pinned.columns.partition), start, end)
        _, anew = train(parts, seed)
        month = frame.days.astype("datetime64[M]") == np.datetime64(end, "M")
        scores[month[frame.test]] = anew(month)
    return scores


def summary(labels: Array, seeds: Sequence[Array]) -> list[str]:
    """Each metric's mean and deviation over the seeds."""
    measured = [metrics(labels, scores) for scores in seeds]
    named = ([each[name] for each in measured] for name in ("auc", "average_precision", "log_loss", "ece"))
    return [f"{np.mean(values):.4f} ± {np.std(values):.4f}" for values in named]


def looks() -> int:
    """How often the test months were looked at in this warehouse, this time included."""
    path = settings().warehouse / "benchmarks" / "test_months.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    count = json.loads(path.read_text())["looks"] + 1 if path.exists() else 1
    path.write_text(json.dumps({"looks": count}))
    return count


def difference(
    frame: Frame, metric: str, draws: int, before: Sequence[Array], after: Sequence[Array]
) -> Interval:
    """How much higher a metric is of the second, over all seeds, by a paired bootstrap over days."""
    measure, _ = METRICS[metric]
    labels = frame.labels[frame.test]

    def mean(scores: Sequence[Array], rows: Array, weights: Array) -> float:
        return float(np.mean([measure(labels[rows], each[rows], weights) for each in scores]))

    return over_days(
        lambda rows, weights: mean(after, rows, weights) - mean(before, rows, weights),
        frame.days[frame.test],
        draws=draws,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--picture", type=Path, help="where to draw the network's calibration, by month")
    parser.add_argument("--without", nargs="*", default=[], help="features to leave out, as `previous_*`")
    parser.add_argument("--monthly", action="store_true", help="also train anew for November and December")
    arguments = parser.parse_args()
    frame = read_frame(arguments.without)
    measured = (TO_AUGUST, ANEW, MONTHLY) if arguments.monthly else (TO_AUGUST, ANEW)
    shown = Table("", "AUC", "average precision", "log loss", "calibration error", "seconds of training")
    scored: dict[str, list[Array]] = {}
    for name, train in (("LightGBM", boosted(frame)), ("network", network(frame))):
        taken: list[float] = []
        for seed in range(arguments.seeds):
            started = time.monotonic()
            to_august, anew = train(frame.parts, seed)
            taken.append(time.monotonic() - started)
            progress.print(f"{name}, seed {seed}: {taken[-1]:.0f} s")
            scored.setdefault(f"{name}, {TO_AUGUST}", []).append(to_august(frame.test))
            scored.setdefault(f"{name}, {ANEW}", []).append(anew(frame.test))
            if arguments.monthly:
                scores = month_by_month(frame, train, seed, anew)
                scored.setdefault(f"{name}, {MONTHLY}", []).append(scores)
        for until in measured:
            cells = summary(frame.labels[frame.test], scored[f"{name}, {until}"])
            shown.add_row(f"{name}, {until}", *cells, f"{np.median(taken):.0f}" if until == ANEW else "")
    console = Console()
    shown.title = f"October to December, {int(frame.test.sum()):,} flights, look {looks()}"
    console.print(shown)
    for until in measured:
        for metric in ("auc", "average_precision"):
            both = scored[f"LightGBM, {until}"], scored[f"network, {until}"]
            found = difference(frame, metric, arguments.draws, *both)
            console.print(f"network less LightGBM, {until}, {metric}: {found.signed}")
    # As it is shipped.
    served = scored[f"network, {ANEW}"][0]
    measured_by_month = calibration_by_month(frame.labels[frame.test], served, frame.days[frame.test])
    for month, each in measured_by_month.items():
        console.print(f"calibration error of the network, {ANEW}, {month}: {each.error:.3f}")
    if arguments.picture:
        calibration_curve(measured_by_month).savefig(arguments.picture, dpi=120)


if __name__ == "__main__":
    main()
