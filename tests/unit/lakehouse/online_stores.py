"""Both stores of features online, and pushes into them as `lakehouse.online.push` does them, in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from lakehouse.dbt.days import Ranges, single_days
from lakehouse.delta.publications import Release
from lakehouse.delta.table import TableVersion
from lakehouse.online.packing import RowSchema, key_text
from lakehouse.online.plan import plan_days, window
from lakehouse.online.push import carry_out
from lakehouse.online.state import OnlineWriter, PackedRow, Push, now_ms
from lakehouse.online.store import OnlineStore

TABLE = "features.flights"
SCHEMA = RowSchema((("flight_id", "string"), ("day", "date"), ("delay", "float")))
HOUR_MS = 3_600_000
DAYS = [date(2013, 1, day) for day in range(1, 7)]
# An entity → its day, as a number, and a value.
State = Mapping[str, tuple[int, float]]


@dataclass
class Store:
    """A store to write to and to read from, of a warehouse that nobody else has."""

    writer: OnlineWriter
    reader: OnlineStore

    def read(self, entities: list[str]) -> dict[str, float]:
        rows = self.reader.rows(TABLE, [{"flight_id": name} for name in entities])
        return {row.values["flight_id"]: row.values["delay"] for row in rows if row is not None}


def release(sequence: int, version: int) -> Release:
    table = TableVersion(TABLE, "a-table", version)
    return Release(table, f"release-{sequence}", sequence, datetime(2013, 1, 1, tzinfo=UTC))


def changed_between(versions: list[State], before: int, now: int) -> Ranges:
    """The days that commits between two versions replaced."""
    found: set[date] = set()
    for number in range(min(before, now), max(before, now)):
        older, newer = versions[number], versions[number + 1]
        for name in older.keys() | newer.keys():
            if older.get(name) != newer.get(name):
                found |= {DAYS[each[name][0]] for each in (older, newer) if name in each}
    return single_days(found)


def put_rows(
    writer: OnlineWriter, state: State, pushed: Release, stamp: str, days: list[str], ttl_ms: int = HOUR_MS
) -> int:
    """What Spark's tasks do: the rows of each day."""
    put = 0
    about = pushed.table
    push = Push(TABLE, about.table_id, about.version, pushed.release_id, stamp, ("flight_id",), "day", ttl_ms)
    for day in days:
        rows = [
            PackedRow(
                key_text({"flight_id": name}),
                day,
                push.wrapped(SCHEMA.pack_row({"flight_id": name, "day": DAYS[at], "delay": value})),
            )
            for name, (at, value) in sorted(state.items())
            if DAYS[at].isoformat() == day
        ]
        put += writer.put(push, SCHEMA, rows)
    return put


def push_to(
    writer: OnlineWriter, versions: list[State], pushed: Release, *, ttl_hours: float = 48, full: bool = False
) -> bool:
    """A push as `lakehouse.online.push` does it, of tables in memory; whether the release was noted."""
    state = versions[pushed.table.version]
    held = writer.held(TABLE)
    before = held.marker.version if held.marker else None
    changed = None if before is None else changed_between(versions, before, pushed.table.version)
    kept = window(max((DAYS[at] for at, _ in state.values()), default=None), ttl_hours)
    plan = plan_days(held, changed, kept, now_ms(), full=full)
    days = sorted(plan.days)
    write = lambda stamp: put_rows(writer, state, pushed, stamp, days)  # noqa: E731
    return carry_out(writer, pushed, held, plan, HOUR_MS, write) is not None


def in_window(state: State) -> dict[str, float]:
    """What a store should have of a state."""
    newest = max((at for at, _ in state.values()), default=0)
    return {name: value for name, (at, value) in state.items() if at >= newest - 2}


TWO_DAYS: list[State] = [{"a": (1, 0.5), "b": (2, 1.0)}, {"a": (1, 7.0)}]
