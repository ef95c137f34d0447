"""What changed in the inputs of a model since its last build read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.dbt.commit import Commit
from lakehouse.dbt.days import Ranges, dates_between, joined, parse_day, single_days
from lakehouse.dbt.graph import Graph, event_date, table_of
from lakehouse.dbt.increments import Change, Input, Seen, days_replaced, landed_between
from lakehouse.dbt.reads import Database, NotBuiltYetError, Reads
from lakehouse.delta.table import sql_text
from lakehouse.errors import LakehouseError


@dataclass(frozen=True)
class Ahead:
    """What a preview found that a model upstream would replace first."""

    everything: bool
    ranges: Ranges


class Changes:
    """Looks up what changed, in logs and, where these name batches, in the rows of these."""

    def __init__(self, database: Database, graph: Graph, reads: Reads) -> None:
        self._database = database
        self._graph = graph
        self._reads = reads

    def of(
        self, given: Input, noted: Mapping[str, Any] | None, readers_gate: str | None, ahead: Ahead | None
    ) -> Change:
        """What changed in an input.

        Args:
            noted: its version and time as the last build read it.
            ahead: for a preview.

        Raises:
            NotBuiltYetError: it does not exist.
        """
        before = Seen(int(noted["version"]), str(noted["at"])) if noted else None
        table = self._graph.table_of_input(given)
        kind = self._database.kind(table)
        if ahead is not None and (ahead.everything or kind is None):
            return Change(None, None)
        if kind is None:
            raise NotBuiltYetError(
                f"{table} does not exist yet",
                "ingest first: `lakehouse ingest`"
                if given.is_source
                else "build it first, or with what reads it: `dbt build --select +<model>`",
            )
        if kind == "view":
            # A view has no history to ask: a past state pinned by views is built whole.
            return Change(None, None)
        pinned = self._reads.pinned(table, readers_gate)
        commits = self._reads.commits(table, back_to=before.version if before else None)
        now = next((each for each in commits if pinned is None or each.version == pinned.version), None)
        if now is None:
            raise LakehouseError(
                f"the log of {table} no longer has {pinned}", "check it again, and release it"
            )
        seen = Seen.of(now)
        if before is None or not before.is_in(commits):
            return Change(seen, None)
        look = self._landed if given.is_source else self._replaced
        days = look(given, table, commits, before.version, seen.version)
        if ahead is not None and ahead.ranges and days is not None:
            days = joined([*days, *self._to_come(given, ahead.ranges)])
        return Change(seen, days)

    def _landed(self, given: Input, table: str, commits: Sequence[Commit], before: int, now: int) -> Ranges:
        landed = landed_between(commits, before, now)
        high, low = max(before, now), min(before, now)
        if not landed.is_named:
            # Another writer's commit says nothing: the rows that the older version had not are the new ones.
            rows = (
                f"select * from {table} version as of {high} "
                f"except all select * from {table} version as of {low}"
            )
        elif landed.batches:
            batches = ", ".join(map(sql_text, landed.batches))
            rows = f"select * from {table} version as of {high} where _batch_id in ({batches})"
        else:
            return landed.days
        return joined([*landed.days, *self._distinct_days(str(given.day), rows)])

    def _replaced(
        self, given: Input, table: str, commits: Sequence[Commit], before: int, now: int
    ) -> Ranges | None:
        days = days_replaced(commits, before, now)
        if not days or given.day is None:
            return days
        # Both as it was and as it is: a row that is gone reached the day that it spoke of.
        on = dates_between(event_date(self._graph.model(given.name)), days)
        rows = " union all ".join(
            f"select {given.day} as day from {table} version as of {version} where {on}"
            for version in (before, now)
        )
        return self._distinct_days("day", rows)

    def _to_come(self, given: Input, ranges: Ranges) -> Ranges:
        """The days that rows to come speak of, as a staging view shows them."""
        if given.day is None:
            return ranges
        if given.staged is None:
            raise LakehouseError(
                f"{given.name}: a preview needs `staged`, the view that shows its rows to come",
                "name it in the model's inputs",
            )
        view = table_of(self._graph.model(given.staged))
        on = dates_between(event_date(self._graph.model(given.name)), ranges)
        return self._distinct_days("day", f"select {given.day} as day from {view} where {on}")

    def _distinct_days(self, expression: str, rows: str) -> Ranges:
        found = self._database.query(
            f"select concat('on ', array_join(array_sort(collect_set(cast({expression} as string))), ',')) "
            f"as days from ({rows})"
        )
        text = str(found[0]["days"])[3:]
        return single_days(parse_day(day) for day in text.split(",")) if text else ()
