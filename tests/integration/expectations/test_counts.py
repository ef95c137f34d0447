"""The rows that SQL counts as broken are those that Great Expectations finds."""

from dataclasses import replace

import pytest

from expectations import docs
from expectations.counts import counted, is_countable
from expectations.profile import profile_by_day
from expectations.suite import (
    Expectation,
    Suite,
    at_least,
    at_most,
    between,
    day_column,
    not_null,
    one_of,
    unique,
)
from expectations.validate import validate
from lakehouse.delta.table import current_version
from lakehouse.errors import LakehouseError

# day, flight, carrier, delay, share: of each, what is odd.
ROWS = """
    (date'2013-09-01', 'A1', 'UA', 5, 0.5D),
    (date'2013-09-01', 'A2', null, null, null),
    (date'2013-09-01', 'A2', 'AA', -130, double('NaN')),
    (date'2013-09-02', 'A1', 'XX', 3000, double('Infinity')),
    (date'2013-09-02', null, 'AA', 2, -0.1D),
    (date'2013-09-02', null, 'AA', 2, -0.0D),
    (null, 'NaN', 'AA', 7, double('-Infinity'))
"""


@pytest.fixture
def suite(spark, schema) -> Suite:
    spark.sql(
        f"create table {schema}.odd using delta as "
        f"select *, 'b1' as _batch_id from values {ROWS} "
        "as odd (flight_date, flight_id, carrier, delay_minutes, share)"
    )
    return Suite(
        table=f"{schema}.odd",
        gate="features",
        key=("flight_id", "flight_date"),
        day=day_column("flight_date"),
        rows=(
            *not_null("flight_id", "carrier", "delay_minutes", "share", "flight_date"),
            between("delay_minutes", -120, 2880),
            between("share", 0, 1),
            at_least("share", 0),
            at_most("share", 1),
            one_of("carrier", ["UA", "AA"]),
            unique("flight_id"),
            unique("flight_id", "carrier"),
            unique("flight_date", "flight_id", "delay_minutes"),
        ),
        rules={"has_short_id": "length(flight_id) = 2", "is_early": "delay_minutes < 100"},
        may_be_empty=True,
    )


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"nan_allowed": ("share",)},
        {"quarantines": True, "rules": {"is_early": "coalesce(delay_minutes, 0) < 100"}},
    ],
)
def test_the_rows_counted_are_those_that_great_expectations_finds(spark, suite, change) -> None:
    suite = replace(suite, **change)
    version = current_version(spark, suite.table)
    counts = counted(suite, profile_by_day(spark, suite, version, None)).iloc[0].tolist()

    # One expectation that SQL cannot count: Great Expectations is asked for all of them.
    uncountable = Expectation("expect_column_to_exist", {"column": "share"}, "share is a column")
    alone = replace(suite, rows=(*suite.rows, uncountable))
    assert not is_countable(alone)
    found = validate(docs.context(), spark, alone, version)
    by_claim = {str(result.expectation_config.description): result for result in found.raw}

    for expectation, count in zip(suite.row_expectations, counts, strict=True):
        result = by_claim[expectation.says]
        seen = 0 if result.success else result.result["unexpected_count"]
        if expectation.partition:
            assert (count > 0) == (seen > 0), expectation.says
        else:
            assert count == seen, expectation.says
    assert sum(count > 0 for count in counts) > len(counts) / 2


def test_a_table_without_days_is_counted_as_a_whole_and_data_docs_show_what_was_expected(
    spark, suite
) -> None:
    suite = replace(suite, day=None, rows=(*not_null("delay_minutes"), *not_null("flight_id")), rules={})
    spark.sql(f"update {suite.table} set flight_id = 'A3' where flight_id is null")
    found = validate(docs.context(), spark, suite, current_version(spark, suite.table))
    assert [failure.unexpected for failure in found.failures] == [1]
    assert [(result.success, result.expectation_config.kwargs["column"]) for result in found.raw] == [
        (False, "delay_minutes"),
        (True, "flight_id"),
    ]


def test_a_range_of_texts_is_an_error_as_great_expectations_has_none(spark, suite) -> None:
    spark.sql(
        f"create table {suite.table}_texts using delta as select 'A1' as flight_id, '5' as delay_minutes"
    )
    suite = replace(
        suite, table=f"{suite.table}_texts", day=None, rows=(between("delay_minutes", 0, 9),), rules={}
    )
    suite = replace(suite, key=("flight_id",))
    with pytest.raises(LakehouseError, match="could not be computed"):
        validate(docs.context(), spark, suite, current_version(spark, suite.table))


def test_a_condition_that_says_something_else_than_its_expectation_is_an_error(spark, suite) -> None:
    spark.sql(f"update {suite.table} set delay_minutes = 1")
    wrong = replace(between("delay_minutes", 0, 9), broken="delay_minutes > 0")
    suite = replace(suite, rows=(wrong,), rules={})
    with pytest.raises(LakehouseError, match="Great Expectations finds none"):
        validate(docs.context(), spark, suite, current_version(spark, suite.table))
