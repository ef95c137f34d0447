"""Gates see what is unchecked, half checked, corrected or overridden, and say which rows."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from commands.app import build
from expectations import gate
from expectations.suite import (
    Profile,
    Suite,
    at_most,
    delivery_day,
    unique,
)
from lakehouse.delta.gate_results import passed_version, states
from lakehouse.delta.table import current_version
from lakehouse.errors import LakehouseError
from tests.faults.engine_helpers import start
from tests.faults.gate_helpers import FIRST, SECOND, THIRD, add, flights, make

# Real processes, engines and gates: minutes, not seconds.
pytestmark = pytest.mark.slow


def test_rows_that_no_check_looked_at_stop_by_name_unless_others_are_read(
    spark: SparkSession, schema: str, declared: Callable[..., None]
) -> None:
    table = make(spark, f"{schema}.unchecked_{schema}", ("AA1", FIRST, 5))
    declared(flights(table))
    assert gate.check(spark, "features").passed
    checked = current_version(spark, table)
    spark.sql(f"alter table {table} set tblproperties ('note' = 'the rows stay')")
    gate.require_passed(spark, "features")

    add(spark, table, ("AA2", SECOND, 9999))
    unseen = current_version(spark, table)
    with pytest.raises(
        LakehouseError, match=rf"{table} was checked at version {checked.version}, and no"
    ) as e:
        gate.require_passed(spark, "features")
    assert "lakehouse check features" in e.value.hint
    assert passed_version(spark, table) == checked
    gate.require_passed(spark, "features", reads=[checked])
    with pytest.raises(LakehouseError, match=f"did not pass {table}@v{unseen.version}"):
        gate.require_passed(spark, "features", reads=[unseen])

    assert not gate.check(spark, "features", [SECOND]).passed
    assert passed_version(spark, table) == checked
    gate.require_passed(spark, "features", reads=[checked])
    with pytest.raises(LakehouseError, match="AA2"):
        gate.require_passed(spark, "features", reads=[unseen])


CHECKS = """
import sys
from expectations import gate
from tests.faults.test_gates import flights


def look(*_):
    print("looking", flush=True)
    sys.stdin.readline()

