"""A production build reads one snapshot, whatever lands, dies or is edited meanwhile."""

import json
import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from expectations.gate import check
from lakehouse.dbt.notes import commits
from lakehouse.delta.table import current_version
from tests.faults.readings_helpers import (
    TABLES,
    DbtFailedError,
    Readings,
    let_through,
    look_and_release,
    own_suites,
    readings,
)

INT, FEATURES, TRAINING = (
    "intermediate.int_readings",
    "features.feat_station_totals",
    "training.station_training_set",
)


@pytest.fixture
def lakehouse(spark: SparkSession, tmp_path: Path) -> Iterator[Readings]:
    """A production of its own data in the shared warehouse, its first day published."""
    made = Readings.copy(tmp_path / "readings", f"readings_{uuid.uuid4().hex[:8]}")
    with own_suites(made.source):
        made.deliver(0)
        assert not made.ingest().refused
        check(spark, "bronze")
        made.dbt("build", "--select", "+feat_station_totals")
        look_and_release("features")
        made.dbt("build", "--select", "station_training_set")
        look_and_release("training")
        yield made
    for table in (f"bronze.{made.source}", INT, FEATURES, TRAINING):
        spark.sql(f"drop table if exists {table}")
    for name in TABLES.values():
        spark.sql(f"drop view if exists published.{name}")


def land(lakehouse: Readings, number: int, **options: Any) -> None:
    lakehouse.deliver(number, **options)
    assert not lakehouse.ingest().refused


def days_of(spark: SparkSession, table: str, column: str) -> list[str]:
    return [str(row[0]) for row in spark.sql(f"select distinct {column} from {table} order by 1").collect()]


def newest_note(spark: SparkSession, table: str) -> Any:
    return next(commit.note for commit in commits(spark, table) if commit.note)


def test_rows_that_no_gate_looked_at_are_not_read(spark: SparkSession, lakehouse: Readings) -> None:
    checked = current_version(spark, f"bronze.{lakehouse.source}")
    land(lakehouse, 1)
    assert current_version(spark, f"bronze.{lakehouse.source}").version > checked.version, (
        "the fault: unchecked rows lie there"
    )
    lakehouse.dbt("build", "--select", "+feat_station_totals")
    assert days_of(spark, INT, "known_date") == ["2024-01-01"]
    assert days_of(spark, FEATURES, "as_of_date") == ["2024-01-01"]
    assert newest_note(spark, INT)["read"][f"bronze.{lakehouse.source}"]["version"] == checked.version

    check(spark, "bronze")
    lakehouse.dbt("build", "--select", "+feat_station_totals")
    assert days_of(spark, INT, "known_date") == ["2024-01-01", "2024-01-02"]
    assert days_of(spark, FEATURES, "as_of_date") == ["2024-01-01", "2024-01-02"]


def test_what_lands_and_is_checked_during_a_build_waits_for_the_next(
    spark: SparkSession, lakehouse: Readings
) -> None:
    land(lakehouse, 1)
    check(spark, "bronze")
    began = current_version(spark, f"bronze.{lakehouse.source}").version
    landed: list[int] = []

    def meanwhile(event: Any) -> None:
        # After the model was planned and compiled, before its rows are read.
        of = getattr(getattr(event.data, "node_info", None), "node_name", "")
        if event.info.name == "NodeExecuting" and of == "int_readings" and not landed:
            land(lakehouse, 2)
            check(spark, "bronze")
            landed.append(current_version(spark, f"bronze.{lakehouse.source}").version)

    lakehouse.dbt("build", "--select", "+feat_station_totals", on_event=meanwhile)
    assert landed and landed[0] > began, "the fault fired"
    for table, column in ((INT, "known_date"), (FEATURES, "as_of_date")):
        assert days_of(spark, table, column) == ["2024-01-01", "2024-01-02"]
        assert newest_note(spark, table)["frontier"] in (
            None,
            {"day": "2024-01-03", "until": "2024-01-03 00:00:00"},
        )
    assert newest_note(spark, INT)["read"][f"bronze.{lakehouse.source}"]["version"] == began

    lakehouse.dbt("build", "--select", "+feat_station_totals")
    assert days_of(spark, FEATURES, "as_of_date") == ["2024-01-01", "2024-01-02", "2024-01-03"]


