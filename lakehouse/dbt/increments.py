"""Which days of a model's table a build computes: the one place where that is decided.

A model's config says what it reads, and how far back a row of a day looks in it:

    inputs=[
        {'source': 'flight_schedule', 'day': 'flight_date', 'lookback': 1},
        {'model': 'int_flight_events', 'day': 'flight_date'},
        {'source': 'airports', 'day': local_date('published_at'), 'lookback': 'all'},
    ]

    source, model  what the model reads; nothing else may change its rows
    schema         of a source: dbt's name of it, where that is not `bronze`
    day            SQL over the input, and over `as`, for the day of a row; of a model its `event_date`
    lookback       days before its own that a row reads too (0 by default); 'all' for all earlier ones
    as             the staging model through which a source is read
    time           a stored timestamp within two days of `day`: files of other days are skipped by it
    staged         for a preview: the view in which the model's rows to come can be seen, where `day` is given

A day of an input therefore reaches the model's days from itself to `lookback` days later. The days to compute
are those reached by what changed in the inputs since the versions that the last build noted: days of new
batches, and days that the input tables' own commits replaced. Nothing else asks for a day, and where nothing
changed nothing is committed. An input that was recreated, or changed by anything but its model, reaches
everything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from lakehouse.dbt.commit import Commit, instant
from lakehouse.dbt.days import Ranges, as_text, count_days, cut, joined, parse_day, shifted
from lakehouse.errors import LakehouseError

STRATEGY = "replace_where"
_KEYS = frozenset({"source", "model", "schema", "day", "lookback", "as", "time", "staged"})


@dataclass(frozen=True)
class Input:
    """What a model reads; see above.

    Args:
        name: the model's name, or `source.table` as dbt names it: also in notes.
        lookback: None for all earlier days.
    """

    name: str
    is_source: bool
    day: str | None = None
    lookback: int | None = 0
    read_as: str | None = None
    time: str | None = None
    staged: str | None = None

    @property
    def ref(self) -> str:
        """The name by which the model's SQL refers to it."""
        return self.read_as or self.name.rpartition(".")[2]


def inputs_of(model: str, config: Mapping[str, Any]) -> tuple[Input, ...]:
    """The inputs that a model's config declares.

    Raises:
        LakehouseError: there are none, or one is not as documented.
    """
    declared: Sequence[Mapping[str, Any]] = config.get("inputs") or ()
    if not declared:
        raise LakehouseError(
            f"{model}: the strategy {STRATEGY} needs `inputs` in the config: what the model reads",
            "docs/dbt.md, “How increments work”, has an example",
        )
    return tuple(_input(model, each) for each in declared)


def _input(model: str, declared: Mapping[str, Any]) -> Input:
    lookback = declared.get("lookback", 0)
    problem = None
    if unknown := sorted(set(declared) - _KEYS):
        problem = f"has {', '.join(unknown)}, which is not a key of an input"
    elif ("source" in declared) == ("model" in declared):
        problem = "names a source or a model: one of the two"
    elif lookback != "all" and not (isinstance(lookback, int) and lookback >= 0):
        problem = f"has lookback {lookback!r}: a number of days from 0 on, or 'all'"
    elif "source" in declared and "day" not in declared:
        problem = "is a source, and says no `day`: SQL for the day of a row"
    if problem is not None:
        raise LakehouseError(
            f"{model}: input {dict(declared)} {problem}", "docs/dbt.md, “How increments work”, has all keys"
        )
    is_source = "source" in declared
    name = f"{declared.get('schema', 'bronze')}.{declared['source']}" if is_source else declared["model"]
    return Input(
        name=str(name),
        is_source=is_source,
        day=declared.get("day"),
        lookback=None if lookback == "all" else int(lookback),
        read_as=declared.get("as"),
        time=declared.get("time"),
        staged=declared.get("staged"),
    )


@dataclass(frozen=True)
class Seen:
    """A version of an input as a build read it; its time tells the table from another one of its name."""

    version: int
    at: str

    @classmethod
    def of(cls, commit: Commit) -> "Seen":
        """A commit as it is noted."""
        return cls(commit.version, f"{commit.at:%Y-%m-%d %H:%M:%S.%f}")

    def is_in(self, commits: Sequence[Commit]) -> bool:
        """Whether a table's log has this version."""
        return any(each.version == self.version and each.at == instant(self.at) for each in commits)


@dataclass(frozen=True)
class Frontier:
    """Until when all live sources have told everything.

    Args:
        until: UTC, as Spark casts it to text.
        day: the local day of it.
    """

    until: str
    day: date


@dataclass(frozen=True)
class Change:
    """What changed in an input since a build read it.

    Args:
        seen: the version that is read now; None for a view, which has none.
        days: the input's days that changed; None where that may be any.
    """

    seen: Seen | None
    days: Ranges | None


