"""Days, hours and corrections arrive: the tables hold what a full build would, and no commit is idle."""

import pytest

from lakehouse.dbt import time_travel
from lakehouse.delta.content_hash import content_hash
from lakehouse.delta.table import TableVersion, table_id
from lakehouse.errors import LakehouseError

# Several dbt builds: minutes, not seconds.
pytestmark = pytest.mark.slow

CORRECTED = 4


def test_increments_hold_what_a_full_build_holds(story) -> None:
    lakehouse = story.lakehouse
    grown = {name: content_hash(lakehouse.table(name)) for name in story.tables}
    full = {name: content_hash(lakehouse.table(name, lakehouse.full)) for name in story.tables}
    assert grown == full
    assert min(found.row_count for found in full.values()) > 0


def test_features_made_at_the_hour_are_those_made_later(story) -> None:
    at_the_hour = {row["flight_id"]: row for row in story.features_at_the_hour}
    later = {row["flight_id"]: row for row in story.lakehouse.table("flight_features").collect()}
    assert len(at_the_hour) > 300
    assert {flight: later[flight] for flight in at_the_hour} == at_the_hour


def test_a_correction_computes_just_the_days_that_it_reaches(story) -> None:
    # Told on the 4th, it may reach features of the 4th and of the night after; labels it changes on the 1st.
    # What else was told on the 4th is of flights of the 3rd and 4th: the 2nd is left alone.
    days = story.days_of_third
    assert days["int_flight_events"] == [["2013-09-04", "2013-09-04"]]
    assert days["feat_origin_departures"] == [["2013-09-04", "2013-09-05"]]
    assert all(first >= "2013-09-04" for first, _ in days["flight_features"])
    assert days["flight_training_set"][0] == ["2013-09-01", "2013-09-01"]
    assert all(first >= "2013-09-03" for first, _ in days["flight_training_set"][1:])


def test_a_plan_tells_the_days_that_the_build_then_computes(story) -> None:
    # Delta leaves out a commit without a row, as of scores of days that have none: those are looked at again,
    # and with them what reads them.
    again = {"fct_flight_predictions", "prediction_quality_daily"}
    tables = [name for name in story.tables if name not in again]
    planned = {
        name: [[first.isoformat(), last.isoformat()] for first, last in story.planned_third[name].ranges]
        for name in tables
        if not story.planned_third[name].idle
    }
    assert planned == {name: days for name, days in story.days_of_third.items() if name in planned}
    assert "flight_training_set" in planned
    replaced = story.planned_third["flight_training_set"].replaced
    assert replaced is not None
    assert (replaced.files, replaced.rows) > (0, 1000)
    assert [name for name in tables if not story.planned_fourth[name].idle] == []


def test_a_correction_changes_labels_and_no_feature(story) -> None:
    labels = story.lakehouse.table("flight_training_set")
    before = labels.where("label_superseded_at is not null").alias("before")
    now = labels.where("label_superseded_at is null").alias("now")
    both = now.join(before, "flight_id")
    assert both.count() == CORRECTED
    assert both.where("now.arr_delay_minutes = before.arr_delay_minutes + 60").count() == CORRECTED
    label_columns = ("is_late_15", "label_known_at", "label_superseded_at", "arr_delay_minutes")
    features = [name for name in labels.columns if name not in label_columns]
    changed = [f"now.{name} is distinct from before.{name}" for name in features if name != "flight_id"]
    assert both.where(" or ".join(changed)).count() == 0


def test_nothing_new_is_no_commit(story) -> None:
    assert story.versions_of_fourth == story.versions_of_third
    assert {"flight_features", "aircraft_history"} < set(story.versions_of_third)


def test_what_bronze_did_not_touch_is_not_written(story) -> None:
    # The second chapter brought the schedule of the 4th, the third none.
    assert [commit["version"] for commit in story.lakehouse.commits("int_flights")] == [1, 0]


def test_time_travel_makes_a_past_table_again(story, tmp_path) -> None:
    lakehouse = story.lakehouse
    spark, past = lakehouse.spark, f"{lakehouse.schema}_past"
    # Bronze as the first chapter left it: one commit a source, after the empty table's.
    pins = [
        TableVersion(name, table_id(spark, name), 1)
        for name in (f"{lakehouse.bronze}.{source}" for source in ("flight_actuals", "deliveries"))
    ]
    as_it_was = spark.sql(f"select * from {lakehouse.schema}.int_flight_events version as of 0")
    try:
        for pin in pins:
            assert time_travel.version_as_of(spark, pin.name, time_travel.version_time(spark, pin)) == pin
        complete = time_travel.complete_pins(spark, pins, bronze=lakehouse.bronze)
        built = time_travel.build(
            spark, past, ["+int_flight_events"], complete, bronze=lakehouse.bronze, target_path=tmp_path
        )
        assert {pin.name for pin in pins} < {pin.name for pin in built.pins}
        assert content_hash(lakehouse.table("int_flight_events", past)) == content_hash(as_it_was)
        assert content_hash(lakehouse.table("int_flight_events")) != content_hash(as_it_was)
        with pytest.raises(LakehouseError, match=f"there is a schema {past} already"):
            time_travel.build(spark, past, ["int_flight_events"], pins, bronze=lakehouse.bronze)
    finally:
        spark.sql(f"drop schema if exists {past} cascade")
        spark.sql(f"drop schema if exists {past}_bronze cascade")
