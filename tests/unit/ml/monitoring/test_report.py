"""The week's page says which days raised an alarm and why, in one file; people are told of the newest day."""

import re
from datetime import date, timedelta

import pytest

from lakehouse.alerts.outbox import alerts, outbox
from ml.monitoring.alarms import tell
from ml.monitoring.days import MonitoredDay, Shares
from ml.monitoring.judge import judge
from ml.monitoring.reference import CALIBRATION_NAME, SCORE_NAME, DayStatistic
from ml.monitoring.report import page, week_of
from ml.spec import MonitoringSpec, load_spec

MONDAY = date(2013, 10, 7)
RULE = MonitoringSpec()


# With an outbox of its own.
pytestmark = pytest.mark.usefixtures("own_warehouse")


def day(at: date, score: float, wind: float = 0.1) -> MonitoredDay:
    figures = {SCORE_NAME: score, "wind_<mph>": wind, CALIBRATION_NAME: 0.01}
    past = {
        name: [DayStatistic(at - timedelta(days=n), 0.05 + 0.001 * (n % 7), 100) for n in range(1, 60)]
        for name in figures
    }
    judged = judge(at, {name: DayStatistic(at, each, 100) for name, each in figures.items()}, past, RULE)
    return MonitoredDay("1", judged, {"wind_<mph>": Shares(0.5, 0.0, 0.1, 0.0)})


def test_a_weeks_page_is_one_file_that_loads_nothing() -> None:
    days = [day(MONDAY, 0.05), day(MONDAY + timedelta(days=1), 3.0, wind=4.0)]
    text = page(load_spec("arrival_delay"), MONDAY, days, [("auc", "0.7 [0.6, 0.8]")])
    assert "arrival_delay, week of 2013-10-07" in text
    assert text.count("class=alarm") == 1
    assert "features that stand out: wind_&lt;mph&gt;" in text and "wind_<mph>" not in text
    assert "50.0% (10.0%)" in text and "0.7 [0.6, 0.8]" in text
    sources = re.findall(r'src="([^"]{0,30})', text)
    assert len(sources) == 2 and all(each.startswith("data:image/png;base64,") for each in sources)
    assert "http" not in re.sub(r'src="[^"]*"', "", text)
    assert week_of(date(2013, 10, 13)) == MONDAY


def test_people_are_told_of_the_newest_day_and_when_it_is_over() -> None:
    strange = day(MONDAY, 3.0, wind=4.0)
    tell("arrival_delay", [strange])
    with outbox() as connection:
        (alert,) = alerts(connection)
    assert (alert.kind, alert.subject) == ("drift", "arrival_delay")
    assert "(score) 3" in alert.what and "wind_<mph>" in alert.what
    tell("arrival_delay", [strange, day(MONDAY + timedelta(days=1), 0.05)])
    with outbox() as connection:
        assert alerts(connection) == []


def test_the_graph_shows_pictures_and_which_days_stand_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import dagster as dg

    from orchestration.assets.monitoring import monitoring_asset

    # What judges the days is tested on a real mart (tests/integration/ml/test_drift.py).
    strange = MONDAY + timedelta(days=1)
    days = [day(MONDAY, 0.05), day(strange, 3.0, wind=4.0)]
    monkeypatch.setattr("ml.monitoring.days.monitored_days", lambda *_: days)
    monkeypatch.setattr("orchestration.assets.monitoring.spark_session", lambda: None)
    asset = monitoring_asset(load_spec("arrival_delay"))
    result = dg.materialize([asset], partition_key=str(strange))
    assert result.success
    (made,) = result.asset_materializations_for_node(asset.node_def.name)
    assert made.metadata["outputs"].value.startswith("![](data:image/png;base64,")  # type: ignore[union-attr]
    assert made.metadata["alarms"].value == [f"{strange}: (score) 3"]
    checks = {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
    assert checks == {"scores_as_before": False, "calibrated_as_before": True, "features_as_before": False}
    with outbox() as connection:
        assert [each.kind for each in alerts(connection)] == ["drift"]