def test_a_training_set_reads_the_release_though_a_view_was_left_behind(
    spark: SparkSession, lakehouse: Readings
) -> None:
    before = current_version(spark, FEATURES).version
    land(lakehouse, 1)
    check(spark, "bronze")
    lakehouse.dbt("build", "--select", "+feat_station_totals")
    look_and_release("features")
    released = current_version(spark, FEATURES).version
    # What a release that dies between its commit and its views leaves.
    left_behind = f"select * from {FEATURES} version as of {before}"
    spark.sql(f"create or replace view published.feat_station_totals as {left_behind}")
    lakehouse.dbt("build", "--select", "station_training_set")
    assert days_of(spark, TRAINING, "as_of_date") == ["2024-01-01", "2024-01-02"]
    assert newest_note(spark, TRAINING)["read"]["feat_station_totals"]["version"] == released


def test_a_release_is_read_and_not_what_was_built_after_it(spark: SparkSession, lakehouse: Readings) -> None:
    released = current_version(spark, FEATURES).version
    land(lakehouse, 1)
    check(spark, "bronze")
    lakehouse.dbt("build", "--select", "+feat_station_totals")
    lakehouse.dbt("build", "--select", "station_training_set")
    assert current_version(spark, FEATURES).version > released
    note = newest_note(spark, TRAINING)
    assert note["read"]["feat_station_totals"]["version"] == released


def test_a_superseded_delivery_is_read_by_nobody_also_where_its_rows_are_gone(
    spark: SparkSession, lakehouse: Readings
) -> None:
    # Day 1 is delivered with the readings of day 0's stations, and one of a fourth that does not exist.
    wrong = [*readings(1), {**readings(1)[0], "station": "nowhere"}]
    land(lakehouse, 1, rows=wrong)
    check(spark, "bronze")
    lakehouse.dbt("build", "--select", "+feat_station_totals")
    look_and_release("features")
    lakehouse.dbt("build", "--select", "station_training_set")
    stations = "select distinct station from {} where station = 'nowhere'"
    assert spark.sql(stations.format(TRAINING)).count() == 1

    lakehouse.deliver(1)
    assert not lakehouse.supersede(1).refused
    check(spark, "bronze")
    lakehouse.dbt("build", "--select", "+feat_station_totals")
    look_and_release("features")
    lakehouse.dbt("build", "--select", "station_training_set")
    for table in (INT, FEATURES, TRAINING):
        assert spark.sql(stations.format(table)).count() == 0
    assert spark.sql(stations.format(f"bronze.{lakehouse.source}")).count() == 1, "bronze keeps it"


def test_a_row_of_the_end_of_time_stops_nothing(spark: SparkSession, lakehouse: Readings) -> None:
    far = [
        {**readings(1)[0], "reported_at": "9999-12-31T23:59:59Z"},
        {**readings(1)[1], "measured_at": "0001-01-01T00:00:00Z", "reported_at": "0001-01-01T00:00:00Z"},
    ]
    land(lakehouse, 1, rows=[*readings(1), *far])
    check(spark, "bronze")
    let_through("bronze", lakehouse.source)
    lakehouse.dbt("build", "--select", "+feat_station_totals")
    land(lakehouse, 2)
    check(spark, "bronze")
    let_through("bronze", lakehouse.source)
    lakehouse.dbt("build", "--select", "+feat_station_totals")
    assert days_of(spark, INT, "known_date") == [
        "0001-01-01", "2024-01-01", "2024-01-02", "2024-01-03", "9999-12-31",
    ]  # fmt: skip
    assert newest_note(spark, INT)["days"] == [["2024-01-03", "2024-01-03"]], "it takes no other days along"
    assert days_of(spark, FEATURES, "as_of_date")[-3:] == ["2024-01-01", "2024-01-02", "2024-01-03"]


def test_nothing_new_commits_nothing_whatever_days_are_tested(
    spark: SparkSession, lakehouse: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {table: current_version(spark, table).version for table in (INT, FEATURES, TRAINING)}
    monkeypatch.setenv("LAKEHOUSE_TEST_BUILT_DAYS", "1")
    lakehouse.dbt("build")
    assert {table: current_version(spark, table).version for table in before} == before


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"start_date": "2024-01-01"}, "start_date and end_date go together"),
        ({"start_date": "2024-01-02", "end_date": "2024-01-01"}, "is not a valid date range"),
        ({"start_date": "soon", "end_date": "2024-01-01"}, "not dates YYYY-MM-DD"),
    ],
)
def test_half_a_range_of_days_is_refused(lakehouse: Readings, given: dict[str, str], problem: str) -> None:
    with pytest.raises(DbtFailedError, match=problem):
        lakehouse.dbt("build", "--select", "int_readings", "--vars", json.dumps(given))


