"""A dbt invocation as its macros ask it: which version of each input to read, and which days to compute."""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from threading import RLock
from typing import Any

from lakehouse.dbt.changes import Ahead, Changes
from lakehouse.dbt.checksum import sql_checksum
from lakehouse.dbt.days import (
    Ranges,
    count_days,
    dates_between,
    from_text,
    instants_between,
    parse_day,
    shifted,
    single_days,
    widened,
)
from lakehouse.dbt.graph import Graph, Node, event_date, gate_of, table_of
from lakehouse.dbt.increments import STRATEGY, DayPlan, Input, inputs_of, plan_days
from lakehouse.dbt.reads import Database, NotBuiltYetError, Options, Reads
from lakehouse.delta.files import local_description
from lakehouse.errors import LakehouseError
from lakehouse.production import production

# An input's `time` lies within so many days of the day of its row.
TIME_MARGIN_DAYS = 2


@dataclass(frozen=True)
class Asked:
    """What dbt was asked for.

    Args:
        command: run, build, compile, …
        empty: `--empty`.
        days: to compute besides those that are reached.
    """

    command: str
    empty: bool
    days: Ranges


def asked_days(first: Any, last: Any) -> Ranges:
    """The days of the vars `start_date` and `end_date`.

    Raises:
        LakehouseError: one of them is missing, is not a date, or the end is before the start.
    """
    if not first and not last:
        return ()
    hint = "--vars '{start_date: 2013-09-01, end_date: 2013-09-07}'"
    if not first or not last:
        raise LakehouseError("start_date and end_date go together: one of them is missing", hint)
    try:
        start, end = date.fromisoformat(str(first)), date.fromisoformat(str(last))
    except ValueError:
        raise LakehouseError(f"start_date {first}, end_date {last}: not dates YYYY-MM-DD", hint) from None
    if start > end:
        raise LakehouseError(f"{first} to {last} is not a valid date range", hint)
    return ((start, end),)


