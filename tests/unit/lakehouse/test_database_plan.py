"""What a load of a database reads: each change of a row lands once, and each row is in one range."""

import sqlite3
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.ingest.database.plan import (
    Window,
    batch_id,
    last_of,
    loaded,
    mark_text,
    parse_mark,
    ranges,
    window,
)

START = datetime(2013, 10, 1, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


# When a row is changed, how long its transaction takes to commit, and whether it is changed again.
changes = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 30), st.one_of(st.none(), st.integers(1, 60))),
    max_size=12,
)
loads = st.lists(st.integers(0, 300), max_size=8)
# A transaction is no longer than lag and overlap together: the rest is what a declaration cannot promise.
margins = st.integers(0, 40).flatmap(lambda lag: st.tuples(st.just(lag), st.integers(max(0, 31 - lag), 60)))


@given(changes=changes, loads=loads, margins=margins)
def test_every_change_lands_once_or_is_gone_before_it_is_settled(changes, loads, margins):
    """An oracle of rows: a version is (row, watermark), visible from its commit until the next one's."""
    lag, overlap = margins
    versions: dict[tuple[int, datetime], tuple[datetime, datetime | None]] = {}
    for row, (changed, takes, again) in enumerate(changes):
        gone = None if again is None else at(changed + takes + again)
        versions[row, at(changed)] = (at(changed + takes), gone)
        if gone is not None:
            versions[row, gone] = (gone, None)
    landed: list[tuple[int, datetime]] = []
    last = None
    for now in [*map(at, sorted(loads)), at(1000)]:
        visible = [
            version
            for version, (commit, gone) in versions.items()
            if commit <= now and (gone is None or now < gone)
        ]
        newest = max((mark for _, mark in visible), default=None)
        planned = window(
            last, newest, now=now, lag=timedelta(seconds=lag), overlap=timedelta(seconds=overlap)
        )
        if planned is None:
            continue
        read = [
            version
            for version in visible
            if version[1] <= planned.upto and (planned.above is None or version[1] > planned.above)
        ]
        # What bronze holds is looked up below the window's lower end only.
        held = {mark for mark in landed if planned.above is None or mark[1] > planned.above}
        landed += [version for version in read if version not in held]
        assert last is None or planned.upto >= last
        last = planned.upto
    assert len(set(landed)) == len(landed)
    lasting = {version for version, (_, gone) in versions.items() if gone is None}
    assert lasting <= set(landed)


@given(
    keys=st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), max_size=30),
    known=st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1)),
    count=st.integers(1, 9),
)
def test_each_key_is_in_one_range_also_those_that_came_later(keys, known, count):
    """A database evaluates the conditions."""
    conditions = ranges("id", min(known), max(known), count)
    assert 1 <= len(conditions) <= count
    with sqlite3.connect(":memory:") as database:
        database.execute("create table t (id integer)")
        database.executemany("insert into t values (?)", [(key,) for key in keys])
        hits = " + ".join(f"coalesce({condition}, false)" for condition in conditions)
        found = database.execute(f"select {hits} from t").fetchall()
    database.close()
    assert all(row == (1,) for row in found)


@pytest.mark.parametrize(
    ("last", "newest", "options", "expected"),
    [
        (None, None, {}, None),
        (None, at(50), {}, Window(None, at(50))),
        (None, at(50), {"lag": timedelta(seconds=60)}, Window(None, at(40))),
        (at(50), at(50), {}, None),
        (at(50), at(50), {"overlap": timedelta(seconds=9)}, Window(at(41), at(50))),
        (at(50), at(20), {"overlap": timedelta(seconds=9)}, Window(at(41), at(50))),
        (at(50), at(70), {"until": at(60)}, Window(at(50), at(60) - timedelta(microseconds=1))),
        (at(50), at(70), {"until": at(40)}, None),
        (7, 12, {"lag": 2, "overlap": 3}, Window(4, 10)),
        (7, 8, {"lag": 2, "overlap": 3}, Window(4, 7)),
    ],
)
def test_the_window_of_a_load(last, newest, options, expected):
    assert window(last, newest, now=at(100), **({"lag": 0, "overlap": 0} | options)) == expected


def test_a_watermark_of_another_kind_is_refused():
    with pytest.raises(TypeError, match="read up to 7"):
        window(7, at(1), now=at(2), lag=0, overlap=0)


@given(st.one_of(st.integers(), st.datetimes(timezones=st.just(UTC))))
def test_a_watermark_is_what_was_written(mark):
    assert parse_mark(mark_text(mark)) == mark


def test_loads_sort_by_what_they_tell_also_when_the_clock_is_set_back():
    first = batch_id("orders", date(2013, 10, 1), at(5), None)
    second = batch_id("orders", date(2013, 10, 1), at(1), first)
    third = batch_id("orders", date(2013, 9, 30), at(9), second)

    assert first < second < third
    assert loaded("orders", third) == (date(2013, 10, 1), at(9))
    assert last_of("orders", [second, "orders_2013-12-31", third, first]) == third
    assert loaded("orders", "orders_2013-10-01T09") is None
    assert loaded("order", first) is None
