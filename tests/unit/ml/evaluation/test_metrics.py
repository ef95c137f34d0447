"""Metrics against their definitions, and against values known by hand."""

import numpy as np
import pyarrow as pa
import pytest

from ml.evaluation.metrics import (
    auc,
    average_precision,
    brier,
    calibration,
    calibration_by_month,
    log_loss,
    metrics,
    permutation_importance,
)

RANDOM = np.random.default_rng(5)
LABELS = (RANDOM.random(500) < 0.3).astype(np.float64)
# Rounded, so that many scores tie.
SCORES = np.round(np.clip(0.3 * LABELS + RANDOM.random(500) * 0.6, 0.01, 0.99), 2)


def test_metrics_are_what_their_names_say() -> None:
    late, early = SCORES[LABELS == 1], SCORES[LABELS == 0]
    pairs = (late[:, None] > early).sum() + (late[:, None] == early).sum() / 2
    assert auc(LABELS, SCORES) == pytest.approx(pairs / (len(late) * len(early)))
    assert brier(LABELS, SCORES) == pytest.approx(np.mean((SCORES - LABELS) ** 2))
    likelihoods = np.where(LABELS == 1, SCORES, 1 - SCORES)
    assert log_loss(LABELS, SCORES) == pytest.approx(-np.log(likelihoods).mean())


def test_metrics_of_a_constant_score() -> None:
    measured = metrics(np.array([0.0, 0.0, 0.0, 1.0]), np.full(4, 0.25))
    assert measured["auc"] == 0.5
    assert measured["average_precision"] == 0.25
    assert measured["brier"] == pytest.approx(0.1875)
    assert measured["ece"] == pytest.approx(0.0)


def test_one_class_alone_has_no_auc() -> None:
    assert np.isnan(auc(np.zeros(3), np.array([0.1, 0.2, 0.3])))
    assert np.isnan(average_precision(np.zeros(3), np.array([0.1, 0.2, 0.3])))


def test_calibration_error_is_the_gap_between_score_and_rate() -> None:
    labels = np.array([0, 1] * 500, dtype=np.float64)
    scores = np.where(np.arange(1000) < 500, 0.2, 0.7)
    measured = calibration(labels, scores, bins=2)
    assert measured.rows == (500, 500)
    assert measured.error == pytest.approx((0.3 + 0.2) / 2)


def test_calibration_by_month_tells_a_month_that_is_off_from_one_that_is_not() -> None:
    days = np.where(np.arange(1000) < 500, np.datetime64("2013-09-30"), np.datetime64("2013-10-01"))
    labels = np.array([0, 1] * 500, dtype=np.float64)
    measured = calibration_by_month(labels, np.where(np.arange(1000) < 500, 0.5, 0.7), days)
    assert list(measured) == ["all", "2013-09", "2013-10"]
    assert [round(each.error, 3) for each in measured.values()] == [0.1, 0.0, 0.2]
    assert list(calibration_by_month(labels[:500], np.full(500, 0.5), days[:500])) == ["all"]


def test_only_the_feature_that_counts_has_importance() -> None:
    rows = pa.table({"noise": RANDOM.random(500), "signal": LABELS})
    losses = permutation_importance(
        lambda r: r.column("signal").to_numpy(), rows, LABELS, ["noise", "signal"], 1
    )
    assert list(losses) == ["signal", "noise"]
    assert losses["noise"] == 0.0
    assert losses["signal"] > 0.4
