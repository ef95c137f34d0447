"""The shipped sensor beside a failed run, a late file, a refused one, and a warehouse that has a history."""

import json
import os
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest
from pyspark.sql import SparkSession

from expectations.suite import GATES
from expectations.suites import suites_of
from lakehouse import settings as settings_module
from lakehouse.delta import gate_results
from lakehouse.delta.gate_results import GateRow
from lakehouse.delta.table import TableVersion, current_version, table_exists
from lakehouse.engine import server, session
from lakehouse.ingest.land import ingest
from lakehouse.settings import settings
from orchestration.automation import look, new_deliveries
from orchestration.partitions import RANGE_END_TAG, RANGE_START_TAG
from tests.faults.engine_helpers import output, start

# Real processes, engines and gates: minutes, not seconds.
pytestmark = pytest.mark.slow

SOURCE = "flight_actuals"
DAY = date(2013, 2, 4)
EARLIER, LATER = DAY - timedelta(days=20), DAY + timedelta(days=1)
_ENGINE = ("SPARK_REMOTE", "SPARK_CONNECT_AUTHENTICATE_TOKEN", server.OURS)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A warehouse of these tests' own: the sensor looks at all days, also at those of other tests."""
    names = ("LAKEHOUSE_WAREHOUSE", "LAKEHOUSE_LANDING", "LAKEHOUSE_HEAP_MB", *_ENGINE)
    before = {name: os.environ.pop(name, None) for name in names}
    os.environ["LAKEHOUSE_WAREHOUSE"] = str(tmp_path_factory.mktemp("automation"))
    os.environ["LAKEHOUSE_HEAP_MB"] = "1024"
    settings_module.settings.cache_clear()
    yield
    server.stop_engine()
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    settings_module.settings.cache_clear()


class Platform:
    """A landing zone, bronze, the gates' results and Dagster's records, all of one test."""

    def __init__(self, landing: Path, instance: dg.DagsterInstance) -> None:
        self.landing, self.instance = landing, instance

    @property
    def spark(self) -> SparkSession:
        return session.spark_session()

    def deliver(self, day: date, note: str = "") -> Path:
        event = {
            "carrier_code": "AA",
            "flight_number": 1,
            "origin_code": "JFK",
            "sched_dep_at": f"{day}T17:00:00Z",
            "event_type": "departed",
            "event_at": f"{day}T17:05:00Z",
            "delay_minutes": 5,
            "air_time_minutes": None,
            "reported_at": f"{day}T17:05:00Z",
        }
        path = self.landing / SOURCE / f"{SOURCE}_{day}{note}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(event) + "\n")
        return path

    def ingest(self) -> None:
        assert not ingest(self.spark, [SOURCE]).refused

    def pass_gates(self, days: Iterable[date]) -> None:
        """Write down what the checks of these days would, where everything is right."""
        tables = [(gate, suite) for gate in GATES for suite in suites_of(gate) if suite.day is not None]
        rows = [
            GateRow(self._version(suite.table), day, suite.name, True, 0, None, "a run", None)
            for _, suite in tables
            for day in (None, *days)
        ]
        gate_results.append(self.spark, rows)

    def _version(self, table: str) -> TableVersion:
        """As it is; of what was never made, one that stands for it."""
        exists = table_exists(self.spark, table)
        return current_version(self.spark, table) if exists else TableVersion(table, "an id", 1)

    def fail(self, result: dg.SensorResult | dg.SkipReason) -> tuple[str, float]:
        """The run that was asked for, failed; returns its id, and when that was (seconds since 1970)."""
        from orchestration.definitions import defs

        assert isinstance(result, dg.SensorResult) and result.run_requests
        (request,) = result.run_requests
        run = self.instance.create_run_for_job(defs.resolve_job_def("daily"), tags=dict(request.tags))
        self.instance.report_run_failed(run)
        record = self.instance.get_run_record_by_id(run.run_id)
        assert record is not None and record.end_time is not None
        return run.run_id, record.end_time


