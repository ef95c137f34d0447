"""Which runs are asked for: as few days as needed, each once, failed ones again after a while."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.delivery import Delivery
from orchestration.asking import Attempt, Decision, Waiting, decide, listed
from orchestration.state import State, by_day

MINUTE = 60.0
SOURCE = load_sources()["flight_actuals"]
FIRST = date(2013, 1, 1)


def day(number: int) -> date:
    """The days of 2013, from 1."""
    return FIRST + timedelta(days=number - 1)


def deliver(folder: Path, number: int, note: str = "", content: str = "x") -> Delivery:
    path = folder / f"flight_actuals_{day(number)}{note}.jsonl"
    path.write_text(content)
    found = SOURCE.delivery(path)
    assert found is not None
    return found


def state(
    files: Iterable[Delivery] = (),
    *,
    landed: Iterable[Delivery] = (),
    done: Iterable[int] = (),
    lacking: Iterable[int] = (),
) -> State:
    """Days whose `files` are pending and others that have `landed`."""
    pending = list(files)
    return State(
        files=by_day([*pending, *landed]),
        pending=by_day(pending),
        outside=[],
        done={day(number) for number in done},
        lacking={day(number): "gate bronze failed on bronze.weather_observations" for number in lacking},
    )


def asked(decision: Decision) -> list[tuple[int, int]]:
    return [((ask.first - FIRST).days + 1, (ask.last - FIRST).days + 1) for ask in decision.asks]


def attempt(
    where: State, first: int, last: int | None = None, *, run: str = "r1", ended: float | None = 0.0
) -> Attempt:
    ends = day(first), day(last or first)
    return Attempt(run, *ends, where.digest(*ends), ended, "failed")


def test_a_new_day_is_asked_for(tmp_path: Path) -> None:
    assert asked(decide(state([deliver(tmp_path, 3)]), [], 0)) == [(3, 3)]


def test_nothing_is_asked_for_where_nothing_is_lacking(tmp_path: Path) -> None:
    landed = deliver(tmp_path, 3)
    assert decide(state(landed=[landed], done=[3]), [], 0) == Decision((), ())


def test_many_new_days_are_one_run(tmp_path: Path) -> None:
    assert asked(decide(state([deliver(tmp_path, n) for n in (3, 4, 5, 9)]), [], 0)) == [(3, 9)]


def test_days_that_are_far_apart_are_runs_of_their_own(tmp_path: Path) -> None:
    found = decide(state([deliver(tmp_path, n) for n in (3, 4, 200)]), [], 0)
    assert asked(found) == [(3, 4), (200, 200)]


def test_a_late_file_beside_todays_asks_for_today_alone(tmp_path: Path) -> None:
    late, today = deliver(tmp_path, 100, "_corrections"), deliver(tmp_path, 160)
    found = decide(state([late, today], done=range(1, 160)), [], 0)
    assert asked(found) == [(160, 160)]
    assert [(each.day, each.why) for each in found.waiting] == [
        (day(100), f"{late.path.name} not in bronze; the next run takes it")
    ]


def test_late_files_alone_ask_for_their_newest_day(tmp_path: Path) -> None:
    late = [deliver(tmp_path, n, "_corrections") for n in (20, 100)]
    assert asked(decide(state(late, done=range(1, 160)), [], 0)) == [(100, 100)]


def test_a_late_file_is_left_to_a_run_that_is_under_way(tmp_path: Path) -> None:
    where = state([deliver(tmp_path, 100, "_corrections")], done=range(1, 160))
    running = attempt(where, 160, ended=None)
    assert decide(where, [running], 0).asks == ()


def test_a_day_that_waits_or_runs_is_not_asked_for_again(tmp_path: Path) -> None:
    where = state([deliver(tmp_path, 3)])
    found = decide(where, [attempt(where, 3, ended=None)], 99 * MINUTE)
    assert found.asks == ()
    assert "run r1 waits or runs" in found.waiting[0].why


@pytest.mark.parametrize(("tries", "minutes"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (20, 60)])
def test_a_failed_day_is_asked_for_again_after_a_while_and_seen_until_then(
    tmp_path: Path, tries: int, minutes: int
) -> None:
    where = state(landed=[deliver(tmp_path, 3)], lacking=[3])
    before = [attempt(where, 3, run=f"r{number}") for number in reversed(range(tries))]
    early = decide(where, before, minutes * MINUTE - 1)
    assert early.asks == ()
    (waiting,) = early.waiting
    assert waiting.day == day(3)
    assert "gate bronze failed on bronze.weather_observations" in waiting.why
    assert f"run r{tries - 1} failed" in waiting.why
    assert asked(decide(where, before, minutes * MINUTE)) == [(3, 3)]


def test_a_refused_file_that_changed_is_asked_for_at_once(tmp_path: Path) -> None:
    where = state([deliver(tmp_path, 3)])
    before = [attempt(where, 3, run=f"r{number}") for number in range(7)]
    assert decide(where, before, MINUTE).asks == ()
    corrected = state([deliver(tmp_path, 3, content="corrected")])
    assert asked(decide(corrected, before, MINUTE)) == [(3, 3)]


def test_another_file_of_a_failed_day_is_asked_for_at_once(tmp_path: Path) -> None:
    one = deliver(tmp_path, 3)
    where = state(landed=[one], lacking=[3])
    more = state([deliver(tmp_path, 3, "_corrections")], landed=[one], lacking=[3])
    before = [attempt(where, 3)]
    assert decide(where, before, 1).asks == ()
    assert asked(decide(more, before, 1)) == [(3, 3)]


def test_a_failed_day_is_not_taken_along_with_its_neighbours(tmp_path: Path) -> None:
    where = state([deliver(tmp_path, 3), deliver(tmp_path, 5)], lacking=[4])
    assert asked(decide(where, [attempt(where, 4)], 1)) == [(3, 3), (5, 5)]


def test_a_refused_late_file_does_not_keep_another_one_waiting(tmp_path: Path) -> None:
    late = [deliver(tmp_path, n, "_corrections") for n in (20, 100)]
    where = state(late, done=range(1, 160))
    assert asked(decide(where, [attempt(where, 100)], 1)) == [(20, 20)]


def test_a_run_that_succeeded_and_changed_nothing_is_not_repeated_each_minute(tmp_path: Path) -> None:
    where = state(landed=[deliver(tmp_path, 3)], lacking=[3])
    ended = attempt(where, 3)
    succeeded = Attempt(ended.run_id, ended.first, ended.last, ended.digest, 0.0, "succeeded")
    assert decide(where, [succeeded], 1).asks == ()


def test_two_that_decide_at_once_ask_for_the_same(tmp_path: Path) -> None:
    where = state([deliver(tmp_path, 3)])
    first, second = decide(where, [], 0), decide(where, [], 5)
    assert first.asks == second.asks
    again = decide(where, [attempt(where, 3)], 2 * MINUTE)
    assert again.asks[0].key != first.asks[0].key


def test_days_that_wait_for_the_same_are_one_line() -> None:
    waiting = [Waiting(day(number), "gate features never looked at it") for number in (1, 2, 3)]
    assert listed([*waiting, Waiting(day(4), "no score")]).splitlines() == [
        "2013-01-01 … 2013-01-03: gate features never looked at it",
        "2013-01-04: no score",
    ]
    many = listed(Waiting(day(number), f"reason {number}") for number in range(1, 31)).splitlines()
    assert len(many) == 21 and many[-1] == "and 10 more"


@dataclass
class World:
    """Files, runs and what they came to; minutes pass, runs fail or succeed, nothing else."""

    folder: Path
    files: list[Delivery] = field(default_factory=list[Delivery])
    landed: set[str] = field(default_factory=set[str])
    done: set[date] = field(default_factory=set[date])
    runs: list[Attempt] = field(default_factory=list[Attempt])
    keys: set[str] = field(default_factory=set[str])
    now: float = 0.0

    def state(self) -> State:
        known = {each.day for each in self.files if each.batch_id in self.landed}
        return State(
            files=by_day(self.files),
            pending=by_day(each for each in self.files if each.batch_id not in self.landed),
            outside=[],
            done=known & self.done,
            lacking=dict.fromkeys(known - self.done, "gate bronze never looked at it"),
        )

    def tick(self) -> None:
        """A minute passes, and the sensor looks."""
        self.now += MINUTE
        for ask in decide(self.state(), self.runs, self.now).asks:
            assert ask.key not in self.keys, "Dagster starts no second run of one key"
            self.keys.add(ask.key)
            under_way = [run for run in self.runs if run.ended_at is None]
            assert not any(run.first <= ask.last and ask.first <= run.last for run in under_way)
            name = f"r{len(self.runs)}"
            self.runs.insert(0, Attempt(name, ask.first, ask.last, ask.digest, None, "failed"))

    def end_oldest(self, reached: int) -> None:
        """The run that waits longest dies before it landed anything, after it, or has done."""
        run = next((run for run in reversed(self.runs) if run.ended_at is None), None)
        if run is None:
            return
        if reached > 0:
            self.landed |= {each.batch_id for each in self.files if each.day <= run.last}
        if reached > 1:
            self.done |= {each.day for each in self.files if run.covers(each.day)}
        index = self.runs.index(run)
        self.runs[index] = Attempt(run.run_id, run.first, run.last, run.digest, self.now, "failed")


STEP = st.one_of(
    st.tuples(st.just("deliver"), st.integers(1, 40)),
    st.tuples(st.just("tick"), st.integers(1, 5)),
    st.tuples(st.just("end"), st.integers(0, 2)),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEP, max_size=40))
def test_whatever_fails_every_day_is_done_in_the_end(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    world = World(tmp_path_factory.mktemp("world"))
    for number, (kind, value) in enumerate(steps):
        if kind == "deliver":
            world.files.append(deliver(world.folder, value, f"_{number}"))
        elif kind == "tick":
            for _ in range(value):
                world.tick()
        else:
            world.end_oldest(value)
    # From here on runs succeed; back-off is an hour at most.
    for _ in range(200):
        world.tick()
        world.end_oldest(2)
    assert world.landed == {each.batch_id for each in world.files}
    assert world.done >= {each.day for each in world.files}
