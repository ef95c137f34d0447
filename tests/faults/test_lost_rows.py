"""Gates see rows that are gone, too few, too many, or no values."""

from collections.abc import Callable
from datetime import date

import pytest
from pyspark.sql import SparkSession

from expectations import gate
from expectations.suite import (
    ExpectedRows,
    Profile,
    Suite,
    at_least,
    between,
    day_column,
    not_null,
)
from lakehouse.delta.gate_results import states
from lakehouse.errors import LakehouseError
from tests.faults.gate_helpers import FIRST, SECOND, THIRD, add, flights, make

# Real processes, engines and gates: minutes, not seconds.
pytestmark = pytest.mark.slow


def test_a_day_whose_rows_are_gone_fails_asked_for_or_not(
    spark: SparkSession, schema: str, declared: Callable[..., None]
) -> None:
    table = make(spark, f"{schema}.lost_{schema}", ("AA1", FIRST, 5))
    add(spark, table, ("AA2", SECOND, 5))
    add(spark, table, ("AA3", THIRD, 5))
    declared(flights(table))
    assert gate.check(spark, "features").passed
    spark.sql(f"delete from {table} where flight_date = date'{SECOND}'")

    # Nobody asks for the day: its file went.
    (result,) = gate.check(spark, "features", [THIRD]).results
    assert result.days == (SECOND, THIRD)
    assert [(each.expectation, each.days) for each in result.failures] == [("the day has rows", (SECOND,))]
    with pytest.raises(LakehouseError, match=r"the day has rows: 1 day, such as .*2013-01-02"):
        gate.release(spark, "features")
    # All rows are looked at: the day is known from the checks before.
    (result,) = gate.check(spark, "features").results
    assert [each.days for each in result.failures] == [(SECOND,)]
    # A day that nothing was ever heard of is as empty, when it is asked for.
    asked = date(2013, 2, 1)
    (result,) = gate.check(spark, "features", [asked]).results
    assert asked in result.days and [each.days for each in result.failures] == [(asked,)]
    assert [row.day for row in states(spark, [table])[table].stopping] == [None, SECOND, asked]

    declared(flights(table, may_be_empty=True))
    assert gate.check(spark, "features").passed


def test_upstream_bounds_a_day_from_both_sides_and_an_unfinished_day_passes(
    spark: SparkSession, schema: str, declared: Callable[..., None]
) -> None:
    upstream = make(spark, f"{schema}.upstream", ("AA1", FIRST, 1), ("AA2", FIRST, 1), ("AA3", SECOND, 1))
    table = make(spark, f"{schema}.counted_{schema}", ("AA1", FIRST, 5), ("AA2", FIRST, 5))
    sql = f"""
    select
        flight_date as day,
        count(*) as least_rows,
        count(*) as most_rows
    from {{{upstream}}}
    where flight_date < {{until_day}}
    group by flight_date
    """
    declared(flights(table, expected_rows=ExpectedRows(sql, "each flight of upstream")))
    note = '{"days": "all", "read": {"upstream": {"version": 1}}, "frontier": {"until": "%s", "day": "%s"}}'

    def built(until: date, *rows: tuple[str, date, int]) -> None:
        noted = note % (f"{until} 05:00:00", until)
        spark.conf.set("spark.databricks.delta.commitInfo.userMetadata", noted)
        add(spark, table, *rows)
        spark.conf.unset("spark.databricks.delta.commitInfo.userMetadata")

    built(SECOND, ("AA9", THIRD, 1))
    # The second day is not over, and the third is not known upstream: nothing is expected of them.
    assert gate.check(spark, "features", [FIRST, SECOND]).passed
    built(THIRD, ("AA8", THIRD, 1))
    # Nobody asked for the second day; upstream has it, and it is complete by now.
    (result,) = gate.check(spark, "features", [THIRD]).results
    assert [(each.expectation, each.days) for each in result.failures] == [
        ("no row is missing: each flight of upstream", (SECOND,))
    ]
    built(THIRD, ("AA3", SECOND, 1), ("AA4", FIRST, 1))
    (result,) = gate.check(spark, "features", [SECOND]).results
    assert [(each.expectation, each.days) for each in result.failures] == [
        ("no row is too many: each flight of upstream", (FIRST,))
    ]


def test_nan_is_no_value_unless_the_suite_declares_it(
    spark: SparkSession, schema: str, declared: Callable[..., None]
) -> None:
    table = f"{schema}.nan_{schema}"
    spark.sql(
        f"create table {table} using delta as select 'AA1' as id, date'{FIRST}' as day, "
        "double('NaN') as gone, double('NaN') as low, double('NaN') as between_them, double('NaN') as fine"
    )
    suite = Suite(
        table=table,
        gate="features",
        key=("id",),
        day=day_column("day"),
        rows=(
            *not_null("gone", "fine"),
            at_least("low", 0),
            between("between_them", 0, 1),
            at_least("fine", 0),
        ),
        daily=Profile({"mean": "avg(low)"}, (at_least("mean", 0),)),
        nan_allowed=("fine",),
    )
    declared(suite)
    (result,) = gate.check(spark, "features").results
    assert sorted(each.expectation for each in result.failures) == [
        "between_them lies between 0 and 1",
        "gone is there",
        "low is at least 0",
        "mean is at least 0",
    ]
    assert all(each.days == (FIRST,) for each in result.failures)