@pytest.fixture
def platform(own: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    (tmp_path / "landing").mkdir()
    monkeypatch.setenv("LAKEHOUSE_LANDING", str(tmp_path / "landing"))
    monkeypatch.setenv("LAKEHOUSE_SETTLE_SECONDS", "0")
    settings_module.settings.cache_clear()
    for schema in ("bronze", "lakehouse", "predictions"):
        session.spark_session().sql(f"drop schema if exists {schema} cascade")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield Platform(tmp_path / "landing", instance)
    monkeypatch.undo()
    settings_module.settings.cache_clear()


def tick(platform: Platform) -> dg.SensorResult | dg.SkipReason:
    """The sensor as the daemon calls it."""
    return new_deliveries(dg.build_sensor_context(instance=platform.instance))  # type: ignore[return-value]


def asked(result: dg.SensorResult | dg.SkipReason) -> list[tuple[str, str]]:
    assert isinstance(result, dg.SensorResult), result
    return [
        (request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]) for request in result.run_requests or []
    ]


def reason(result: dg.SensorResult | dg.SkipReason) -> str:
    assert isinstance(result, dg.SkipReason), asked(result)
    return result.skip_message or ""


def one(day: date) -> list[tuple[str, str]]:
    return [(str(day), str(day))]


def test_a_day_whose_run_failed_is_asked_for_until_it_is_done(platform: Platform) -> None:
    platform.deliver(DAY)
    first = tick(platform)
    assert asked(first) == one(DAY)
    run_id, ended = platform.fail(first)

    seen = reason(look(platform.instance, ended + 59))
    assert str(DAY) in seen and f"run {run_id[:8]} failed" in seen
    again = look(platform.instance, ended + 60)
    assert asked(again) == one(DAY)
    assert again.run_requests[0].run_key != first.run_requests[0].run_key  # type: ignore[union-attr,index]

    # A run that got as far as bronze: nothing lies in the landing zone that is new, and the day is not done.
    platform.ingest()
    _, ended = platform.fail(again)
    assert "gate bronze never looked at it" in reason(look(platform.instance, ended + 119))
    assert asked(look(platform.instance, ended + 120)) == one(DAY)

    platform.pass_gates([DAY])
    assert "nothing to do" in reason(look(platform.instance, ended + 120))


def test_turned_on_for_the_first_time_it_asks_for_what_is_missing(platform: Platform) -> None:
    for day in (EARLIER, DAY):
        platform.deliver(day)
    platform.ingest()
    platform.pass_gates([EARLIER, DAY])
    assert "nothing to do" in reason(tick(platform))
    platform.deliver(LATER)
    assert asked(tick(platform)) == one(LATER)


def test_what_landed_by_itself_is_looked_at_once(platform: Platform) -> None:
    """A topic, a database or a person landed it: no file waits, and the day was done before."""
    for day in (EARLIER, DAY):
        platform.deliver(day)
    platform.ingest()
    platform.pass_gates([EARLIER, DAY])
    assert "nothing to do" in reason(tick(platform))

    platform.deliver(EARLIER, "_corrections")
    platform.ingest()
    assert asked(tick(platform)) == one(DAY)
    platform.pass_gates([DAY])
    assert "nothing to do" in reason(tick(platform))


def test_the_landing_zone_is_observed_without_a_run(platform: Platform) -> None:
    def observed() -> list[int]:
        key = dg.AssetKey(["landing", SOURCE])
        records = platform.instance.fetch_observations(key, limit=10).records
        return [int(each.asset_observation.metadata["files"].value) for each in records]  # type: ignore[union-attr,arg-type]

    platform.deliver(DAY)
    tick(platform)
    tick(platform)
    assert observed() == [1]
    platform.deliver(LATER)
    tick(platform)
    assert observed() == [2, 1]


def test_a_late_file_and_todays_in_one_minute_are_a_run_of_one_day(platform: Platform) -> None:
    for day in (EARLIER, DAY):
        platform.deliver(day)
    platform.ingest()
    platform.pass_gates([EARLIER, DAY])

    platform.deliver(LATER)
    platform.deliver(EARLIER, "_corrections")
    assert asked(tick(platform)) == one(LATER)


