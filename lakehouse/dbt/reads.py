"""Which version of each table a build reads.

In production every input is read at a version that was resolved once: bronze at the version that its gate
passed, what another gate publishes at its release, all else at the version that is the newest when it is
first asked for: the build itself makes those, each before anyone reads it, and other builds wait meanwhile.
On other targets tables are read as they are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any, Protocol

from lakehouse.dbt.days import parse_day
from lakehouse.dbt.graph import Graph
from lakehouse.dbt.increments import Frontier, Seen
from lakehouse.dbt.notes import Commit, as_commits
from lakehouse.dbt.snapshot import Snapshot
from lakehouse.delta.table import TableVersion, local_commits, sql_text
from lakehouse.errors import LakehouseError
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.frontier import frontier_sql, superseded_sql
from lakehouse.ingest.source import DELIVERIES

# Looked at first; more where the version that was read last lies further back.
RECENT_COMMITS = 40


class Database(Protocol):
    """The engine, as dbt's connection reaches it."""

    def query(self, sql: str) -> Sequence[Mapping[str, Any]]:
        """The rows of a statement."""
        ...

    def kind(self, table: str) -> str | None:
        """`table`, `view`, or None where `schema.name` is neither."""
        ...


class NotBuiltYetError(LakehouseError):
    """Something that is read does not exist: nothing can be computed, but SQL can be looked at."""


@dataclass(frozen=True)
class Options:
    """How dbt was called.

    Args:
        pins: whether versions are pinned: on the target prod, by commands that read.
        builds: whether the command builds; others only look.
        bronze: the schema of the sources.
        time_zone: whose calendar days are computed.
        project: where dbt_project.yml lies.
    """

    pins: bool
    builds: bool
    bronze: str
    time_zone: str
    project: Path

    @property
    def ledger(self) -> str:
        """The ledger of deliveries."""
        return f"{self.bronze}.{DELIVERIES}"


class Reads:
    """The versions that one build reads; its models are built by several threads."""

    def __init__(
        self, database: Database, graph: Graph, options: Options, resolve: Callable[[], Snapshot]
    ) -> None:
        """Nothing is looked up yet.

        Args:
            resolve: looks up the snapshot of a production build.
        """
        self._database = database
        self._graph = graph
        self._options = options
        self._resolve = resolve
        self._lock = RLock()
        self._pins: dict[str, TableVersion] = {}

    @cached_property
    def snapshot(self) -> Snapshot:
        """The versions of what a production build does not make itself; resolved once."""
        return self._resolve()

    def sql(self, table: str, readers_gate: str | None) -> str:
        """A table as SQL reads it: where versions are pinned, at its own."""
        pinned = self.pinned(table, readers_gate)
        return table if pinned is None else f"{table} version as of {pinned.version}"

    def pinned(self, table: str, readers_gate: str | None) -> TableVersion | None:
        """The version at which a table is read; None where that is its newest.

        Raises:
            LakehouseError: a build would read what was never released, never passed its gate, or is missing.
        """
        if not self._options.pins:
            return None
        try:
            return self._pin(table, readers_gate)
        except LakehouseError:
            if self._options.builds:
                raise
            return None

    def _pin(self, table: str, readers_gate: str | None) -> TableVersion | None:
        gate = self._graph.gate_of(table)
        if gate is not None and gate != readers_gate:
            return self.snapshot.released(table)
        if self._database.kind(table) == "view":
            # It has no version of its own: one that no model makes is read as it is.
            return None
        with self._lock:
            if table not in self._pins:
                self._pins[table] = (
                    self.snapshot.passed(table)
                    if table.partition(".")[0] == self._options.bronze
                    else self._newest(table)
                )
            return self._pins[table]

    def _newest(self, table: str) -> TableVersion:
        if self._database.kind(table) is None:
            raise NotBuiltYetError(
                f"{table} does not exist yet",
                "build it first, or with what reads it: `dbt build --select +<model>`",
            )
        return TableVersion(table, "", self.commits(table, limit=1)[0].version)

    def commits(self, table: str, *, back_to: int | None = None, limit: int = RECENT_COMMITS) -> list[Commit]:
        """The latest commits of a table, newest first, back to a version at least."""
        found = self._read_commits(table, limit)
        if back_to is not None and len(found) == limit and found[-1].version > back_to:
            found = self._read_commits(table, None)
        return found

    def _read_commits(self, table: str, limit: int | None) -> list[Commit]:
        rows: Sequence[Mapping[str, Any]] | None = local_commits(table, limit)
        if rows is None:
            rows = self._database.query(f"describe history {table}" + (f" limit {limit}" if limit else ""))
        return as_commits(rows)

    def last_note(self, table: str) -> Mapping[str, Any]:
        """The note of the last commit that wrote rows; empty where that was not a build's."""
        for commit in self.commits(table):
            if commit.changes_rows:
                return commit.note or {}
        return {}

    # The ledger of deliveries ----------------------------------------------------------------------------

    @cached_property
    def frontier(self) -> Frontier | None:
        """Until when all live sources have told everything; None where one has not told anything."""
        declared = load_sources(self._options.project / "sources")
        live = sorted(name for name, source in declared.items() if source.arrives == "live")
        if not live or self._database.kind(self._options.ledger) is None:
            return None
        by_source = frontier_sql(self.sql(self._options.ledger, None), live, declared)
        day = f"to_date(from_utc_timestamp(until, '{self._options.time_zone}'))"
        rows = self._database.query(
            f"select concat('at ', until) as until, concat('on ', {day}) as day, source_count from ("
            "select min(delivered_until) as until, count(delivered_until) as source_count "
            f"from ({by_source}))"
        )
        if int(rows[0]["source_count"]) < len(live):
            return None
        return Frontier(str(rows[0]["until"])[3:], parse_day(str(rows[0]["day"])[3:]))

    def superseded(self, source: str, ledger: str, in_view: bool) -> str:
        """The batches of a source that later deliveries superseded, as SQL's `in` takes them.

        Args:
            ledger: as SQL reads it.
            in_view: a view outlives this build, so it asks the ledger each time.

        Returns:
            a select, or texts; empty without any.
        """
        if self._database.kind(self._options.ledger) is None:
            return ""
        if in_view:
            return f"select batch_id from ({superseded_sql(ledger)}) where source = {sql_text(source)}"
        return ", ".join(map(sql_text, self._superseded.get(source, ())))

    @cached_property
    def _superseded(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for row in self._database.query(superseded_sql(self.sql(self._options.ledger, None))):
            found.setdefault(str(row["source"]), []).append(str(row["batch_id"]))
        return {source: sorted(batches) for source, batches in found.items()}

    def ledger_seen(self) -> dict[str, Seen | None]:
        """The ledger's version, for notes: frontier and superseded batches come from it."""
        if self._database.kind(self._options.ledger) != "table":
            return {}
        pinned = self.pinned(self._options.ledger, None)
        commits = self.commits(self._options.ledger, back_to=pinned.version if pinned else None)
        version = pinned.version if pinned else commits[0].version
        return {f"bronze.{DELIVERIES}": Seen.of(each) for each in commits if each.version == version}
