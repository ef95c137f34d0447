"""Where the days of the graph stand: what was delivered for them, what of it has landed, what they lack."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date

import dagster as dg

from expectations.suite import GATES
from expectations.suites import suites_of
from lakehouse.dbt.manifest import current_models
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.delivery import Delivery
from lakehouse.ingest.listing import list_deliveries
from lakehouse.settings import settings
from ml.data.columns import columns_of
from ml.spec import load_spec, spec_names
from orchestration import records
from orchestration.partitions import graph_days
from orchestration.translator import table_key


@dataclass(frozen=True)
class State:
    """Where the days of the graph stand.

    Args:
        files: what lies in the landing zone, by local day.
        pending: what of it bronze does not hold, by local day.
        outside: what bronze does not hold of days that the graph does not have.
        done: the days that were delivered, have passed every gate, and are scored where days are.
        lacking: what each other day that something landed for lacks, for people.
        unlisted: the sources whose files nobody could list now, and why.
    """

    files: Mapping[date, Sequence[Delivery]]
    pending: Mapping[date, Sequence[Delivery]]
    outside: Sequence[Delivery]
    done: AbstractSet[date]
    lacking: Mapping[date, str]
    unlisted: Mapping[str, str] = field(default_factory=dict[str, str])

    def digest(self, first: date, last: date) -> str:
        """The files of some days as a short text, which changes when any of them does, landed or not."""
        return digest(each for day, found in self.files.items() if first <= day <= last for each in found)


def read_state(instance: dg.DagsterInstance) -> State:
    """Where the days of the graph stand now, without a statement of Spark."""
    first, last = graph_days()
    listed = list_deliveries(load_sources().values(), settings().landing_dir)
    pending = records.pending_deliveries(listed)
    delivered = {day for day in records.delivered_days() if first <= day <= last}
    lacking = _lacking(delivered, instance)
    lacking |= _unlooked({day for day in delivered if day not in lacking})
    return State(
        files=by_day(delivery for found in listed.deliveries.values() for delivery in found),
        pending=by_day(each for each in pending if first <= each.day <= last),
        outside=[each for each in pending if not first <= each.day <= last],
        done=delivered - lacking.keys(),
        lacking=lacking,
        unlisted=listed.unlisted,
    )


def by_day(deliveries: Iterable[Delivery]) -> dict[date, list[Delivery]]:
    """Deliveries by the local day that they are for."""
    found: defaultdict[date, list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        found[delivery.day].append(delivery)
    return dict(found)


def names_of(deliveries: Iterable[Delivery], most: int = 5) -> str:
    """The names of some files, and how many more there are."""
    names = [each.path.name for each in deliveries]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def digest(deliveries: Iterable[Delivery]) -> str:
    """Names, sizes and times of files as one short text, which changes when any of them does."""
    seen = hashlib.sha256()
    for delivery in sorted(deliveries, key=lambda each: (each.source, each.batch_id)):
        status = delivery.path.stat()
        seen.update(f"{delivery.batch_id} {status.st_size} {status.st_mtime_ns}\n".encode())
    return seen.hexdigest()[:16]


def _lacking(delivered: AbstractSet[date], instance: dg.DagsterInstance) -> dict[date, str]:
    """What delivered days lack: a gate that passed, or else a score."""
    lacking: dict[date, str] = {}
    for gate in GATES:
        looked_at = records.gate_results_by_day(
            {suite.table for suite in suites_of(gate) if suite.day is not None}
        )
        for day in delivered - lacking.keys():
            if day not in looked_at:
                lacking[day] = f"gate {gate} never looked at it"
            elif looked_at[day]:
                lacking[day] = f"gate {gate} failed on {', '.join(sorted(looked_at[day]))}"
    for name in spec_names():
        lacking |= _without_score(name, delivered - lacking.keys(), instance)
    return lacking


def _unlooked(done: AbstractSet[date]) -> dict[date, str]:
    """The newest day, where bronze has rows that its gate has not looked at.

    They landed by themselves: from a topic, a database or an API that was asked, or by `lakehouse ingest`.
    One run, of whatever day, looks at all of them, and what they reach is computed.
    """
    newest = max(done, default=None)
    if newest is None:
        return {}
    names = {suite.table for suite in suites_of("bronze")}
    looked = {
        name: state.last.table for name, state in records.gate_states(names).items() if state.last is not None
    }
    found = [
        f"{now}, and gate bronze looked at version {looked[name].version}"
        for name, now in sorted(records.newest_versions(looked).items())
        if now != looked[name]
    ]
    return {newest: f"bronze has {'; '.join(found)}"} if found else {}


def _without_score(spec_name: str, days: AbstractSet[date], instance: dg.DagsterInstance) -> dict[date, str]:
    """The days that were not scored.

    What was before scoring began is history, which models were trained on. Dagster's records say which days a
    run has scored: a day that had no row to score is in no table, and one row of a day there may be a score
    that was asked for online. Where the graph has scored nothing, it is the table that says it.
    """
    spec = load_spec(spec_name)
    tried = instance.get_materialized_partitions(table_key(spec.predictions_table))
    scored = {date.fromisoformat(each) for each in tried} or records.days_in(
        spec.predictions_table, columns_of(current_models(), spec.features_model).partition
    )
    return {day: f"no score of {spec_name}" for day in days - scored if scored and day > min(scored)}
