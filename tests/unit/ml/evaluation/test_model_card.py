"""What a model card measures, on planted rows."""

import numpy as np
import pyarrow as pa
import pytest

from ml.evaluation.metrics import auc, log_loss
from ml.evaluation.model_card import measure

RANDOM = np.random.default_rng(2)
COUNT = 4000
LABELS = (RANDOM.random(COUNT) < 0.3).astype(np.float64)
CARRIERS = np.array(["AA", "UA"])[RANDOM.integers(0, 2, COUNT)]
# Good for one carrier, chance for the other, and too high there.
SCORES = np.where(CARRIERS == "AA", 0.1 + 0.5 * LABELS, 0.6) + RANDOM.random(COUNT) * 0.2
DAYS = np.datetime64("2013-08-20") + RANDOM.integers(0, 20, COUNT)
ROWS = pa.table(
    {
        "day": pa.array(DAYS, pa.date32()),
        "carrier": pa.array(CARRIERS),
        "hour": pa.array([6 if at < 10 else 20 if at < 2000 else 7 for at in range(COUNT)]),
    }
)


def test_each_segment_is_measured_by_its_own_rows() -> None:
    found = measure(ROWS, LABELS, SCORES, "day", ["carrier", "hour"], {})
    by_value = {(each.column, each.value): each for each in found.segments}
    here = CARRIERS == "AA"
    good, poor = by_value["carrier", "AA"], by_value["carrier", "UA"]
    assert (good.rows, good.label_rate) == (here.sum(), LABELS[here].mean())
    assert good.auc.estimate == auc(LABELS[here], SCORES[here]) > 0.95
    assert good.auc.low <= good.auc.estimate <= good.auc.high
    assert poor.auc.high < 0.6
    assert poor.mean_score - poor.label_rate > 0.3
    assert found.overall["log_loss"].estimate == log_loss(LABELS, SCORES)


def test_segments_are_in_order_and_small_ones_are_counted_not_measured() -> None:
    found = measure(ROWS, LABELS, SCORES, "day", ["hour"], {})
    assert [(each.column, each.value) for each in found.segments] == [
        ("hour", "7"),
        ("hour", "20"),
        ("month", "2013-08"),
        ("month", "2013-09"),
    ]
    assert found.left_out == {"hour": 1}


@pytest.mark.filterwarnings("error")
def test_a_rare_label_is_measured_where_it_is_and_its_interval_open_where_days_lack_it() -> None:
    """Sixty rows of two days have the label; nine of them are of one carrier."""
    labels = np.zeros(COUNT)
    unusual = np.isin(DAYS, [np.datetime64("2013-08-21"), np.datetime64("2013-08-22")])
    labels[np.flatnonzero(unusual & (CARRIERS == "AA"))[:9]] = 1
    labels[np.flatnonzero(unusual & (CARRIERS == "UA"))[:51]] = 1

    found = measure(ROWS, labels, SCORES, "day", ["carrier"], {})
    (measured,) = (each for each in found.segments if each.column == "carrier")
    assert measured.value == "UA"
    assert found.left_out == {"carrier": 1, "month": 1}
    assert np.isfinite(measured.auc.estimate)
    assert (measured.auc.low, measured.auc.high) == (-np.inf, np.inf)
    assert np.isfinite([found.overall["brier"].low, found.overall["brier"].high]).all()
