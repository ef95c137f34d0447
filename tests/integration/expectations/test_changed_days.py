"""The days of rows that came or went: by the files' statistics where these tell them, else by the rows."""

from datetime import date

import pytest

from expectations import days
from expectations.days import FEW_DAYS, changed_days
from expectations.suite import DayOf, day_column, delivery_day
from lakehouse.delta.table import TableVersion, current_version


def january(*numbers: int) -> set[date]:
    return {date(2013, 1, number) for number in numbers}


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The statements that ask for the days of rows."""
    statements: list[str] = []
    by_rows = days.query

    def noted(spark, sql):
        statements.append(sql)
        return by_rows(spark, sql)

    monkeypatch.setattr(days, "query", noted)
    return statements


def test_statistics_tell_the_days_of_files_that_came_and_went(spark, write, schema, asked) -> None:
    name = f"{schema}.flights_{schema}"
    day = day_column("flight_date")
    versions: list[TableVersion] = []
    for rows in (
        [("a", "2013-01-01", 1), ("b", "2013-01-02", 1)],
        [("c", "2013-01-05", 1), ("d", "2013-01-06", 1)],
        [("e", "2013-01-07", 1), ("f", "2013-01-10", 1)],
        [("g", "2013-01-01", 1), ("h", f"2013-01-{FEW_DAYS + 1:02}", 1)],
    ):
        write("flights", rows)
        versions.append(current_version(spark, name))

    def changed(older: int, newer: int, *, may_be_more: bool) -> set[date] | None:
        return changed_days(spark, day, versions[older], versions[newer], may_be_more=may_be_more)

    assert changed(0, 1, may_be_more=False) == january(5, 6)
    # Between its first and last day a file may have others, or none.
    assert changed(1, 2, may_be_more=True) == january(7, 8, 9, 10)
    assert not asked
    assert changed(1, 2, may_be_more=False) == january(7, 10)
    assert changed(2, 3, may_be_more=True) == january(1, FEW_DAYS + 1)
    assert len(asked) == 2

    spark.sql(f"delete from {name} where flight_date = date'2013-01-06'")
    now = current_version(spark, name)
    assert changed_days(spark, day, versions[3], now) == january(5, 6)
    assert len(asked) == 2


def test_days_that_come_before_and_after_files_are_put_together_are_told_alone(
    spark, write, schema, asked
) -> None:
    name = f"{schema}.flights_{schema}"
    for number in range(1, 10):
        write("flights", [(f"f{number}", f"2013-01-0{number}", 1)])
    last = current_version(spark, name)
    write("flights", [("g", "2013-01-20", 1)])
    spark.sql(f"optimize {name}")
    write("flights", [("h", "2013-01-21", 1)])
    spark.sql(f"delete from {name} where flight_id = 'none'")
    now = current_version(spark, name)
    assert changed_days(spark, day_column("flight_date"), last, now) == january(20, 21)
    assert not asked


def test_a_row_without_a_day_is_not_overlooked(spark, schema, asked) -> None:
    name = f"{schema}.undated_{schema}"
    spark.sql(f"create table {name} (id string, flight_date date) using delta")
    spark.sql(f"insert into {name} values ('a', date'2013-01-01')")
    before = current_version(spark, name)
    spark.sql(f"insert into {name} values ('b', date'2013-01-02'), ('c', null)")
    day = day_column("flight_date")
    assert changed_days(spark, day, before, current_version(spark, name)) is None
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("source", "is_told"), [("weather_observations", True), ("a_source_with_a_name_of_many_letters", False)]
)
def test_a_batchs_name_tells_its_day_where_statistics_have_all_of_it(
    spark, schema, asked, source: str, is_told: bool
) -> None:
    name = f"{schema}.{source}_{schema}"
    day: DayOf = delivery_day(source)
    spark.sql(f"create table {name} (_batch_id string) using delta")
    spark.sql(f"insert into {name} values ('{source}_2013-01-01')")
    before = current_version(spark, name)
    spark.sql(f"insert into {name} values ('{source}_2013-01-03T05'), ('{source}_2013-01-03T06')")
    assert changed_days(spark, day, before, current_version(spark, name)) == january(3)
    assert len(asked) == (0 if is_told else 1)
