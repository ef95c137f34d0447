"""What a retraining by other code says, and what of it differs from what was logged."""

import pytest
from pydantic import ValidationError

from ml.provenance.differences import Difference
from ml.reproduction.retrain import metric_differences
from ml.reproduction.train_again import Outcome, Task

NAN = float("nan")


def test_a_metric_that_is_missing_or_no_number_any_more_differs() -> None:
    logged = {"auc": NAN, "log_loss": 0.4, "brier": 0.1, "ece": 0.02}
    assert metric_differences(logged, dict(logged)) == []
    assert metric_differences(logged, logged | {"log_loss": 0.4 + 1e-7, "later": 1.0}) == []
    assert metric_differences(logged, {"auc": 0.5, "log_loss": NAN, "brier": 0.1 + 1e-5}) == [
        Difference("metric", "auc", "nan", "0.5"),
        Difference("metric", "log_loss", "0.4", "nan"),
        Difference("metric", "brier", "0.1", "0.10001"),
        Difference("metric", "ece", "0.02", "None"),
    ]


def test_an_outcome_is_the_same_after_its_file() -> None:
    outcome = Outcome(metrics={"auc": NAN, "log_loss": 0.1 + 0.2}, weights_hash="a", furthest=0.25)
    again = Outcome.model_validate_json(outcome.model_dump_json())
    assert repr(again) == repr(outcome)


def test_a_task_of_newer_code_is_refused_by_what_it_asks_for() -> None:
    with pytest.raises(ValidationError, match=r"rows_to_skip\n\s+Extra inputs are not permitted"):
        Task.model_validate({"rows_to_skip": 3})