class Build:
    """One invocation of dbt; several threads build its models."""

    def __init__(
        self,
        database: Database,
        graph: Graph,
        reads: Reads,
        macros: Mapping[str, Mapping[str, Any]],
        options: Options,
        asked: Asked,
    ) -> None:
        """Nothing is looked up yet.

        Args:
            macros: of all packages, see `sql_checksum`.
        """
        self._database = database
        self._graph = graph
        self._reads = reads
        self._changes = Changes(database, graph, reads)
        self._macros = macros
        self._options = options
        self._asked = asked
        self._lock = RLock()
        self._plans: dict[str, DayPlan] = {}
        self._lock_held = ExitStack()

    def begin(self) -> None:
        """Wait for others that build production, and resolve what all of this build reads.

        The lock is given back by `end`, or by the kernel when this process dies.
        """
        if self._options.pins and self._options.builds:
            self._lock_held.enter_context(production(f"dbt {self._asked.command} --target prod", _say))
            _ = self._reads.snapshot

    def end(self) -> None:
        """Let others build."""
        self._lock_held.close()

    def table(self, schema: str, name: str, readers_gate: str | None = None) -> str:
        """A table as a model's SQL reads it."""
        return self._reads.sql(f"{schema}.{name}", readers_gate)

    def view_sql(self, schema: str, name: str) -> str | None:
        """The raw SQL of a model that is a view; None for anything else.

        A production build reads what a view would show at the versions of this build, not the view.
        """
        node = self._graph.model_of(f"{schema}.{name}")
        return str(node["raw_code"]) if node and node["config"]["materialized"] == "view" else None

    def superseded(self, source: str, ledger: str, in_view: bool) -> str:
        """See `Reads.superseded`."""
        return self._reads.superseded(source, ledger, in_view)

    def delivered_until(self) -> str:
        """The frontier of deliveries as SQL."""
        frontier = self._reads.frontier
        return "cast(null as timestamp)" if frontier is None else f"timestamp'{frontier.until}'"

    def days_of(self, model: Node, full_refresh: bool, ref: str, reads_back: int = 0) -> str:
        """The condition by which a model's SQL reads an input: its days, and those before that they look at.

        Args:
            ref: the input as the SQL names it.
            reads_back: so many days before its own the SQL reads.

        Raises:
            LakehouseError: the config declares no such input, or fewer days.
        """
        given = next((each for each in _inputs(model) if each.ref == ref), None)
        if given is None:
            raise LakehouseError(
                f"{model['name']} reads days of {ref}, which is not among its inputs",
                "declare it in the config: inputs=[{'model': '…'}]",
            )
        if given.lookback is not None and given.lookback < reads_back:
            raise LakehouseError(
                f"{model['name']} reads {reads_back} days back in {ref}, but its input says {given.lookback}",
                f"declare 'lookback': {reads_back} in the config",
            )
        plan = self._plan_of(model, full_refresh)
        if plan.everything or given.lookback is None:
            return "true"
        ranges = widened(plan.ranges, before=given.lookback)
        day = given.day if given.day is not None else event_date(self._graph.model(given.name))
        conditions = [dates_between(day, ranges)]
        if given.time is not None:
            wider = widened(ranges, TIME_MARGIN_DAYS, TIME_MARGIN_DAYS)
            conditions.append(instants_between(given.time, wider, self._options.time_zone))
        return " and ".join(conditions)

    def in_days(self, model: Node, full_refresh: bool, column: str) -> str:
        """The condition that a date is one of the days that are computed."""
        plan = self._plan_of(model, full_refresh)
        return "true" if plan.everything else dates_between(column, plan.ranges)

    def first_day(self, model: Node, full_refresh: bool) -> str | None:
        """The first of the days that are computed; None where all are, or none is."""
        plan = self._plan_of(model, full_refresh)
        return None if plan.everything or plan.is_idle else plan.ranges[0][0].isoformat()

    def plan(self, model: Node, full_refresh: bool) -> dict[str, Any]:
        """What is computed of a model, for its materialization."""
        plan = self._plan_of(model, full_refresh)
        columns = self._columns(model)
        is_same = not plan.everything and self._reads.last_note(table_of(model)).get("columns") == columns
        return {
            "is_idle": plan.is_idle,
            "condition": "true" if plan.everything else dates_between(event_date(model), plan.ranges),
            # What `--empty` makes has no note: the next build computes all of it.
            "note": None
            if self._asked.empty
            else json.dumps({**plan.note, "columns": columns}, sort_keys=True),
            "summary": _summary(plan),
            "sql_changed": plan.built_with is not None,
            # The same SQL made the table, from inputs of the same columns.
            "columns_known": plan.built_with is None
            and not plan.everything
            and not self._asked.empty
            and (plan.is_idle or (columns is not None and is_same)),
        }

    def _columns(self, model: Node) -> str | None:
        """A checksum of a table's columns and those of all that it reads; None where no log tells them."""
        told: list[tuple[str, str, str]] = []
        inputs = map(self._graph.table_of_input, _inputs(model))
        for name in (table_of(model), *inputs, *self._graph.seeds_of(model)):
            description = local_description(name)
            if description is None:
                return None
            told += [(name, column.name, column.type) for column in description.columns]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    def days_built(self, schema: str, name: str) -> str:
        """The condition that a row is of a day that the table's last commit replaced."""
        node = self._graph.model_of(f"{schema}.{name}")
        days = self._reads.last_note(f"{schema}.{name}").get("days", "all")
        return "true" if days == "all" or node is None else dates_between(event_date(node), from_text(days))

    def _plan_of(self, model: Node, full_refresh: bool) -> DayPlan:
        key = str(model["unique_id"])
        with self._lock:
            found = self._plans.get(key)
        if found is None:
            found = self._planned(model, full_refresh)
            with self._lock:
                self._plans[key] = found
        return found

    def _planned(self, model: Node, full_refresh: bool) -> DayPlan:
        if self._asked.empty:
            return DayPlan(everything=False)
        if self._asked.command == "show":
            return self._newest_day(model)
        if self._options.builds:
            return self.plan_of(model, full_refresh)
        if self._asked.command != "compile":
            return DayPlan(everything=True)
        try:
            return self.plan_of(model, full_refresh)
        except NotBuiltYetError:
            return DayPlan(everything=True)

    def _newest_day(self, model: Node) -> DayPlan:
        """A few rows to look at: of the last day that a build computed, and of which all is told."""
        table = table_of(model)
        days = self._reads.last_note(table).get("days", "all") if self._database.kind(table) else "all"
        frontier = self._reads.frontier
        ends = [parse_day(days[-1][1])] if days != "all" and days else []
        ends += [shifted(frontier.day, -1)] if frontier else []
        return DayPlan(not ends, single_days([min(ends)]) if ends else ())

    def plan_of(self, model: Node, full_refresh: bool, ahead: Mapping[str, Ahead] | None = None) -> DayPlan:
        """Which of its days a build of a model computes.

        Args:
            ahead: for a preview, what the models upstream would replace first, by name.

        Raises:
            LakehouseError: an input does not exist, or nothing was delivered yet.
        """
        table, config = table_of(model), model["config"]
        frontier = self._reads.frontier if config.get("until_frontier") else None
        if config.get("until_frontier") and frontier is None:
            raise NotBuiltYetError(
                "a live source has not delivered anything yet, so nothing is due",
                "ingest first: `lakehouse ingest`; for production, `lakehouse check bronze` too",
            )
        exists = self._database.kind(table) == "table"
        note = self._reads.last_note(table) if exists and not full_refresh else {}
        noted: Mapping[str, Any] = note.get("read", {})
        changes = {
            given: self._changes.of(
                given, noted.get(given.name), gate_of(model), (ahead or {}).get(given.name)
            )
            for given in _inputs(model)
        }
        sql = sql_checksum(str(model["unique_id"]), self._graph.raw, self._macros)
        plan = plan_days(note, changes, frontier=frontier, asked=self._asked.days, sql=sql)
        return replace(plan, read={**plan.read, **self._reads.ledger_seen()})

    def preview(self, models: Sequence[str], full_refresh: bool) -> list[dict[str, Any]]:
        """What a build of these models would do; nothing is built.

        In production it is assumed that gated tables pass their checks.

        Args:
            models: unique ids, each after those that it reads.
        """
        ahead: dict[str, Ahead] = {}
        shown: list[dict[str, Any]] = []
        for node in map(self._graph.node, models):
            builds = str(node["config"]["materialized"])
            plan = None
            if builds == "incremental" and node["config"].get("incremental_strategy") == STRATEGY:
                plan = self.plan_of(node, full_refresh, ahead)
                ahead[str(node["name"])] = Ahead(plan.everything, plan.ranges)
                exists = self._database.kind(table_of(node)) is not None
                builds = "create" if not exists else "replace" if full_refresh else STRATEGY
            shown.append(_entry(node, builds, plan))
        return shown


def _entry(node: Node, builds: str, plan: DayPlan | None) -> dict[str, Any]:
    return {
        "model": node["name"],
        "table": table_of(node),
        "builds": builds,
        "day": None if plan is None else event_date(node),
        "everything": plan is not None and plan.everything,
        "ranges": [] if plan is None or plan.everything else plan.note["days"],
        "because": {} if plan is None else dict(plan.because),
        "sql_changed": plan is not None and plan.built_with is not None,
    }


def _say(line: str) -> None:
    """On standard error: dagster-dbt reads dbt's events from standard output."""
    sys.stderr.write(f"{line}\n")


def _inputs(model: Node) -> tuple[Input, ...]:
    return inputs_of(str(model["name"]), model["config"])


def _summary(plan: DayPlan) -> str:
    """What a build did, for dbt's line of the model."""
    if plan.everything:
        return "all days"
    if plan.is_idle:
        return "no new day"
    first, last = plan.ranges[0][0], plan.ranges[-1][1]
    days = count_days(plan.ranges)
    return f"{first}" if days == 1 else f"{days} days, {first} to {last}"
