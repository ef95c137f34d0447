"""How good probabilities are: metrics, calibration, and what each feature contributes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sklearn.metrics

from ml.encoding.arrow import ArrowTable

Array = npt.NDArray[Any]
# It ships no types.
untyped_metrics: Any = sklearn.metrics
NAN = float("nan")


def auc(labels: Array, scores: Array, weights: Array | None = None) -> float:
    """Area under the ROC curve; ties count half. NaN when only one class is there.

    >>> auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    return (
        float(untyped_metrics.roc_auc_score(labels, scores, sample_weight=weights))
        if _has_both(labels)
        else NAN
    )


def average_precision(labels: Array, scores: Array, weights: Array | None = None) -> float:
    """Precision averaged over the recall gained at each score; NaN when only one class is there.

    >>> round(average_precision(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])), 4)
    0.8333
    """
    if not _has_both(labels):
        return NAN
    return float(untyped_metrics.average_precision_score(labels, scores, sample_weight=weights))


def log_loss(labels: Array, scores: Array, weights: Array | None = None) -> float:
    """Mean negative log likelihood, natural logarithm; scores are kept 1e-7 away from 0 and 1."""
    kept = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(untyped_metrics.log_loss(labels, kept, sample_weight=weights, labels=[0.0, 1.0]))


def brier(labels: Array, scores: Array, weights: Array | None = None) -> float:
    """Mean squared difference of score and label."""
    return float(np.average((scores.astype(np.float64) - labels) ** 2, weights=weights))


def _has_both(labels: Array) -> bool:
    return bool((labels > 0.5).any() and (labels <= 0.5).any())


# Metric → function, and whether more is better.
METRICS: dict[str, tuple[Callable[..., float], bool]] = {
    "auc": (auc, True),
    "average_precision": (average_precision, True),
    "log_loss": (log_loss, False),
    "brier": (brier, False),
}


@dataclass(frozen=True)
class Calibration:
    """Scores against outcomes in bins of as many rows each.

    Args:
        mean_score, label_rate, rows: one number a bin.
    """

    mean_score: tuple[float, ...]
    label_rate: tuple[float, ...]
    rows: tuple[int, ...]

    @property
    def error(self) -> float:
        """Expected calibration error: the mean gap, weighted by rows."""
        gaps = np.abs(np.array(self.mean_score) - np.array(self.label_rate))
        return float(np.average(gaps, weights=self.rows))


def calibration(labels: Array, scores: Array, bins: int = 20) -> Calibration:
    """Compare mean score and label rate bin by bin; equal scores share a bin."""
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1]))
    at = np.searchsorted(edges, scores, side="right")
    rows = np.bincount(at, minlength=len(edges) + 1)
    filled = rows > 0
    mean_score = np.bincount(at, scores, len(rows))[filled] / rows[filled]
    label_rate = np.bincount(at, labels, len(rows))[filled] / rows[filled]
    return Calibration(tuple(mean_score.tolist()), tuple(label_rate.tolist()), tuple(rows[filled].tolist()))


def calibration_by_month(labels: Array, scores: Array, days: Array) -> dict[str, Calibration]:
    """Calibration of all rows, and of each month where there are several.

    Args:
        labels, scores: `(rows,)`.
        days: `(rows,)`, dates.
    """
    months = days.astype("datetime64[M]")
    found = {"all": calibration(labels, scores)}
    if len(np.unique(months)) > 1:
        for month in np.unique(months):
            found[str(month)] = calibration(labels[months == month], scores[months == month])
    return found


def metrics(labels: Array, scores: Array) -> dict[str, float]:
    """All metrics by name.

    Args:
        labels: `(rows,)`, 0 or 1.
        scores: `(rows,)`, probabilities.
    """
    measured = {name: measure(labels, scores) for name, (measure, _) in METRICS.items()}
    return measured | {"ece": calibration(labels, scores).error}


def permutation_importance(
    predict: Callable[[ArrowTable], Array],
    rows: ArrowTable,
    labels: Array,
    features: Sequence[str],
    seed: int,
) -> dict[str, float]:
    """How much AUC is lost when one feature's values are shuffled over the rows, largest loss first."""
    whole = auc(labels, predict(rows))
    losses: dict[str, float] = {}
    for name in features:
        shuffled = rows.column(name).take(pa.array(np.random.default_rng(seed).permutation(rows.num_rows)))
        changed = rows.set_column(rows.schema.get_field_index(name), name, shuffled)
        losses[name] = whole - auc(labels, predict(changed))
    return dict(sorted(losses.items(), key=lambda item: (-item[1], item[0])))
