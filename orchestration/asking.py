"""What to ask a run for: the days that lack something, as few as needed, failed ones with back-off.

Pure decisions over where the days stand and over the runs that were asked for before.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from itertools import groupby, takewhile

from orchestration.partitions import ranges_of
from orchestration.state import State, names_of

# A failed day is asked for again after 1, 2, 4 … minutes, and at last each hour.
_FIRST_WAIT_SECONDS = 60.0
_LONGEST_WAIT_SECONDS = 3600.0
# Of what waits, so much is shown to people.
_MOST_LINES = 20


@dataclass(frozen=True)
class Attempt:
    """A run that was asked for before.

    Args:
        first, last: its days, both included.
        digest: of the files of these days, as they were when it was asked for.
        ended_at: seconds since 1970; None while it waits or runs.
        outcome: how it ended, in a word.
    """

    run_id: str
    first: date
    last: date
    digest: str
    ended_at: float | None
    outcome: str

    def covers(self, day: date) -> bool:
        """Whether the run was asked for this day."""
        return self.first <= day <= self.last


@dataclass(frozen=True)
class Ask:
    """A run to ask for.

    Args:
        key: the same for two who decide at once, and never the same again.
    """

    first: date
    last: date
    digest: str
    key: str


@dataclass(frozen=True)
class Waiting:
    """Days that lack something and are not asked for now, and why not."""

    day: date
    why: str


@dataclass(frozen=True)
class Decision:
    """What to do now.

    Args:
        asks: the runs to ask for, the earliest days first.
        waiting: the days that have to wait.
    """

    asks: tuple[Ask, ...]
    waiting: tuple[Waiting, ...]


def decide(state: State, attempts: Sequence[Attempt], now: float) -> Decision:
    """What to ask for.

    Asked for are the days that lack a passed gate or a score, and those that were never delivered before.
    Files that came late, for a day that is done, are no reason to ask for it: a run takes everything that
    lies there, and what follows computes the days that it reaches. Only where there is
    nothing else to do, a run is asked for the newest such day.

    Args:
        attempts: the runs of before, newest first.
        now: seconds since 1970, by the clock that the runs' ends were taken from.
    """
    digest = cache(state.digest)
    late = state.pending.keys() & state.done
    waiting: dict[date, str] = {}
    ready: set[date] = set()
    for day in sorted({*state.pending, *state.lacking}):
        why = _why_not_yet(day, digest, attempts, now)
        if why is None:
            ready.add(day)
        else:
            waiting[day] = f"{_lacks(day, state)}; {why}"
    ranges = list(ranges_of(sorted(ready - late), waiting.keys()))
    late_ready = sorted(ready & late)
    if not ranges and late_ready and all(attempt.ended_at is not None for attempt in attempts):
        newest = late_ready.pop()
        ranges = [(newest, newest)]
    waiting |= {day: f"{_lacks(day, state)}; the next run takes it" for day in late_ready}
    previous = attempts[0].run_id if attempts else "nothing"
    return Decision(
        tuple(_ask(first, last, digest(first, last), previous) for first, last in ranges),
        tuple(Waiting(day, why) for day, why in sorted(waiting.items())),
    )


def _ask(first: date, last: date, digest: str, previous: str) -> Ask:
    return Ask(first, last, digest, f"{first} to {last}, files {digest}, after {previous}")


def _why_not_yet(
    day: date, digest: Callable[[date, date], str], attempts: Sequence[Attempt], now: float
) -> str | None:
    """Why a day is not asked for now; None when it is to be."""
    covering = [attempt for attempt in attempts if attempt.covers(day)]
    active = next((attempt for attempt in covering if attempt.ended_at is None), None)
    if active is not None:
        return f"run {active.run_id[:8]} waits or runs"
    # Attempts on other files than lie there now say nothing about these.
    same = list(takewhile(lambda each: each.digest == digest(each.first, each.last), covering))
    if not same or same[0].ended_at is None:
        return None
    again = same[0].ended_at + wait_seconds(len(same))
    if now >= again:
        return None
    times = "once" if len(same) == 1 else f"{len(same)} times"
    return (
        f"run {same[0].run_id[:8]} {same[0].outcome} (tried {times}), "
        f"asked for again after {datetime.fromtimestamp(again, UTC):%H:%M} UTC"
    )


def wait_seconds(attempts: int) -> float:
    """How long after its last attempt a day is left alone.

    >>> [wait_seconds(number) / 60 for number in (1, 2, 3, 6, 7, 2000)]
    [1.0, 2.0, 4.0, 32.0, 60.0, 60.0]
    """
    return min(_FIRST_WAIT_SECONDS * 2 ** min(attempts - 1, 10), _LONGEST_WAIT_SECONDS)


def _lacks(day: date, state: State) -> str:
    files = state.pending.get(day, ())
    if not files:
        return state.lacking[day]
    return f"{names_of(files, most=3)} not in bronze"


def listed(waiting: Iterable[Waiting]) -> str:
    """The days that wait, for people: a line for each, or for several in a row that wait for the same."""
    lines: list[str] = []
    for why, alike in groupby(waiting, key=lambda each: each.why):
        days = [each.day for each in alike]
        lines.append(f"{days[0]}: {why}" if len(days) == 1 else f"{days[0]} … {days[-1]}: {why}")
    more = [f"and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
    return "\n".join([*lines[:_MOST_LINES], *more])
