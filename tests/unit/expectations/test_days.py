"""How many rows a day lacks, what a build read, and what a failure says."""

import sys
from datetime import UTC, date, datetime

from expectations.built import Built, as_built
from expectations.days import Bounds, DaysToCheck, lacking_days
from expectations.failures import Failure
from expectations.report import as_json, describe, failures_of
from expectations.suite import Suite, at_least, between, day_column, not_null, unique
from lakehouse.delta.gate_results import GateRow, TableState
from lakehouse.delta.table import TableVersion

DAY = date(2013, 1, 3)


def test_a_due_day_without_rows_lacks_one_and_any_other_lacks_none() -> None:
    asked = DaysToCheck((DAY,), frozenset({DAY}))
    assert (asked.missing(DAY, 0), asked.missing(DAY, 3), asked.missing(date(2013, 1, 4), 0)) == (1, 0, 0)


def test_upstream_bounds_both_sides_and_a_day_that_it_does_not_know_has_none() -> None:
    asked = DaysToCheck((DAY,), frozenset({DAY}), {DAY: Bounds(900, 914)}, counts_upstream=True)
    assert (asked.missing(DAY, 0), asked.missing(DAY, 900), asked.surplus(DAY, 920)) == (900, 0, 6)
    unknown = date(2013, 1, 4)
    assert (asked.missing(unknown, 0), asked.surplus(unknown, 5)) == (0, 0)


def test_a_day_is_looked_at_again_when_upstream_has_more_than_it_had_then() -> None:
    days = [date(2013, 1, number) for number in range(1, 6)]
    looked_at = {days[0]: 9, days[1]: 10, days[2]: 11, days[3]: None}
    table = TableVersion("features.t", "id", 12)
    noted: dict[date | None, GateRow] = {
        day: GateRow(table, day, "s", True, 0, None, "run", None, row_count=count)
        for day, count in looked_at.items()
    }
    # Of the last day nobody looked; of the one before nobody noted how many rows it had.
    assert lacking_days({day: Bounds(10, None) for day in days}, noted) == {days[0], days[4]}
    assert lacking_days({day: Bounds(None, 10) for day in days}, noted) == set()


def test_a_bound_below_is_none_for_infinity() -> None:
    # To Spark, NaN and infinity are greater than every number.
    bound = at_least("rain", 0)
    assert bound.kwargs["max_value"] == sys.float_info.max
    assert str(bound.broken) == f"rain > {sys.float_info.max} or rain < 0"


def test_upstream_is_read_as_the_build_read_it() -> None:
    noted = Built({"int_flights": 7}, datetime(2013, 1, 4, 5, tzinfo=UTC), date(2013, 1, 4))
    sql = "from {intermediate.int_flights} join {bronze.weather} where at < {until} and day < {until_day}"
    assert as_built(sql, noted) == (
        "from intermediate.int_flights version as of 7 join bronze.weather "
        "where at < timestamp'2013-01-04 05:00:00' and day < date'2013-01-04'"
    )


def test_nan_is_declared_where_it_is_a_value() -> None:
    rows = (*not_null("wind"), between("wind", 0, 150), at_least("rain", 0), unique("id"))
    suite = Suite("s.t", "features", ("id",), day_column("day"), rows=rows, nan_allowed=("wind",))
    conditions = {each.says: each.kwargs.get("row_condition") for each in suite.row_expectations}
    assert conditions == {
        "wind is there": None,
        "wind lies between 0 and 150": "not isnan(wind)",
        "rain is at least 0": None,
        "id occurs once": None,
    }


def test_a_message_groups_failures_and_counts_in_plain_english() -> None:
    one = Failure("temperature_f is there", 1, None, ({"flight_id": "AA1"},), days=(DAY,), see="select 1")
    two = Failure("row_count is at most 3", 2, None, ({"day": "2013-01-03"},), days=(DAY,), unit="day")
    assert str(one).splitlines() == [
        'temperature_f is there: 1 row, such as {"flight_id": "AA1"}',
        "  see: select 1",
    ]
    assert str(two).startswith("row_count is at most 3: 2 days, such as")
    table = TableVersion("features.t", "id", 12)
    rows = tuple(
        GateRow(table, day, "features.t", False, 1, json_of(failures), "run", "file:///page")
        for day, failures in ((None, [one, two]), (DAY, [one]), (date(2013, 1, 5), [two]))
    )
    assert failures_of(rows[0]) == [one, two]
    assert describe("features.t", TableState(rows[0], None, rows)).splitlines() == [
        "  features.t version 12 on 2 days, 2013-01-03 to 2013-01-05",
        '    temperature_f is there: 1 row, such as {"flight_id": "AA1"}',
        "      on 2013-01-03",
        "      see: select 1",
        '    row_count is at most 3: 2 days, such as {"day": "2013-01-03"}',
        "      on 2013-01-05",
        "    file:///page",
    ]


def json_of(failures: list[Failure]) -> str:
    import json

    return json.dumps([as_json(failure) for failure in failures])