@dataclass(frozen=True)
class DayPlan:
    """What a build computes of a model's table.

    Args:
        everything: all of its days; else those of `ranges`, which may be none.
        because: each input that asks for it, with the number of its days or "all".
        read: the version of each input that is read.
        sql: the checksum of the model's SQL.
        built_with: the checksum of the SQL that made the table's rows, where that is another.
    """

    everything: bool
    ranges: Ranges = ()
    because: Mapping[str, int | str] = field(default_factory=dict[str, "int | str"])
    read: Mapping[str, Seen | None] = field(default_factory=dict[str, "Seen | None"])
    frontier: Frontier | None = None
    sql: str = ""
    built_with: str | None = None

    @property
    def is_idle(self) -> bool:
        """Nothing is computed, and nothing committed."""
        return not self.everything and not self.ranges

    @property
    def note(self) -> dict[str, Any]:
        """What the commit notes."""
        return {
            "days": "all" if self.everything else as_text(self.ranges),
            "read": {
                name: None if seen is None else {"version": seen.version, "at": seen.at}
                for name, seen in self.read.items()
            },
            "frontier": self.frontier
            and {"until": self.frontier.until, "day": self.frontier.day.isoformat()},
            # Rows that older SQL made stay what they are, until all are made again.
            "sql": self.sql if self.everything or self.built_with is None else self.built_with,
        }


def plan_days(
    note: Mapping[str, Any],
    changes: Mapping[Input, Change],
    *,
    frontier: Frontier | None = None,
    asked: Ranges = (),
    sql: str = "",
) -> DayPlan:
    """Which days to compute.

    Args:
        note: of the last commit that wrote rows; empty where that was not a build's, or there is no table.
        changes: of each input since the versions in `note`.
        frontier: of deliveries, where the model keeps to it.
        asked: days to compute besides.
        sql: the checksum of the model's SQL.
    """
    noted = note.get("frontier")
    everything = not note or (frontier is not None and noted is None)
    days: list[tuple[date, date]] = list(asked)
    because: dict[str, int | str] = {"asked": count_days(asked)} if asked else {}
    last_day = date.max
    if frontier is not None and noted is not None:
        before = parse_day(noted["day"])
        # A frontier moves back when a gap is found: rows beyond it are there, and have to go.
        passed = (min(before, frontier.day), max(before, frontier.day))
        last_day = shifted(passed[1], 1)
        if noted["until"] != frontier.until:
            days.append(passed)
            because["frontier of deliveries"] = count_days([passed])
    for given, change in changes.items():
        if change.days is None:
            because[given.name] = "all"
            everything = True
        elif change.days:
            because[given.name] = count_days(change.days)
            days += _reached(given, change.days, frontier)
    # Later days have no row yet: they are reached when the frontier gets there.
    ranges = joined(cut(days, last_day))
    built_with = note.get("sql")
    return DayPlan(
        everything=everything,
        ranges=() if everything else ranges,
        because=because,
        read={given.name: change.seen for given, change in changes.items()},
        frontier=frontier,
        sql=sql,
        built_with=built_with if built_with != sql and not everything else None,
    )


def _reached(given: Input, days: Ranges, frontier: Frontier | None) -> Ranges:
    """The days of the model that days of an input reach."""
    if given.lookback is None:
        last = date.max if frontier is None else shifted(frontier.day, 1)
        return ((min(first for first, _ in days), last),) if days[0][0] <= last else ()
    return tuple((first, shifted(last, given.lookback)) for first, last in days)


@dataclass(frozen=True)
class Landed:
    """What the commits of a source since a version brought.

    Args:
        batches: the batches that they name.
        days: the days that they name.
        is_named: whether each says what it brought; else its rows have to be asked.
    """

    batches: tuple[str, ...]
    days: Ranges
    is_named: bool


def _between(commits: Sequence[Commit], one: int, other: int) -> list[Commit]:
    """The commits that changed rows after the earlier version, up to the later one.

    A version that was taken back lies before the one that was read: what came in between changed as well.
    """
    low, high = min(one, other), max(one, other)
    return [each for each in commits if low < each.version <= high and each.changes_rows]


def landed_between(commits: Sequence[Commit], before: int, now: int) -> Landed:
    """What a source's commits brought between two versions."""
    found = _between(commits, before, now)
    ranges = [each for commit in found if commit.batches is None for each in commit.days or ()]
    return Landed(
        batches=tuple(sorted({batch for commit in found for batch in commit.batches or ()})),
        days=joined(ranges),
        is_named=all(commit.batches is not None or commit.days is not None for commit in found),
    )


def days_replaced(commits: Sequence[Commit], before: int, now: int) -> Ranges | None:
    """The days that a model's builds replaced between two versions; None where that may be any."""
    found = _between(commits, before, now)
    if any(commit.note is None or commit.days is None for commit in found):
        return None
    return joined(each for commit in found for each in commit.days or ())
