"""The sensor: one run for the days whose files changed, and none when nothing did."""

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from orchestration.automation import new_deliveries
from orchestration.partitions import RANGE_END_TAG, RANGE_START_TAG, each_day


@pytest.fixture
def landing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from lakehouse import settings

    monkeypatch.setenv("LAKEHOUSE_LANDING", str(tmp_path))
    settings.settings.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    settings.settings.cache_clear()


def deliver(landing: Path, day: str, content: str = "x") -> None:
    folder = landing / "flight_actuals"
    folder.mkdir(exist_ok=True)
    (folder / f"flight_actuals_{day}.jsonl").write_text(content)


def tick(cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
    with dg.DagsterInstance.ephemeral() as instance:
        return new_deliveries(dg.build_sensor_context(instance=instance, cursor=cursor))  # type: ignore


def days(result: dg.SensorResult | dg.SkipReason) -> tuple[str, str]:
    assert isinstance(result, dg.SensorResult) and result.run_requests
    (request,) = result.run_requests
    return request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]


def test_what_lies_there_is_one_run_over_its_days(landing: Path) -> None:
    deliver(landing, "2013-01-03")
    deliver(landing, "2013-01-05")
    assert days(tick()) == ("2013-01-03", "2013-01-05")


def test_only_what_came_since_the_last_look_is_run(landing: Path) -> None:
    deliver(landing, "2013-01-03")
    first = tick()
    assert isinstance(first, dg.SensorResult)
    assert isinstance(tick(first.cursor), dg.SkipReason)
    deliver(landing, "2013-01-04")
    assert days(tick(first.cursor)) == ("2013-01-04", "2013-01-04")
    deliver(landing, "2013-01-03", "another delivery of a known day")
    assert days(tick(first.cursor)) == ("2013-01-03", "2013-01-04")


def test_files_of_days_that_the_graph_does_not_have_are_left(landing: Path) -> None:
    deliver(landing, "2012-12-31")
    assert isinstance(tick(), dg.SkipReason)


def test_each_day_has_both_ends() -> None:
    assert each_day((date(2013, 1, 1), date(2013, 1, 3))) == [date(2013, 1, number) for number in (1, 2, 3)]
