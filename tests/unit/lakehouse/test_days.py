"""Days as ranges, also at the ends of the calendar."""

import itertools
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.dbt.days import (
    as_text,
    count_days,
    cut,
    dates_between,
    from_text,
    instants_between,
    joined,
    parse_day,
    single_days,
    widened,
)

DAYS = st.dates(date(2013, 1, 1), date(2013, 3, 31))
EDGES = st.sampled_from([date.min, date.min + timedelta(days=1), date.max - timedelta(days=1), date.max])


def each_day(ranges: object) -> set[date]:
    return {
        date.fromordinal(number)
        for first, last in ranges  # pyright: ignore[reportGeneralTypeIssues]
        for number in range(first.toordinal(), last.toordinal() + 1)
    }


@given(st.lists(DAYS))
def test_days_as_ranges_are_the_same_days_in_order_and_apart(days: list[date]) -> None:
    ranges = single_days(days)
    assert each_day(ranges) == set(days)
    assert all(later[0] - earlier[1] > timedelta(days=1) for earlier, later in itertools.pairwise(ranges))
    assert from_text(as_text(ranges)) == ranges
    assert count_days(ranges) == len(set(days))


@given(st.lists(DAYS, min_size=1), st.integers(1, 5))
def test_past_the_most_ranges_the_nearest_are_joined_and_no_day_is_lost(days: list[date], most: int) -> None:
    apart, short = single_days(days), joined(single_days(days), most)
    assert len(short) <= most
    assert each_day(short) >= set(days)
    assert (min(days), max(days)) == (short[0][0], short[-1][1])
    if len(apart) > most:
        gaps = sorted((later[0] - earlier[1]).days - 1 for earlier, later in itertools.pairwise(apart))
        assert len(each_day(short)) - len(set(days)) == sum(gaps[: len(apart) - most])


@given(st.lists(st.one_of(DAYS, EDGES)), st.integers(0, 400), st.integers(0, 400))
def test_the_ends_of_the_calendar_stop_nothing(days: list[date], before: int, after: int) -> None:
    for first, last in widened(single_days(days), before, after):
        assert date.min <= first <= last <= date.max


def test_a_far_day_takes_no_others_along() -> None:
    today, sentinel = date(2013, 9, 1), date(9999, 12, 31)
    assert single_days([today, sentinel]) == ((today, today), (sentinel, sentinel))
    assert cut(single_days([today, sentinel]), date(2013, 9, 2)) == ((today, today),)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2013-09-01", date(2013, 9, 1)),
        ("9999-12-31", date.max),
        ("+10000-01-01", date.max),
        ("+294247-01-10", date.max),
        ("0001-01-01", date.min),
        ("0000-12-31", date.min),
        ("-0044-03-15", date.min),
    ],
)
def test_what_spark_calls_a_day_beyond_python_is_its_last_or_first(text: str, day: date) -> None:
    assert parse_day(text) == day


def test_conditions_leave_the_ends_of_the_calendar_open() -> None:
    day = date(2013, 9, 1)
    assert dates_between("d", ((day, day),)) == "((d between date'2013-09-01' and date'2013-09-01'))"
    assert dates_between("d", ((date.min, day), (date.max, date.max))) == (
        "((d <= date'2013-09-01') or (d >= date'9999-12-31'))"
    )
    assert dates_between("d", ()) == "false"
    assert instants_between("t", ((day, date.max),), "UTC") == (
        "((t >= to_utc_timestamp(timestamp'2013-09-01 00:00:00', 'UTC')))"
    )
