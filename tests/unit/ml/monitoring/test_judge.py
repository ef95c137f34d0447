"""What stands out on a day among 153 features, and that plain days say nothing."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.monitoring.judge import JudgedDay, Tail, judge
from ml.monitoring.reference import (
    CALIBRATION_NAME,
    SCORE_NAME,
    DayStatistic,
    numeric_bin,
    numeric_bounds,
    stability_index,
)
from ml.spec import MonitoringSpec

FEATURES, PER_DAY, HISTORY, STABLE = 153, 300, 120, 30
FIRST = date(2013, 5, 1)
RULE = MonitoringSpec()


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    """`(features, days, rows)`: two thirds mostly tell days apart, as the weather does, the others do not."""
    rng = np.random.default_rng(1)
    days = HISTORY + STABLE
    between = np.where(np.arange(FEATURES) % 3 < 2, 3.0, 0.1)[:, None, None]
    values = between * rng.normal(size=(FEATURES, days, 1)) + rng.normal(size=(FEATURES, days, PER_DAY))
    return values.astype(np.float32)


def judged_days(values: np.ndarray, rule: MonitoringSpec = RULE) -> list[JudgedDay]:
    """The stable days, each judged by those before it."""
    dates = [FIRST + timedelta(days=number) for number in range(values.shape[1])]
    past: dict[str, list[DayStatistic]] = {}
    for number, of_feature in enumerate(values):
        bounds = numeric_bounds(of_feature[:HISTORY].ravel(), 10)
        bins = len(bounds) + 2
        at = numeric_bin(bounds, of_feature)
        counts = np.stack([np.bincount(day, minlength=bins) for day in at])
        index = stability_index(counts, counts[:HISTORY].sum(axis=0))
        past[f"f{number}"] = [
            DayStatistic(day, float(value), PER_DAY) for day, value in zip(dates, index, strict=True)
        ]
    # The first feature is what the score is made of.
    past[SCORE_NAME] = past["f2"]
    return [
        judge(day, {name: found[place] for name, found in past.items()}, past, rule)
        for place, day in enumerate(dates)
        if place >= HISTORY
    ]


def test_thirty_stable_days_raise_nothing_where_the_textbook_cries_each_day(drawn: np.ndarray) -> None:
    days = judged_days(drawn)
    assert len(days) == STABLE
    assert [(day.day, day.alarms, day.named) for day in days if day.alarms or day.named] == []
    textbook = [sum(each.value > 0.2 for each in day.features) for day in days]
    assert min(textbook) > 90
    assert all(each.past_days == RULE.season_days for day in days for each in day.features)


@pytest.mark.parametrize(
    "plant",
    [
        pytest.param(lambda values: values * 25, id="another unit"),
        pytest.param(lambda values: np.where(np.arange(PER_DAY) % 10 < 9, np.nan, values), id="missing"),
        pytest.param(lambda values: values * 0 + 99, id="stuck"),
    ],
)
@pytest.mark.parametrize("feature", [5, 150])
def test_a_drift_in_one_feature_of_153_is_named_the_same_day(drawn: np.ndarray, plant, feature: int) -> None:
    values = drawn.copy()
    values[feature, HISTORY + 20] = plant(values[feature, HISTORY + 20])
    days = judged_days(values)
    assert [(day.day, [each.name for each in day.named]) for day in days if day.named] == [
        (FIRST + timedelta(days=HISTORY + 20), [f"f{feature}"])
    ]


def test_the_scores_drift_raises_the_alarm_and_features_explain_it(drawn: np.ndarray) -> None:
    values = drawn.copy()
    values[2, HISTORY + 3] = values[2, HISTORY + 3] + 40
    alarmed = [day for day in judged_days(values) if day.alarms]
    assert [day.day for day in alarmed] == [FIRST + timedelta(days=HISTORY + 3)]
    assert [each.name for each in alarmed[0].alarms] == [SCORE_NAME]
    assert [each.name for each in alarmed[0].named] == ["f2"]
    (alarm,) = alarmed[0].alarms
    assert alarm.limit is not None and alarm.value > alarm.limit


def test_a_shift_of_the_level_is_seen_by_calibration() -> None:
    rng = np.random.default_rng(2)
    past = [
        DayStatistic(FIRST + timedelta(days=n), float(gap), 800)
        for n, gap in enumerate(rng.normal(0, 0.03, 60))
    ]
    day = FIRST + timedelta(days=60)

    def alarms(gap: float) -> int:
        figures = {CALIBRATION_NAME: DayStatistic(day, gap, 800)}
        return len(judge(day, figures, {CALIBRATION_NAME: past}, RULE).alarms)

    assert (alarms(-0.35), alarms(0.35), alarms(0.04)) == (1, 1, 0)


def test_with_too_few_days_nothing_is_judged() -> None:
    past = {"f": [DayStatistic(FIRST + timedelta(days=n), 0.1, 10) for n in range(RULE.min_days - 1)]}
    day = judge(date(2013, 6, 1), {"f": DayStatistic(date(2013, 6, 1), 9.0, 10)}, past, RULE)
    assert [(each.probability, each.stands_out) for each in day.features] == [(None, False)]


@given(
    past=st.lists(st.floats(0, 5, allow_nan=False), min_size=5, max_size=80),
    small=st.floats(0, 10),
    more=st.floats(0, 10),
    probability=st.floats(1e-6, 0.01),
)
def test_a_greater_figure_is_less_likely_and_the_limit_is_where_the_tail_says(
    past: list[float], small: float, more: float, probability: float
) -> None:
    tail = Tail.of(past, 0.15)
    assert 0 < tail.probability(small + more) <= tail.probability(small) <= 1
    assert tail.probability(tail.limit(probability) * 1.0001) <= probability * 1.0001
