"""The sensor and the landing zone's assets on files alone: nothing has landed, and there is no table yet."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from lakehouse import settings
from lakehouse.ingest.declarations import load_sources
from orchestration.assets.landing import OUTSIDE, landing_assets, landing_key
from orchestration.automation import ASKED_BY_TAG, attempts, new_deliveries
from orchestration.partitions import RANGE_END_TAG, RANGE_START_TAG, each_day


@pytest.fixture
def landing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LAKEHOUSE_WAREHOUSE", str(tmp_path / "warehouse"))
    monkeypatch.setenv("LAKEHOUSE_LANDING", str(tmp_path / "landing"))
    monkeypatch.setenv("LAKEHOUSE_SETTLE_SECONDS", "0")
    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    settings.settings.cache_clear()
    (tmp_path / "landing").mkdir()
    yield tmp_path / "landing"
    monkeypatch.undo()
    settings.settings.cache_clear()


def deliver(landing: Path, day: str, source: str = "flight_actuals") -> None:
    path = landing / load_sources()[source].files.format(delivery=day)
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")


def tick(instance: dg.DagsterInstance) -> dg.SensorResult | dg.SkipReason:
    return new_deliveries(dg.build_sensor_context(instance=instance))  # type: ignore[return-value]


def test_what_lies_there_is_one_run_over_its_days(landing: Path) -> None:
    deliver(landing, "2013-01-03")
    deliver(landing, "2013-01-05")
    with dg.DagsterInstance.ephemeral() as instance:
        result = tick(instance)
        assert isinstance(result, dg.SensorResult) and result.run_requests
        (request,) = result.run_requests
        assert (request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]) == ("2013-01-03", "2013-01-05")
        assert request.run_key


def test_an_asked_run_is_known_by_its_tags(landing: Path) -> None:
    from orchestration.definitions import defs

    deliver(landing, "2013-01-03")
    with dg.DagsterInstance.ephemeral() as instance:
        result = tick(instance)
        assert isinstance(result, dg.SensorResult) and result.run_requests
        tags = dict(result.run_requests[0].tags)
        run = instance.create_run_for_job(defs.resolve_job_def("daily"), tags=tags)
        (attempt,) = attempts(instance)
        assert (attempt.run_id, attempt.first, attempt.ended_at) == (run.run_id, date(2013, 1, 3), None)
        skipped = tick(instance)
        assert isinstance(skipped, dg.SkipReason)
        assert f"run {run.run_id[:8]} waits or runs" in (skipped.skip_message or "")
        assert tags[ASKED_BY_TAG] == "new_deliveries"


def test_files_of_days_that_the_graph_does_not_have_are_named(landing: Path) -> None:
    deliver(landing, "2012-12-31")
    deliver(landing, "2013-01-01")
    deliver(landing, "2014-01-01")
    look = dg.define_asset_job("look", dg.AssetSelection.groups("landing", include_sources=True))
    job = dg.Definitions(landing_assets(), jobs=[look]).resolve_job_def("look")
    with dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(instance=instance).success
        event = instance.fetch_observations(landing_key("flight_actuals"), limit=1).records[0]
        assert event.asset_observation is not None
        metadata = event.asset_observation.metadata
    assert metadata["files"].value == 1
    assert metadata[OUTSIDE].value == "flight_actuals_2012-12-31.jsonl, flight_actuals_2014-01-01.jsonl"


def test_each_day_has_both_ends() -> None:
    assert each_day((date(2013, 1, 1), date(2013, 1, 3))) == [date(2013, 1, number) for number in (1, 2, 3)]


def test_an_open_graph_has_tomorrow_for_plans() -> None:
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo

    from orchestration.partitions import _days

    last = _days(date(2024, 1, 1), None, "America/New_York").get_last_partition_key()
    today = datetime.now(ZoneInfo("America/New_York")).date()
    assert last is not None and timedelta(0) <= date.fromisoformat(last) - today <= timedelta(days=2)
    assert _days(date(2024, 1, 1), date(2024, 2, 3), "UTC").get_last_partition_key() == "2024-02-03"
