"""Which of the marts' figures are judged, and which say nothing yet."""

from datetime import date
from typing import Any

from ml.monitoring.days import figures_of
from ml.monitoring.judge import judge
from ml.monitoring.reference import SCORE_NAME
from ml.spec import MonitoringSpec

DAY = date(2013, 10, 1)


def row(feature: str, rows: int) -> dict[str, Any]:
    shares = ("missing_share", "unseen_share", "reference_missing_share", "reference_unseen_share")
    about = {"model_version": "1", "flight_date": DAY, "feature": feature, "row_count": rows}
    return about | {"stability_index": 9.0} | dict.fromkeys(shares, 0.0)


def names(rows: int, population: dict[date, int]) -> set[str]:
    drift = [row(name, rows) for name in ("hour", SCORE_NAME)]
    figures, shares = figures_of(drift, [], "flight_date", 0.8, population)
    assert set(figures) == set(shares) == {("1", DAY)}, "the day is there, whatever is due of it"
    return set(figures["1", DAY])


def test_a_day_of_which_a_part_is_due_is_there_and_not_judged() -> None:
    assert names(5, {DAY: 10}) == set()
    assert names(10, {DAY: 10}) == names(5, {}) == {"hour", SCORE_NAME}
    nothing = judge(DAY, {}, {"hour": []}, MonitoringSpec())
    assert (nothing.score, nothing.features, nothing.alarms) == (None, (), ())
