"""Which days a push writes: those that changed, within the time to live, and what was left half done."""

from datetime import date

import pytest

from lakehouse.online.plan import PushPlan, plan_days, plan_newest, window
from lakehouse.online.state import NEWEST, Held, HeldDay

NOW = 1_000_000
FIRST, LAST = date(2013, 1, 3), date(2013, 1, 5)
KEPT = (FIRST, LAST)


def held(
    day: str, *, asked: bool = False, whole: bool = True, expires_ms: int = NOW + 1
) -> tuple[str, HeldDay]:
    return day, HeldDay(asked, whole, expires_ms)


def days(plan: PushPlan) -> tuple[list[str], list[str]]:
    return sorted(plan.days), sorted(plan.forgotten)


ALL = [held("2013-01-03"), held("2013-01-04"), held("2013-01-05")]


@pytest.mark.parametrize(
    ("there", "changed", "written", "forgotten"),
    [
        pytest.param(ALL, (), [], [], id="nothing changed"),
        pytest.param(ALL, ((LAST, LAST),), ["2013-01-05"], [], id="a day changed"),
        pytest.param(ALL, ((date(2012, 1, 1), FIRST),), ["2013-01-03"], [], id="old days changed too"),
        pytest.param(ALL, None, ["2013-01-03", "2013-01-04", "2013-01-05"], [], id="anything may have"),
        pytest.param([], (), ["2013-01-03", "2013-01-04", "2013-01-05"], [], id="an empty store"),
        pytest.param(ALL[:2], (), ["2013-01-05"], [], id="a day was never pushed"),
        pytest.param([*ALL[:2], held("2013-01-05", whole=False)], (), ["2013-01-05"], [], id="half pushed"),
        pytest.param([*ALL[:2], held("2013-01-05", expires_ms=NOW)], (), ["2013-01-05"], [], id="expired"),
        pytest.param([*ALL, held("2013-01-02")], (), [], ["2013-01-02"], id="a day is too old now"),
        pytest.param([*ALL, held("2013-01-06")], (), [], ["2013-01-06"], id="a day is gone"),
        pytest.param([*ALL, held("2012-01-01", asked=True)], (), [], [], id="an asked day stays"),
        pytest.param(
            [*ALL, held("2012-01-01", asked=True)],
            ((date(2012, 1, 1), date(2012, 1, 1)),),
            ["2012-01-01"],
            [],
            id="an asked day changed",
        ),
        pytest.param(
            [*ALL, held("2012-01-01", asked=True, expires_ms=NOW)], (), [], ["2012-01-01"], id="it expired"
        ),
    ],
)
def test_days_of_a_push(there, changed, written, forgotten) -> None:
    plan = plan_days(Held(days=dict(there)), changed, KEPT, NOW)
    assert days(plan) == (written, forgotten)
    assert plan.is_idle is (not written and not forgotten)


def test_a_day_of_the_window_is_renewed_before_it_expires_and_an_asked_one_is_not() -> None:
    there = [*ALL, held("2012-01-01", asked=True)]
    assert days(plan_days(Held(days=dict(there)), (), KEPT, NOW, renew_ms=1)) == (
        ["2013-01-03", "2013-01-04", "2013-01-05"],
        [],
    )
    assert plan_newest(Held(days=dict([held(NEWEST)])), (), KEPT, NOW, renew_ms=1).days == {NEWEST}


def test_asked_days_are_written_however_old_and_noted_as_asked() -> None:
    asked = (date(2012, 5, 1), date(2012, 5, 2))
    plan = plan_days(Held(days=dict(ALL)), (), KEPT, NOW, asked=asked)
    assert days(plan) == (["2012-05-01", "2012-05-02"], [])
    assert plan.claims == {"2012-05-01": True, "2012-05-02": True}


def test_a_full_push_writes_every_day_again() -> None:
    there = Held(days=dict([*ALL, held("2012-01-01", asked=True), held("2013-01-09")]))
    plan = plan_days(there, (), KEPT, NOW, full=True)
    assert days(plan) == (["2012-01-01", "2013-01-03", "2013-01-04", "2013-01-05"], ["2013-01-09"])
    assert plan.claims["2012-01-01"] and not plan.claims["2013-01-03"]


def test_a_table_that_lost_all_rows_is_online_no_more() -> None:
    plan = plan_days(Held(days=dict(ALL)), None, None, NOW)
    assert days(plan) == ([], ["2013-01-03", "2013-01-04", "2013-01-05"])


@pytest.mark.parametrize(
    ("there", "changed", "is_written"),
    [
        ([], (), True),
        ([held(NEWEST)], (), False),
        ([held(NEWEST)], ((LAST, LAST),), True),
        ([held(NEWEST)], ((date(2012, 1, 1), date(2012, 1, 2)),), False),
        ([held(NEWEST)], None, True),
        ([held(NEWEST, whole=False)], (), True),
        ([held(NEWEST, expires_ms=NOW)], (), True),
    ],
)
def test_newest_rows_are_written_when_a_day_of_theirs_changed(there, changed, is_written) -> None:
    plan = plan_newest(Held(days=dict(there)), changed, KEPT, NOW)
    assert (plan.days == {NEWEST}) is is_written


def test_the_window_ends_at_the_newest_day() -> None:
    assert window(LAST, 1) == (date(2013, 1, 4), LAST)
    assert window(LAST, 49) == (date(2013, 1, 2), LAST)
    assert window(None, 48) is None
