"""A production build reads one snapshot, whatever lands, dies or is edited meanwhile."""

import json
import shutil
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from expectations.gate import check
from lakehouse.dbt.notes import commits
from lakehouse.delta.table import current_version
from lakehouse.engine.session import spark_session
from tests.faults.readings_helpers import (
    FIRST,
    HERE,
    TABLES,
    DbtFailedError,
    Readings,
    let_through,
    look_and_release,
    own_suites,
    readings,
)

# Real processes, engines and gates: minutes, not seconds.
pytestmark = pytest.mark.slow

INT, FEATURES, TRAINING = (
    "intermediate.int_readings",
    "features.feat_station_totals",
    "training.station_training_set",
)


class Production(Readings):
    """A production that lives through all tests here; each lets more days arrive."""

    delivered = 0

    def land(self, rows: list[dict[str, Any]] | None = None) -> int:
        """The next day's file lands; returns its number."""
        number, self.delivered = self.delivered, self.delivered + 1
        self.deliver(number, rows)
        assert not self.ingest().refused
        return number

    def build(self) -> None:
        self.dbt("build", "--select", "+feat_station_totals")

    def publish(self) -> None:
        """All that was delivered, from bronze to the published training set."""
        check(spark_session(), "bronze")
        self.build()
        look_and_release("features")
        self.dbt("build", "--select", "station_training_set")
        look_and_release("training")


