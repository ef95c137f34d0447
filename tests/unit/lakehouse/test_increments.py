"""Which days a build computes: by hand, and against one that computes everything."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.dbt.days import single_days
from lakehouse.dbt.increments import (
    Change,
    Frontier,
    Input,
    Seen,
    days_replaced,
    inputs_of,
    landed_between,
    plan_days,
)
from lakehouse.dbt.notes import Commit
from lakehouse.errors import LakehouseError

EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
FIRST = date(2013, 1, 1)
HORIZON = 60


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def one(number: int) -> tuple[tuple[date, date], ...]:
    return ((day(number), day(number)),)


SEEN = Seen(1, "2025-01-01 00:00:00.000000")
NOTE = {"days": "all", "read": {}, "frontier": None, "sql": "a"}


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ({"model": "a", "after": 1}, "has after, which is not a key"),
        ({"model": "a", "source": "b"}, "names a source or a model"),
        ({"day": "d"}, "names a source or a model"),
        ({"model": "a", "lookback": -1}, "has lookback -1"),
        ({"model": "a", "lookback": "open"}, "has lookback 'open'"),
        ({"source": "a"}, "says no `day`"),
    ],
)
def test_a_wrong_input_is_refused_by_name(declared: dict[str, Any], problem: str) -> None:
    with pytest.raises(LakehouseError, match=problem) as refused:
        inputs_of("feat_a", {"inputs": [declared]})
    assert "feat_a" in refused.value.what


def test_a_model_without_inputs_is_refused() -> None:
    with pytest.raises(LakehouseError, match="needs `inputs`"):
        inputs_of("feat_a", {})


def test_an_input_is_named_in_sql_by_its_staging_model() -> None:
    declared = {"source": "actuals", "day": "d", "as": "stg_events", "lookback": "all"}
    (found,) = inputs_of("a", {"inputs": [declared]})
    assert (found.name, found.ref, found.lookback) == ("bronze.actuals", "stg_events", None)


def test_what_nothing_reached_is_idle_and_what_was_never_built_is_all() -> None:
    nothing = {Input("a", is_source=False): Change(SEEN, ())}
    assert plan_days(NOTE, nothing).is_idle
    assert plan_days({}, nothing).everything


def test_an_input_that_was_recreated_reaches_everything_and_says_so() -> None:
    plan = plan_days(NOTE, {Input("a", is_source=False): Change(SEEN, None)})
    assert (plan.everything, dict(plan.because)) == (True, {"a": "all"})


def test_rows_of_other_sql_are_noted_until_all_are_computed() -> None:
    reached = {Input("a", is_source=False): Change(SEEN, one(3))}
    changed = plan_days(NOTE, reached, sql="b")
    assert (changed.built_with, changed.note["sql"]) == ("a", "a")
    assert plan_days(NOTE, {}, sql="b").built_with == "a", "also where no day is computed"
    again = plan_days(changed.note, reached, sql="b")
    assert again.built_with == "a", "a day by the new SQL does not make the others new"
    whole = plan_days({}, reached, sql="b")
    assert (whole.built_with, whole.note["sql"]) == (None, "b")


def test_days_beyond_the_frontier_wait_for_it_also_a_sentinel() -> None:
    frontier = Frontier("2013-01-05 00:00:00", day(4))
    note = {**NOTE, "frontier": {"until": frontier.until, "day": "2013-01-05"}}
    days = (*one(2), (date.max, date.max))
    plan = plan_days(note, {Input("a", is_source=False, lookback=10): Change(SEEN, days)}, frontier=frontier)
    assert plan.ranges == ((day(2), day(5)),)


@pytest.mark.parametrize(("before", "now"), [(2, 5), (5, 2)])
def test_a_frontier_that_moves_computes_the_days_between_in_either_direction(before: int, now: int) -> None:
    note = {**NOTE, "frontier": {"until": f"until {before}", "day": day(before).isoformat()}}
    plan = plan_days(note, {}, frontier=Frontier(f"until {now}", day(now)))
    assert plan.ranges[0][0] == day(2)
    assert plan.ranges[-1][1] == day(5)


def test_a_commit_that_names_nothing_has_to_be_asked_and_one_of_days_has_not() -> None:
    commits = [
        Commit(3, EPOCH, metadata={"days": [["2013-01-02", "2013-01-02"]], "read": {}}),
        Commit(2, EPOCH, changes_rows=False),
        Commit(1, EPOCH, metadata={"batches": ["b"]}),
    ]
    landed = landed_between(commits, 0, 3)
    assert (landed.batches, landed.days, landed.is_named) == (("b",), one(1), True)
    assert not landed_between([Commit(1, EPOCH)], 0, 1).is_named
    assert days_replaced([Commit(1, EPOCH)], 0, 1) is None


# Against a build that computes everything ------------------------------------------------------------------


@dataclass
class Table:
    """Rows by day, and the log."""

    rows: dict[date, frozenset[str]] = field(default_factory=dict[date, frozenset[str]])
    commits: list[Commit] = field(default_factory=list[Commit])

    def commit(self, metadata: Mapping[str, Any]) -> None:
        number = len(self.commits)
        self.commits.insert(0, Commit(number, EPOCH + timedelta(minutes=number), metadata=metadata))

    @property
    def note(self) -> Mapping[str, Any]:
        return next((each.note or {} for each in self.commits), {})


@dataclass
class World:
    """A source, and two models: `near` reads it two days back, `far` reads `near` nine days back, and it."""

    landed: list[tuple[str, date]] = field(default_factory=list[tuple[str, date]])
    source: Table = field(default_factory=Table)
    near: Table = field(default_factory=Table)
    far: Table = field(default_factory=Table)
    until: int = 0

    @property
    def frontier(self) -> Frontier:
        return Frontier(f"until {self.until}", day(self.until))

    def deliver(self, days: list[int]) -> None:
        batches = [f"b{len(self.landed) + number}" for number in range(len(days))]
        self.landed += [(batch, day(number)) for batch, number in zip(batches, days, strict=True)]
        self.source.commit({"batches": batches})

    def near_on(self, when: date) -> frozenset[str]:
        return frozenset(batch for batch, on in self.landed if timedelta(0) <= when - on <= timedelta(days=2))

    def far_on(self, when: date) -> frozenset[str]:
        if when > self.frontier.day:
            return frozenset()
        seen = {
            f"{on}:{batch}"
            for on, batches in self.near.rows.items()
            if timedelta(0) <= when - on <= timedelta(days=9)
            for batch in batches
        }
        # Of the frontier's own day there is a part; and all that was ever delivered for days before.
        part = {self.frontier.until} if when == self.frontier.day else set[str]()
        return frozenset(seen | part | {batch for batch, on in self.landed if on <= when})

    def build_near(self) -> None:
        self._build(self.near, {SOURCE_NEAR: self._source_change(self.near)}, self.near_on, None)

    def build_far(self) -> None:
        changes = {
            NEAR: self._change(self.far, "near", self.near, days_replaced),
            SOURCE_FAR: self._source_change(self.far),
        }
        self._build(self.far, changes, self.far_on, self.frontier)

    def _source_change(self, of: Table) -> Change:
        def days(commits: list[Commit], before: int, now: int) -> Any:
            wanted = set(landed_between(commits, before, now).batches)
            return single_days(on for batch, on in self.landed if batch in wanted)

        return self._change(of, "bronze.source", self.source, days)

    @staticmethod
    def _change(of: Table, name: str, given: Table, changed: Callable[..., Any]) -> Change:
        noted = of.note.get("read", {}).get(name)
        seen = Seen.of(given.commits[0])
        if noted is None or not Seen(noted["version"], noted["at"]).is_in(given.commits):
            return Change(seen, None)
        return Change(seen, changed(given.commits, noted["version"], seen.version))

    @staticmethod
    def _build(
        table: Table,
        changes: Mapping[Input, Change],
        row: Callable[[date], frozenset[str]],
        frontier: Frontier | None,
    ) -> None:
        plan = plan_days(table.note, changes, frontier=frontier)
        if plan.is_idle:
            return
        for number in range(-HORIZON, 2 * HORIZON):
            when = day(number)
            if plan.everything or any(first <= when <= last for first, last in plan.ranges):
                table.rows[when] = row(when)
        table.commit(plan.note)


SOURCE_NEAR = Input("bronze.source", is_source=True, day="d", lookback=2)
SOURCE_FAR = Input("bronze.source", is_source=True, day="d", lookback=None)
NEAR = Input("near", is_source=False, lookback=9)

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.lists(st.integers(0, HORIZON - 1), max_size=4)),
        st.tuples(st.sampled_from(["near", "far", "both"]), st.just([])),
        st.tuples(st.just("frontier"), st.lists(st.integers(0, HORIZON - 1), min_size=1, max_size=1)),
    ),
    max_size=25,
)


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_whatever_is_built_when_the_tables_end_as_a_full_build_makes_them(
    steps: list[tuple[str, list[int]]],
) -> None:
    world = World()
    world.deliver([0])
    world.build_near()
    for step, numbers in steps:
        if step == "deliver":
            world.deliver(numbers)
        elif step == "frontier":
            world.until = numbers[0]
        if step in ("near", "both"):
            world.build_near()
        if step in ("far", "both"):
            world.build_far()
    world.build_near()
    world.build_far()
    versions = len(world.near.commits), len(world.far.commits)
    for number in range(-HORIZON, 2 * HORIZON):
        assert world.near.rows.get(day(number), frozenset()) == world.near_on(day(number))
        assert world.far.rows.get(day(number), frozenset()) == world.far_on(day(number))
    world.build_near()
    world.build_far()
    assert (len(world.near.commits), len(world.far.commits)) == versions, "nothing new commits nothing"
