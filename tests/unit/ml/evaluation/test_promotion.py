"""The rule of promotion, on planted scores."""

import numpy as np
import pytest

from ml.evaluation.bootstrap import Interval
from ml.evaluation.metrics import METRICS
from ml.evaluation.promotion import gain_by_days, verdict
from ml.spec import PromotionSpec

# Enough to tell what is planted.
DRAWS = 100
RANDOM = np.random.default_rng(11)
DAYS = np.repeat(np.arange(40), 50)
CHANCE = np.clip(RANDOM.beta(1, 4, len(DAYS)), 0.01, 0.99)
LABELS = (RANDOM.random(len(DAYS)) < CHANCE).astype(np.float64)


def _noisy(scale: float, seed: int) -> np.ndarray:
    """Scores that know the chance the better, the smaller the scale."""
    logit = np.log(CHANCE / (1 - CHANCE)) + np.random.default_rng(seed).normal(0, scale, len(CHANCE))
    return 1 / (1 + np.exp(-logit))


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_better_is_promoted_worse_and_equal_are_not(metric: str) -> None:
    rule = PromotionSpec(metric=metric)
    good, poor = _noisy(0.1, 1), _noisy(1.5, 2)

    def promoted(before: np.ndarray, after: np.ndarray) -> bool:
        return verdict(rule, gain_by_days(rule, LABELS, before, after, DAYS, DRAWS), 40)[0]

    assert promoted(poor, good)
    assert not promoted(good, poor)
    assert not promoted(good, good)
    assert not promoted(_noisy(0.1, 3), good)


def test_the_gain_is_the_difference_of_the_metric_and_its_interval_holds_it() -> None:
    good, poor = _noisy(0.1, 1), _noisy(1.5, 2)
    for name, (measure, more_is_better) in METRICS.items():
        found = gain_by_days(PromotionSpec(metric=name), LABELS, poor, good, DAYS, DRAWS)
        difference = measure(LABELS, good) - measure(LABELS, poor)
        assert found.estimate == pytest.approx(difference if more_is_better else -difference)
        assert found.low < found.estimate < found.high


def test_rows_of_one_day_are_no_evidence() -> None:
    """Better on very many rows, but all of one day: an interval over rows would not hold 0."""
    rule = PromotionSpec(metric="brier")
    days = np.concatenate([np.arange(30), np.full(3000, 30)])
    labels = np.concatenate([np.tile([0.0, 1.0], 15), np.zeros(3000)])
    before, after = np.full(3030, 0.5), np.full(3030, 0.5)
    after[30:] = 0.4
    found = gain_by_days(rule, labels, before, after, days, DRAWS)
    assert found.estimate > 0.05
    assert found.low == 0
    assert not verdict(rule, found, 31)[0]


def test_a_day_drawn_twice_counts_as_its_rows_twice() -> None:
    counts = np.random.default_rng(3).integers(0, 3, len(LABELS))
    scores = np.round(_noisy(0.5, 4), 2)
    for measure, _ in METRICS.values():
        repeated = measure(np.repeat(LABELS, counts), np.repeat(scores, counts))
        assert measure(LABELS, scores, counts.astype(float)) == pytest.approx(repeated, rel=1e-12)


def test_too_few_days_and_a_margin() -> None:
    rule = PromotionSpec(min_days=14, min_gain=-0.01)
    assert verdict(rule, Interval(0.1, 0.05, 0.2), 13) == (
        False,
        "refused: log_loss: gain +0.1000 [+0.0500, +0.2000] at 95% over 13 days; the rule asks for 14 days",
    )
    assert verdict(rule, Interval(0.0, -0.009, 0.01), 14)[0]
    assert not verdict(rule, Interval(0.0, -0.011, 0.01), 14)[0]


def test_one_day_alone_says_nothing() -> None:
    found = gain_by_days(PromotionSpec(), LABELS[:50], CHANCE[:50], CHANCE[:50], DAYS[:50])
    assert found == Interval(0.0, float("-inf"), float("inf"))
