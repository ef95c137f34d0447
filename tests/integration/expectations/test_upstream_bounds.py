"""What stands upstream says how many rows each day must have: one statement for all tables of a gate."""

from datetime import date

import pytest

from expectations import days
from expectations.days import Bounds, upstream_bounds
from expectations.suite import ExpectedRows, Suite, day_column
from lakehouse.delta.table import current_version
from lakehouse.errors import LakehouseError

FIRST, SECOND = date(2013, 1, 1), date(2013, 1, 2)


def suite(table: str, sql: str | None) -> Suite:
    expected = None if sql is None else ExpectedRows(sql, "a row for each flight")
    return Suite(table, "features", ("flight_id",), day_column("flight_date"), expected_rows=expected)


@pytest.fixture
def upstream(spark, write, schema) -> str:
    write("flights", [("a", str(FIRST), 1), ("b", str(FIRST), 1), ("c", str(SECOND), 1)])
    return f"{schema}.flights_{schema}"


def test_each_table_gets_its_own_bounds_from_one_statement(spark, upstream, monkeypatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(days, "query", lambda spark, sql: asked.append(sql) or spark.sql(sql))
    rows = f"from {{{upstream}}}"
    each = f"select flight_date as day, count(*) as least_rows, null as most_rows {rows} group by 1"
    first = f"select flight_date as day, 0 as least_rows, 1 as most_rows {rows} where flight_id = 'a'"
    undated = f"select cast(null as date) as day, 1 as least_rows, 1 as most_rows {rows}"
    version = current_version(spark, upstream)
    told = {"a": each, "b": first, "c": undated, "d": None}
    found = upstream_bounds(spark, [(suite(name, sql), version) for name, sql in told.items()])
    assert found == {
        "a": {FIRST: Bounds(2, None), SECOND: Bounds(1, None)},
        "b": {FIRST: Bounds(0, 1)},
        "c": {},
    }
    assert len(asked) == 1


def test_nothing_is_asked_where_no_suite_says_it(spark, upstream) -> None:
    assert upstream_bounds(spark, [(suite("a", None), current_version(spark, upstream))]) == {}


def test_a_suite_that_does_not_fit_is_named(spark, upstream) -> None:
    version = current_version(spark, upstream)
    right = f"select flight_date as day, 1 as least_rows, 1 as most_rows from {{{upstream}}}"
    wrong = right.replace("flight_date", "flight_day")
    with pytest.raises(LakehouseError, match=r"the suite of s\.wrong does not fit the table: .*flight_day"):
        upstream_bounds(spark, [(suite("s.right", right), version), (suite("s.wrong", wrong), version)])
