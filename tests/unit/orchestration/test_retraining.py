"""When a model is trained again by itself."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import dagster as dg
import pytest

from ml.spec import RetrainingSpec
from orchestration import retraining
from orchestration.retraining import Quality, look_at_models, told_in_full, why_now

RULE = RetrainingSpec(quality_days=3, min_gain=0.05)
TRAINED = date(2013, 10, 1)


def quality(first: date, *losses: float, base: float = 0.5, rows: int = 100) -> list[Quality]:
    return [Quality(first + timedelta(days=n), rows, loss, base) for n, loss in enumerate(losses)]


@pytest.mark.parametrize(
    ("newest", "is_due"),
    [(date(2013, 10, 1), False), (date(2013, 10, 30), False), (date(2013, 10, 31), True)],
)
def test_each_month_of_data_trains_once(newest: date, is_due: bool) -> None:
    # As of the day after the newest one: with all of October delivered it is a model of November.
    assert (why_now(TRAINED, newest, [], RULE) is not None) == is_due


def test_a_month_that_was_missed_is_trained_once() -> None:
    assert why_now(date(2013, 7, 1), date(2013, 10, 3), [], RULE) == (
        "a new month: it was trained as of 2013-07-01"
    )
    assert why_now(date(2013, 10, 4), date(2013, 10, 3), [], RULE) is None


def test_bad_forecasts_train_and_good_ones_do_not() -> None:
    newest = date(2013, 10, 20)
    good = quality(date(2013, 10, 17), 0.40, 0.41, 0.40)
    bad = quality(date(2013, 10, 17), 0.49, 0.48, 0.50)
    assert why_now(TRAINED, newest, good, RULE) is None
    why = why_now(TRAINED, newest, bad, RULE)
    assert why is not None and "from 2013-10-17 to 2013-10-19" in why and "2.0% better" in why
    # Order is no matter, and days without an outcome are none.
    unknown = quality(date(2013, 10, 20), 9.0, rows=0)
    assert why_now(TRAINED, newest, [*reversed(bad), *unknown], RULE) == why


def test_the_same_bad_days_are_no_reason_twice() -> None:
    bad = quality(date(2013, 10, 10), 0.6, 0.6, 0.6, 0.6)
    assert why_now(date(2013, 10, 12), date(2013, 10, 14), bad, RULE) is None
    assert why_now(date(2013, 10, 11), date(2013, 10, 14), bad, RULE) is not None


def test_one_bad_day_among_many_flights_is_not_enough() -> None:
    days = [*quality(date(2013, 10, 10), 0.40, 0.40, rows=1000), *quality(date(2013, 10, 12), 0.9, rows=10)]
    assert why_now(TRAINED, date(2013, 10, 14), days, RULE) is None


def test_no_month_and_no_quality_where_the_spec_says_so() -> None:
    rule = RetrainingSpec(monthly=False)
    assert why_now(date(2013, 1, 1), date(2013, 12, 1), [], rule) is None


def test_what_was_trained_as_of_a_later_day_is_not_trained_again() -> None:
    bad = quality(date(2013, 10, 10), 0.6, 0.6, 0.6)
    assert why_now(date(2013, 10, 10), date(2013, 10, 14), bad, RULE) is not None
    assert why_now(date(2013, 10, 10), date(2013, 10, 9), bad, RULE) is None


def test_a_day_counts_when_it_was_told_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans of tomorrow are delivered, checked and scored before it begins."""

    def delivered(source: str, until: datetime) -> SimpleNamespace:
        return SimpleNamespace(kind="delivery", source=source, delivered_until=until)

    # New York's 30 October ends at 4 o'clock in UTC.
    ledger = [
        delivered("flight_schedule", datetime(2013, 11, 1, 4, tzinfo=UTC)),
        delivered("flight_actuals", datetime(2013, 10, 31, 4, tzinfo=UTC)),
        delivered("flight_actuals", datetime(2013, 10, 30, 4, tzinfo=UTC)),
        delivered("weather_observations", datetime(2013, 10, 31, 3, tzinfo=UTC)),
    ]
    monkeypatch.setattr("orchestration.records.ledger_entries", lambda: ledger)
    days = [date(2013, 10, 29), date(2013, 10, 30), date(2013, 10, 31)]
    assert told_in_full(days) == days[:1]
    ledger.append(delivered("weather_observations", datetime(2013, 10, 31, 4, tzinfo=UTC)))
    assert told_in_full(days) == days[:2]


def test_nothing_is_asked_for_while_a_training_waits_or_runs() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        waiting = instance.create_run_for_job(_nothing)
        assert not waiting.is_finished
        said = look_at_models(instance)
    assert isinstance(said, dg.SkipReason) and said.skip_message == "a training waits or runs"


@dg.job(name=retraining.retrain_job.name)
def _nothing() -> None: ...