gate.suites_of = lambda _: (flights("{table}"),)
gate.look = look
gate.check(spark_session(), "features", run_id="killed one")
"""


def test_a_killed_check_is_red_until_a_check_ends(
    spark: SparkSession, schema: str, declared: Callable[..., None], warehouse: Path
) -> None:
    table = make(spark, f"{schema}.killed_{schema}", ("AA1", FIRST, 5))
    declared(flights(table))
    assert gate.check(spark, "features").passed
    green = current_version(spark, table)
    add(spark, table, ("AA2", SECOND, 5))
    process = start(CHECKS.format(table=table), warehouse)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "looking", process.communicate()[1]
    process.kill()
    process.wait()

    with pytest.raises(LakehouseError, match=r"has not ended, or died \(run: killed one\)"):
        gate.require_passed(spark, "features")
    with pytest.raises(LakehouseError, match="has not ended"):
        gate.release(spark, "features")
    with pytest.raises(LakehouseError, match="has not ended"):
        gate.override(spark, table, current_version(spark, table).version, "A. Lin", "in a hurry")
    assert passed_version(spark, table) == green
    # The next one looks at what the dead one did not, though nobody asks for that day.
    outcome = gate.check(spark, "features", [FIRST])
    assert outcome.results[0].days == (FIRST, SECOND)
    gate.require_passed(spark, "features")
    assert passed_version(spark, table) == current_version(spark, table)


def test_an_override_lets_through_what_it_showed_as_long_as_the_rows_are_the_same(
    spark: SparkSession, schema: str, declared: Callable[..., None]
) -> None:
    table = make(spark, f"{schema}.overridden_{schema}", ("AA1", FIRST, 5), ("AA2", SECOND, 9999))
    declared(flights(table))
    outcome = gate.check(spark, "features", [FIRST, SECOND])
    assert [each.days for each in outcome.results[0].failures] == [(SECOND,)]
    shown = current_version(spark, table)
    assert [row.day for row in states(spark, [table])[table].stopping] == [None, SECOND]

    add(spark, table, ("AA3", THIRD, 9999))
    gate.check(spark, "features", [THIRD])
    with pytest.raises(LakehouseError) as stopped:
        gate.require_passed(spark, "features")
    for version, key in ((shown.version, "AA2"), (current_version(spark, table).version, "AA3")):
        assert f"{table} version {version}" in stopped.value.what and key in stopped.value.what
        assert f"lakehouse override {table} --version {version}" in stopped.value.hint
    gate.override(spark, table, shown.version, "A. Lin", "storm")
    with pytest.raises(LakehouseError) as stopped:
        gate.require_passed(spark, "features")
    assert "AA2" not in stopped.value.what and "AA3" in stopped.value.what
    gate.override(spark, table, current_version(spark, table).version, "B. Ray", "storm, too")
    gate.require_passed(spark, "features")

    # The same rows in other files, looked at again.
    spark.sql(f"optimize {table}")
    assert gate.check(spark, "features").passed
    gate.require_passed(spark, "features")
    who = {day: row.override_by for day, row in states(spark, [table])[table].days.items() if day is not None}
    assert who == {FIRST: None, SECOND: "A. Lin", THIRD: "B. Ray"}

    # The same rows, and another expectation fails on them.
    stricter = flights(table)
    declared(replace(stricter, rules={"has_long_id": "length(flight_id) > 3"}))
    assert not gate.check(spark, "features", [SECOND]).passed
    declared(stricter)
    gate.check(spark, "features", [SECOND])
    with pytest.raises(LakehouseError, match="AA2"):
        gate.require_passed(spark, "features")
    gate.override(spark, table, current_version(spark, table).version, "A. Lin", "storm")
    gate.require_passed(spark, "features")

    # Other rows on an overridden day.
    add(spark, table, ("AA5", SECOND, 1))
    assert not gate.check(spark, "features", [SECOND]).passed
    with pytest.raises(LakehouseError, match="2013-01-02"):
        gate.require_passed(spark, "features")


def test_a_bad_delivery_that_was_delivered_again_passes_and_a_red_one_names_rules_rows_and_place(
    spark: SparkSession, schema: str, declared: Callable[..., None]
) -> None:
    name = f"wind_{schema}"
    table = f"{schema}.{name}"
    suite = Suite(
        table=table,
        gate="bronze",
        key=("origin_code", "_batch_id"),
        day=delivery_day(name),
        rows=(unique("origin_code", "_batch_id"),),
        rules={"has_plausible_wind": "wind_speed_mph between 0 and 150"},
        quarantines=True,
        daily=Profile(expectations=(at_most("quarantined_share", 0.05),)),
    )
    declared(suite)
    batch = f"{name}_2013-11-03"
    spark.sql(
        f"create table {table} (origin_code string, wind_speed_mph double, _batch_id string) using delta"
    )
    spark.sql(f"insert into {table} values ('JFK', 987, '{batch}'), ('EWR', 9, '{batch}')")
    day = date(2013, 11, 3)
    assert not gate.check(spark, "bronze", [day]).passed
    with pytest.raises(LakehouseError) as stopped:
        gate.require_passed(spark, "bronze")
    for said in (
        "quarantined_share is at most 0.05: 1 day",
        "has_plausible_wind (wind_speed_mph between 0 and 150): 1 row, such as",
        '"origin_code":"JFK"',
        f"see: select * from bronze_quarantine.{name} where",
    ):
        assert said in stopped.value.what, stopped.value.what
    see = next(line for line in stopped.value.what.splitlines() if "see: " in line).partition("see: ")[2]
    assert [row["origin_code"] for row in spark.sql(see).collect()] == ["JFK"]

    corrected = f"{batch}_corrections"
    spark.sql(f"insert into {table} values ('JFK', 8, '{corrected}'), ('EWR', 9, '{corrected}')")
    outcome = gate.check(spark, "bronze", [day])
    assert outcome.passed, outcome.results[0].failures
    divided = outcome.results[0].quarantined
    assert divided is not None and (divided.rows_in, divided.accepted, divided.quarantined) == (4, 3, 1)

    # What was superseded by name counts no more, also where its keys are the broken ones.
    spark.sql(
        f"insert into {table} values ('??', 987, '{name}_2013-11-04'), ('EWR', 1, '{name}_2013-11-04_r2')"
    )
    other = date(2013, 11, 4)
    assert not gate.check(spark, "bronze", [other]).passed
    declared(replace(suite, superseded=f"select id from values ('{name}_2013-11-04') as batches (id)"))
    outcome = gate.check(spark, "bronze", [other])
    assert outcome.passed and outcome.results[0].rows == 1


def test_a_red_table_stops_only_what_reads_it(
    spark: SparkSession, schema: str, declared: Callable[..., None]
) -> None:
    good = make(spark, f"{schema}.good_{schema}", ("AA1", FIRST, 5))
    bad = make(spark, f"{schema}.bad_{schema}", ("AA1", FIRST, 9999))
    declared(flights(good), flights(bad))
    gate.check(spark, "features")
    gate.require_passed(spark, "features", tables=[good])
    with pytest.raises(LakehouseError, match=bad):
        gate.require_passed(spark, "features", tables=[bad])
    with pytest.raises(LakehouseError, match="does not check nowhere"):
        gate.require_passed(spark, "features", tables=["nowhere"])
    assert [result.table.name for result in gate.check(spark, "features", tables=[good]).results] == [good]


def test_bronze_publishes_nothing(spark: SparkSession) -> None:
    answer = CliRunner().invoke(build("release"), ["release", "bronze"])
    assert answer.exit_code != 0
    assert "publishes nothing" in str(answer.exception) + answer.output
