"""What a model's inputs and scores looked like in its training set: bins, rows in each, and days one by one.

The bins stay with the model. A day is compared with them by the population stability index, and the index of
a day says little alone: a day of weather is a few values, so that most features of a plain day are far from a
year's. That is why the index of each training day is kept as well, to compare a day's index with.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# The first bin of every feature, and the next one: missing; below all that training had, or a category that
# it had not, or too rarely.
MISSING, UNSEEN = 0, 1
# What keeps an empty bin from making the index infinite; the mart adds the same.
PSEUDO_ROWS = 0.5
NUMERIC, CATEGORICAL, SCORE, CALIBRATION = "numeric", "categorical", "score", "calibration"
# The names under which the model's own output stands beside its features.
SCORE_NAME, CALIBRATION_NAME = "(score)", "(calibration)"
# Days whose index is kept: a season, and the same one a year before.
KEPT_DAYS = 400


@dataclass(frozen=True)
class Bins:
    """The bins of one feature, or of the score.

    Args:
        kind: numeric, categorical or score.
        bounds: of a number: where each bin from 2 on begins; what is below the first is in bin 1. The last
            bin holds what is above the greatest value.
        categories: of a category: the values of the bins from 2 on.
        rows: training rows in each bin, from bin 0 on.
    """

    kind: str
    bounds: tuple[float, ...]
    categories: tuple[str, ...]
    rows: tuple[int, ...]

    @property
    def unseen(self) -> tuple[int, ...]:
        """The bins of what training did not have."""
        if self.kind == CATEGORICAL or not self.bounds:
            return (UNSEEN,)
        return (UNSEEN, len(self.rows) - 1)


@dataclass(frozen=True)
class DayStatistic:
    """A figure of one day: an index, or how far the late share lay from the mean score.

    Args:
        rows: that the figure is of.
    """

    day: date
    value: float
    rows: int


@dataclass(frozen=True)
class Reference:
    """What a model version was trained on, as monitoring needs it.

    Args:
        bins: by feature, the score among them.
        days: by feature, the score and the calibration among them: the figures of the training days.
    """

    model_name: str
    model_version: str
    bins: Mapping[str, Bins]
    days: Mapping[str, tuple[DayStatistic, ...]]

    def to_json(self) -> str:
        """As text; floats come back to the same bits."""
        return json.dumps(
            {
                "model_name": self.model_name,
                "model_version": self.model_version,
                "bins": {name: asdict(bins) for name, bins in self.bins.items()},
                "days": {
                    name: [[each.day.isoformat(), each.value, each.rows] for each in found]
                    for name, found in self.days.items()
                },
            },
            allow_nan=False,
        )

    @staticmethod
    def from_json(text: str) -> "Reference":
        """The inverse of `to_json`."""
        data: dict[str, Any] = json.loads(text)
        return Reference(
            data["model_name"],
            data["model_version"],
            {
                name: Bins(
                    bins["kind"],
                    tuple(bins["bounds"]),
                    tuple(bins["categories"]),
                    tuple(bins["rows"]),
                )
                for name, bins in data["bins"].items()
            },
            {
                name: tuple(DayStatistic(date.fromisoformat(day), value, rows) for day, value, rows in found)
                for name, found in data["days"].items()
            },
        )


def numeric_bounds(values: Array, bins: int) -> tuple[float, ...]:
    """Where bins of about as many rows begin, and the smallest float32 above all values.

    The edges of the model's encoding will not do: they lie where the label's rate changes, and leave bins
    that hold almost every row.

    Args:
        values: `(rows,)`, float32, NaN where missing.

    >>> numeric_bounds(np.array([1, 1, 2, 3, np.nan], np.float32), bins=2)
    (1.0, 1.5, 3.000000238418579)
    """
    present = values[np.isfinite(values)]
    if present.size == 0:
        return ()
    edges = np.unique(np.quantile(present, np.linspace(0, 1, bins + 1)).astype(np.float32))
    above = np.nextafter(edges[-1], np.float32(np.inf), dtype=np.float32)
    starts = edges[:-1] if len(edges) > 1 else edges
    return tuple(float(each) for each in (*starts, above))


def numeric_bin(bounds: Sequence[float], values: Array) -> Array:
    """The bin of each value, `(rows,)`; as the mart `feature_drift` finds it.

    >>> numeric_bin((1.0, 2.0, 3.5), np.array([np.nan, 0, 1, 2, 3.5], np.float32)).tolist()
    [0, 1, 2, 3, 4]
    """
    at = 1 + np.searchsorted(np.asarray(bounds, np.float32), values, side="right")
    return np.where(np.isnan(values), MISSING, at)


def stability_index(rows: Array, expected: Array) -> Array:
    """The population stability index of counts beside the reference's; 0 where the shares are the same.

    Args:
        rows: `(…, bins)`; expected: `(bins,)`.

    >>> float(stability_index(np.array([10, 10]), np.array([500, 500])))
    0.0
    """
    share, reference = _smoothed(np.asarray(rows)), _smoothed(np.asarray(expected))
    return np.sum((share - reference) * np.log(share / reference), axis=-1)


def _smoothed(rows: Array) -> Array:
    bins = rows.shape[-1]
    return (rows + PSEUDO_ROWS) / (rows.sum(axis=-1, keepdims=True) + PSEUDO_ROWS * bins)


def describe(
    kind: str,
    at: Array,
    bin_count: int,
    days: Array,
    bounds: tuple[float, ...] = (),
    categories: tuple[str, ...] = (),
) -> tuple[Bins, tuple[DayStatistic, ...]]:
    """The rows in each bin, over all days and day by day as an index.

    Args:
        at: the bin of each row, `(rows,)`.
        days: the day of each row, `(rows,)`, as numpy's dates.
    """
    unique, of_row = np.unique(days, return_inverse=True)
    counted = np.bincount(of_row * bin_count + at, minlength=len(unique) * bin_count)
    by_day = counted.reshape(len(unique), bin_count)
    expected = by_day.sum(axis=0)
    bins = Bins(kind, bounds, categories, tuple(int(each) for each in expected))
    return bins, _statistics(unique, stability_index(by_day, expected), by_day.sum(axis=1))


def calibration_days(days: Array, labels: Array, scores: Array) -> tuple[DayStatistic, ...]:
    """How far the label's share lay from the mean score, day by day; above 0 the model said too little.

    Args:
        days, labels, scores: `(rows,)` each.
    """
    unique, of_row = np.unique(days, return_inverse=True)
    rows = np.bincount(of_row)
    gaps = np.bincount(of_row, labels.astype(np.float64) - scores.astype(np.float64)) / rows
    return _statistics(unique, gaps, rows)


def _statistics(days: Array, values: Array, rows: Array) -> tuple[DayStatistic, ...]:
    kept = slice(max(0, len(days) - KEPT_DAYS), None)
    return tuple(
        DayStatistic(day.item(), float(value), int(count))
        for day, value, count in zip(days[kept], values[kept], rows[kept], strict=True)
    )