def test_days_that_were_asked_for_are_computed_again(spark: SparkSession, lakehouse: Readings) -> None:
    asked = json.dumps({"start_date": "2024-01-01", "end_date": "2024-01-01"})
    lakehouse.dbt("build", "--select", "int_readings", "--vars", asked)
    assert newest_note(spark, INT)["days"] == [["2024-01-01", "2024-01-01"]]


def edit(lakehouse: Readings, model: str, before: str, after: str) -> None:
    path = lakehouse.project / "models" / model
    sql = path.read_text()
    assert before in sql
    path.write_text(sql.replace(before, after))


def test_edited_sql_is_never_green_though_no_day_is_new(spark: SparkSession, lakehouse: Readings) -> None:
    model = "features/feat_station_totals.sql"
    edit(lakehouse, model, "sum(amount)", "sum(amont)")
    with pytest.raises(DbtFailedError, match="amont"):
        lakehouse.dbt("build", "--select", "feat_station_totals")

    edit(lakehouse, model, "sum(amont)", "sum(amount + 1)")
    with pytest.raises(DbtFailedError, match="changed since its rows were made") as refused:
        lakehouse.dbt("build", "--select", "feat_station_totals")
    assert "--full-refresh --select feat_station_totals+" in str(refused.value)
    warned = lakehouse.dbt("build", "--select", "feat_station_totals", "--vars", "{on_changed_sql: warn}")
    assert any("changed since its rows were made" in each for each in warned)

    lakehouse.dbt("build", "--full-refresh", "--select", "feat_station_totals")
    assert lakehouse.dbt("build", "--select", "feat_station_totals") == []
    row = spark.sql(f"select min(total_3d) as least from {FEATURES}").collect()[0]
    assert row["least"] == 6 + 1 + 18 + 1


def test_an_edited_macro_or_row_rule_is_changed_sql_too(lakehouse: Readings) -> None:
    edit(lakehouse, "staging/_sources.yml", "amount between 0 and 1000", "amount between 0 and 999")
    with pytest.raises(DbtFailedError, match="changed since its rows were made"):
        lakehouse.dbt("build", "--select", "int_readings")


def test_a_day_that_changed_sql_computes_does_not_make_the_others_new(
    spark: SparkSession, lakehouse: Readings
) -> None:
    edit(lakehouse, "features/feat_station_totals.sql", "sum(amount)", "sum(amount + 1)")
    land(lakehouse, 1)
    check(spark, "bronze")
    for _ in range(2):
        warned = lakehouse.dbt(
            "build", "--select", "+feat_station_totals", "--vars", "{on_changed_sql: warn}"
        )
        assert any("feat_station_totals" in each and "changed since" in each for each in warned)
    assert days_of(spark, FEATURES, "as_of_date") == ["2024-01-01", "2024-01-02"]


def test_a_build_of_bronze_that_never_passed_says_what_to_do(spark: SparkSession, tmp_path: Path) -> None:
    made = Readings.copy(tmp_path / "readings")
    with own_suites():
        made.deliver(0)
        made.ingest()
        try:
            with pytest.raises(
                DbtFailedError, match=r"bronze\.readings has not passed its gate yet"
            ) as refused:
                made.dbt("build", "--select", "int_readings")
            assert "lakehouse check bronze" in str(refused.value)
        finally:
            spark.sql("drop table bronze.readings")
            spark.sql("delete from bronze.deliveries where source = 'readings'")


def test_show_looks_at_the_newest_day_only(
    lakehouse: Readings, capsys: pytest.CaptureFixture[str], spark: SparkSession
) -> None:
    land(lakehouse, 1)
    check(spark, "bronze")
    lakehouse.dbt("build", "--select", "+feat_station_totals")
    capsys.readouterr()
    lakehouse.dbt("show", "--select", "feat_station_totals", "--output", "json")
    shown = {str(row["as_of_date"])[:10] for row in json.loads(capsys.readouterr().out)["show"]}
    assert shown == {"2024-01-02"}
    assert date.fromisoformat(max(shown))
