"""Intervals by a bootstrap over days.

Flights of one day share its weather and its delays, so that rows say less than their number: it is whole days
that are drawn.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.stats

Array = npt.NDArray[Any]

# Draws, and the seed of their choice: the same rows give the same figures again.
DRAWS, SEED = 1000, 20130101
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A figure and where it lies at some confidence; without ends where there are too few days to tell.

    That is also where some draw of days has no row with the label, so that a rank such as AUC has no value.
    """

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimate:.4f} [{self.low:.4f}, {self.high:.4f}]"

    @property
    def signed(self) -> str:
        """The figures with their signs, as of a difference."""
        return f"{self.estimate:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


def over_days(
    measure: Callable[[Array, Array], float],
    days: Array,
    confidence: float = CONFIDENCE,
    draws: int = DRAWS,
) -> Interval:
    """A measure of rows, and its interval.

    Args:
        measure: of some rows (their numbers) and as many weights: a day that was drawn twice counts twice.
        days: `(rows,)`; a day is any value that its rows share.
    """
    unique, day_of_row = np.unique(days, return_inverse=True)

    def drawn_days(numbers: Array) -> float:
        weights = np.bincount(numbers, minlength=len(unique))[day_of_row].astype(np.float64)
        rows = np.flatnonzero(weights)
        return measure(rows, weights[rows])

    every = np.arange(len(unique))
    if len(unique) < 2:
        return Interval(drawn_days(every), float("-inf"), float("inf"))
    with warnings.catch_warnings():
        # A draw without a value makes the ends NaN, which is told apart below.
        warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)
        drawn: Any = scipy.stats.bootstrap(
            (every,),
            drawn_days,
            vectorized=False,
            n_resamples=draws,
            confidence_level=confidence,
            method="percentile",
            rng=np.random.default_rng(SEED),
        )
    low, high = float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)
    if math.isnan(low) or math.isnan(high):
        low, high = float("-inf"), float("inf")
    return Interval(drawn_days(every), low, high)
