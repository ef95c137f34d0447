"""Where the days of the graph stand: what was delivered for them, what of it has landed, what they lack."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date

import dagster as dg

from expectations.suite import GATES
from expectations.suites import suites_of
from lakehouse.dbt.manifest import current_models
from lakehouse.ingest.delivery import Delivery
from lakehouse.ingest.source import load_sources
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
    """

    files: Mapping[date, Sequence[Delivery]]
    pending: Mapping[date, Sequence[Delivery]]
    outside: Sequence[Delivery]
    done: AbstractSet[date]
    lacking: Mapping[date, str]

    def digest(self, first: date, last: date) -> str:
        """The files of some days as a short text, which changes when any of them does, landed or not."""
        return digest(each for day, found in self.files.items() if first <= day <= last for each in found)


def read_state(instance: dg.DagsterInstance) -> State:
    """Where the days of the graph stand now, without a statement of Spark."""
    first, last = graph_days()
    pending = records.pending_deliveries()
    delivered = {day for day in records.delivered_days() if first <= day <= last}
    lacking = _lacking(delivered, instance)
    return State(
        files=by_day(
            delivery
            for source in load_sources().values()
            for delivery in source.deliveries(settings().landing_dir)
        ),
        pending=by_day(each for each in pending if first <= each.day <= last),
        outside=[each for each in pending if not first <= each.day <= last],
        done=delivered - lacking.keys(),
        lacking=lacking,
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


def _without_score(spec_name: str, days: AbstractSet[date], instance: dg.DagsterInstance) -> dict[date, str]:
    """The days that were not scored.

    What was before scoring began is history, which models were trained on. A day that had no row to score is
    in no table; that it was tried is in Dagster's records.
    """
    spec = load_spec(spec_name)
    scored = records.days_in(
        spec.predictions_table, columns_of(current_models(), spec.features_model).partition
    )
    if not scored:
        return {}
    missing = {day for day in days - scored if day > min(scored)}
    if not missing:
        return {}
    tried = instance.get_materialized_partitions(table_key(spec.predictions_table))
    return {day: f"no score of {spec_name}" for day in missing if day.isoformat() not in tried}