def test_a_refused_file_starts_no_run_each_minute(platform: Platform) -> None:
    path = platform.deliver(DAY)
    path.write_text('{"carrier_code": "AA"')
    first = tick(platform)
    assert asked(first) == one(DAY)
    assert ingest(platform.spark, [SOURCE]).refused
    _, ended = platform.fail(first)
    assert path.name in reason(look(platform.instance, ended + 59))

    path.unlink()
    platform.deliver(DAY)
    assert asked(look(platform.instance, ended + 1)) == one(DAY), "it is another file, and not waited for"


def test_a_day_without_scores_is_asked_for_where_days_are_scored(platform: Platform) -> None:
    for day in (EARLIER, DAY, LATER):
        platform.deliver(day)
    platform.ingest()
    platform.pass_gates([EARLIER, DAY, LATER])
    platform.spark.sql("create schema predictions")
    platform.spark.sql(
        "create table predictions.arrival_delay using delta as "
        f"select 'AA-1' as flight_id, date'{DAY}' as flight_date"
    )
    # What is before the first score is history that the model was trained on.
    assert asked(tick(platform)) == one(LATER)
    platform.instance.report_runless_asset_event(
        dg.AssetMaterialization(["predictions", "arrival_delay"], partition=str(LATER))
    )
    assert "nothing to do" in reason(tick(platform)), "it was scored, and nothing was due"


def test_a_score_that_was_asked_for_online_is_not_a_scored_day(platform: Platform) -> None:
    for day in (EARLIER, DAY, LATER):
        platform.deliver(day)
    platform.ingest()
    platform.pass_gates([EARLIER, DAY, LATER])
    platform.instance.report_runless_asset_event(
        dg.AssetMaterialization(["predictions", "arrival_delay"], partition=str(DAY))
    )
    platform.spark.sql("create schema if not exists predictions")
    platform.spark.sql(
        "create or replace table predictions.arrival_delay using delta as "
        f"select 'AA-1' as flight_id, explode(array(date'{EARLIER}', date'{LATER}')) as flight_date"
    )
    assert asked(tick(platform)) == one(LATER)


def test_a_failed_gate_is_named_by_its_table(platform: Platform) -> None:
    platform.deliver(DAY)
    platform.ingest()
    platform.pass_gates([DAY])
    table = TableVersion("bronze.weather_observations", "an id", 2)
    row = GateRow(table, DAY, "weather_observations", False, 1, None, "a later run", None)
    gate_results.append(platform.spark, [row])
    asking = tick(platform)
    assert asked(asking) == one(DAY)
    _, ended = platform.fail(asking)
    assert "gate bronze failed on bronze.weather_observations" in reason(look(platform.instance, ended + 1))


def test_files_outside_the_graph_are_named(platform: Platform) -> None:
    platform.deliver(date(2014, 1, 1))
    said = reason(tick(platform))
    assert "flight_actuals_2014-01-01.jsonl" in said
    assert "2013-01-01 to 2013-12-31" in said and "LAKEHOUSE_LAST_DAY" in said


def test_the_sensor_needs_no_engine(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked each minute, in a process that has never seen Spark: else no engine would ever be idle."""
    platform.deliver(DAY)
    platform.ingest()
    platform.pass_gates([DAY])
    platform.deliver(LATER)
    server.stop_engine()
    code = (
        "import dagster as dg\n"
        "from orchestration.automation import new_deliveries\n"
        "with dg.DagsterInstance.ephemeral() as instance:\n"
        "    found = new_deliveries(dg.build_sensor_context(instance=instance))\n"
        "print([request.run_key[:10] for request in found.run_requests])\n"
        "print(server.running())"
    )
    landing = {"LAKEHOUSE_LANDING": str(platform.landing)}
    said = output(start(code, settings().warehouse, **landing)).splitlines()
    assert said == [str([str(LATER)]), "None"]