@pytest.fixture(scope="module")
def production(_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """A source of its own in the shared warehouse, its first day published."""
    source = f"readings_{uuid.uuid4().hex[:8]}"
    made = Production.copy(tmp_path_factory.mktemp("production") / "readings", source)
    with own_suites(source):
        made.land()
        made.publish()
        yield made
    spark = spark_session()
    for table in (f"bronze.{source}", INT, FEATURES, TRAINING):
        spark.sql(f"drop table if exists {table}")
    for name in TABLES.values():
        spark.sql(f"drop view if exists published.{name}")


@pytest.fixture
def lakehouse(production: Production) -> Iterator[Production]:
    """The production, all of it published, its models as they were."""
    yield production
    shutil.rmtree(production.project / "models")
    shutil.copytree(HERE / "models", production.project / "models")
    production.name_source()
    production.publish()


def so_far(lakehouse: Production) -> list[str]:
    """The days that were delivered."""
    return [str(FIRST + timedelta(days=number)) for number in range(lakehouse.delivered)]


def days_of(spark: SparkSession, table: str, column: str) -> list[str]:
    return [str(row[0]) for row in spark.sql(f"select distinct {column} from {table} order by 1").collect()]


def newest_note(spark: SparkSession, table: str) -> Any:
    return next(commit.note for commit in commits(spark, table) if commit.note)


def test_rows_that_no_gate_looked_at_are_not_read(spark: SparkSession, lakehouse: Production) -> None:
    checked, before = current_version(spark, f"bronze.{lakehouse.source}"), so_far(lakehouse)
    lakehouse.land()
    assert current_version(spark, f"bronze.{lakehouse.source}").version > checked.version, "the fault"
    lakehouse.dbt("build", "--select", "int_readings", "--vars", asked(before[0]))
    assert newest_note(spark, INT)["read"][f"bronze.{lakehouse.source}"]["version"] == checked.version
    lakehouse.build()
    assert days_of(spark, INT, "known_date") == before
    assert days_of(spark, FEATURES, "as_of_date") == before

    check(spark, "bronze")
    lakehouse.build()
    assert days_of(spark, INT, "known_date") == so_far(lakehouse)
    assert days_of(spark, FEATURES, "as_of_date") == so_far(lakehouse)


def test_what_lands_and_is_checked_during_a_build_waits_for_the_next(
    spark: SparkSession, lakehouse: Production
) -> None:
    lakehouse.land()
    check(spark, "bronze")
    began, days = current_version(spark, f"bronze.{lakehouse.source}").version, so_far(lakehouse)
    landed: list[int] = []

    def meanwhile(event: Any) -> None:
        # After the model was planned and compiled, before its rows are read.
        of = getattr(getattr(event.data, "node_info", None), "node_name", "")
        if event.info.name == "NodeExecuting" and of == "int_readings" and not landed:
            lakehouse.land()
            check(spark, "bronze")
            landed.append(current_version(spark, f"bronze.{lakehouse.source}").version)

    lakehouse.dbt("build", "--select", "+feat_station_totals", on_event=meanwhile)
    assert landed and landed[0] > began, "the fault fired"
    assert days_of(spark, INT, "known_date") == days
    assert days_of(spark, FEATURES, "as_of_date") == days
    assert newest_note(spark, INT)["read"][f"bronze.{lakehouse.source}"]["version"] == began

    lakehouse.build()
    assert days_of(spark, FEATURES, "as_of_date") == so_far(lakehouse)


def test_a_training_set_reads_the_release_whatever_the_view_shows(
    spark: SparkSession, lakehouse: Production
) -> None:
    before = current_version(spark, FEATURES).version
    lakehouse.land()
    check(spark, "bronze")
    lakehouse.build()
    # Not released yet: what was built is not what is read.
    lakehouse.dbt("build", "--select", "station_training_set")
    assert newest_note(spark, TRAINING)["read"]["feat_station_totals"]["version"] == before

    look_and_release("features")
    released = current_version(spark, FEATURES).version
    # What a release that dies between its commit and its views leaves.
    left_behind = f"select * from {FEATURES} version as of {before}"
    spark.sql(f"create or replace view published.feat_station_totals as {left_behind}")
    lakehouse.dbt("build", "--select", "station_training_set")
    assert days_of(spark, TRAINING, "as_of_date") == so_far(lakehouse)
    assert newest_note(spark, TRAINING)["read"]["feat_station_totals"]["version"] == released


def test_a_superseded_delivery_is_read_by_nobody_also_where_its_rows_are_gone(
    spark: SparkSession, lakehouse: Production
) -> None:
    number = lakehouse.delivered
    # One station too many, which the second content does not know.
    lakehouse.land([*readings(number), {**readings(number)[0], "station": "nowhere"}])
    lakehouse.publish()
    wrong = "select 1 from {} where station = 'nowhere'"
    assert spark.sql(wrong.format(TRAINING)).count() == 1

    lakehouse.deliver(number)
    assert not lakehouse.supersede(number).refused
    lakehouse.publish()
    for table in (INT, FEATURES, TRAINING):
        assert spark.sql(wrong.format(table)).count() == 0
    assert spark.sql(wrong.format(f"bronze.{lakehouse.source}")).count() == 1, "bronze keeps it"


def test_a_row_of_the_end_of_time_stops_nothing(spark: SparkSession, lakehouse: Production) -> None:
    number = lakehouse.delivered
    far = {**readings(number)[0], "reported_at": "9999-12-31T23:59:59Z"}
    long_ago = {"measured_at": "0001-01-01T00:00:00Z", "reported_at": "0001-01-01T00:00:00Z"}
    lakehouse.land([*readings(number), far, {**readings(number)[1], **long_ago}])
    check(spark, "bronze")
    let_through("bronze", lakehouse.source)
    lakehouse.build()
    number = lakehouse.land()
    check(spark, "bronze")
    let_through("bronze", lakehouse.source)
    lakehouse.build()
    assert days_of(spark, INT, "known_date") == ["0001-01-01", *so_far(lakehouse), "9999-12-31"]
    today = so_far(lakehouse)[number]
    assert newest_note(spark, INT)["days"] == [[today, today]], "it takes no other days along"
    assert days_of(spark, FEATURES, "as_of_date")[-2:] == so_far(lakehouse)[-2:]


def test_nothing_new_commits_nothing_and_days_that_were_asked_for_are_computed(
    spark: SparkSession, lakehouse: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {table: current_version(spark, table).version for table in (INT, FEATURES, TRAINING)}
    monkeypatch.setenv("LAKEHOUSE_TEST_BUILT_DAYS", "1")
    lakehouse.dbt("build")
    assert {table: current_version(spark, table).version for table in before} == before

    (first, *_) = so_far(lakehouse)
    lakehouse.dbt("build", "--select", "int_readings", "--vars", asked(first))
    assert newest_note(spark, INT)["days"] == [[first, first]]


def asked(day: str) -> str:
    return json.dumps({"start_date": day, "end_date": day})


def edit(lakehouse: Production, model: str, before: str, after: str) -> None:
    path = lakehouse.project / "models" / model
    sql = path.read_text()
    assert before in sql
    path.write_text(sql.replace(before, after))


def test_edited_sql_is_never_green_though_no_day_is_new(spark: SparkSession, lakehouse: Production) -> None:
    model = "features/feat_station_totals.sql"
    edit(lakehouse, model, "sum(amount)", "sum(amont)")
    with pytest.raises(DbtFailedError, match="amont"):
        lakehouse.dbt("build", "--select", "feat_station_totals")

    edit(lakehouse, model, "sum(amont)", "sum(amount + 0)")
    with pytest.raises(DbtFailedError, match="changed since its rows were made") as refused:
        lakehouse.dbt("build", "--select", "feat_station_totals")
    assert "--full-refresh --select feat_station_totals+" in str(refused.value)

    # A day by the new SQL does not make the others new.
    lakehouse.land()
    check(spark, "bronze")
    options = ("--select", "+feat_station_totals", "--vars", "{on_changed_sql: warn}")
    for _ in range(2):
        warned = lakehouse.dbt("build", *options)
        assert any("feat_station_totals" in each and "changed since its rows" in each for each in warned)
    assert days_of(spark, FEATURES, "as_of_date")[-1] == so_far(lakehouse)[-1]

    lakehouse.dbt("build", "--full-refresh", "--select", "feat_station_totals")
    assert lakehouse.dbt("build", "--select", "feat_station_totals") == []
    edit(lakehouse, model, "sum(amount + 0)", "sum(amount)")
    lakehouse.dbt("build", "--full-refresh", "--select", "feat_station_totals")


def test_an_edited_row_rule_is_changed_sql_too(lakehouse: Production) -> None:
    edit(lakehouse, "staging/_sources.yml", "amount between 0 and 1000", "amount between 0 and 999")
    with pytest.raises(DbtFailedError, match="changed since its rows were made"):
        lakehouse.dbt("build", "--select", "int_readings")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"start_date": "2024-01-01"}, "start_date and end_date go together"),
        ({"start_date": "2024-01-02", "end_date": "2024-01-01"}, "is not a valid date range"),
        ({"start_date": "soon", "end_date": "2024-01-01"}, "not dates YYYY-MM-DD"),
    ],
)
def test_half_a_range_of_days_is_refused(production: Production, given: dict[str, str], problem: str) -> None:
    with pytest.raises(DbtFailedError, match=problem):
        production.dbt("build", "--select", "int_readings", "--vars", json.dumps(given))


def test_bronze_that_never_passed_is_not_read_and_the_error_says_what_to_do(
    spark: SparkSession, tmp_path: Path
) -> None:
    made = Readings.copy(tmp_path / "readings", f"readings_{uuid.uuid4().hex[:8]}")
    made.deliver(0)
    made.ingest()
    try:
        with pytest.raises(DbtFailedError, match="has not passed its gate yet") as refused:
            made.dbt("build", "--select", "int_readings")
        assert f"bronze.{made.source}" in str(refused.value)
        assert "lakehouse check bronze" in str(refused.value)
    finally:
        spark.sql(f"drop table bronze.{made.source}")


def test_show_looks_at_the_newest_day_only(
    spark: SparkSession, production: Production, capsys: pytest.CaptureFixture[str]
) -> None:
    check(spark, "bronze")
    production.build()
    capsys.readouterr()
    production.dbt("show", "--select", "feat_station_totals", "--output", "json", quiet=False)
    printed = capsys.readouterr().out
    shown = json.loads(printed[printed.index("{") : printed.rindex("}") + 1])["show"]
    assert {str(row["as_of_date"])[:10] for row in shown} == {so_far(production)[-1]}
