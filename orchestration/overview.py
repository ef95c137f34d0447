"""How things stand, for a first page: gates, champions, the newest scores, runs.

It is read from files and from MLflow's and Dagster's databases: no statement of Spark is run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import dagster as dg

from expectations.suite import GATES, Gate
from expectations.suites import suites_of
from lakehouse.addresses import data_docs, mlflow_model
from lakehouse.dbt.manifest import current_models
from ml.data.columns import columns_of
from ml.spec import Spec, load_spec, spec_names
from orchestration import records

_RUNS = 5


@dataclass(frozen=True)
class GateStand:
    """A gate as it stands.

    Args:
        last_day: the newest day that it looked at; None where it never did.
        failing: tables that stop what follows, each with the path of its page in Data Docs.
    """

    name: Gate
    last_day: date | None
    failing: Sequence[tuple[str, str | None]]


@dataclass(frozen=True)
class ModelStand:
    """A model that scores.

    Args:
        champion: its version; None where there is none yet.
        page: the path of that version's page.
        scored_day: the newest day with scores; None where there is none.
        mean_score: of that day, by whatever version scored it.
    """

    name: str
    champion: str | None
    page: str | None
    scored_day: date | None
    rows: int
    mean_score: float | None


@dataclass(frozen=True)
class RunStand:
    """A run of the graph."""

    run_id: str
    job: str
    status: str
    started_at: datetime | None
    asked_by: str


@dataclass(frozen=True)
class Automatic:
    """A sensor or schedule, as its last tick left it.

    Args:
        said: why it asked for nothing, or what it asked for.
    """

    name: str
    is_on: bool
    said: str


@dataclass(frozen=True)
class Overview:
    """How things stand."""

    gates: Sequence[GateStand]
    models: Sequence[ModelStand]
    runs: Sequence[RunStand]
    automation: Sequence[Automatic]


def overview(instance: dg.DagsterInstance) -> Overview:
    """How things stand now; takes a fraction of a second."""
    return Overview(
        gates=[_gate(gate) for gate in GATES],
        models=[_model(load_spec(name)) for name in spec_names()],
        runs=[_run(record) for record in instance.get_run_records(limit=_RUNS)],
        automation=_automation(instance),
    )


def _gate(gate: Gate) -> GateStand:
    states = records.gate_states({suite.table for suite in suites_of(gate)})
    days = [day for state in states.values() for day in state.days if day is not None]
    stopping = {name: state.stopping[-1] for name, state in states.items() if state.stopping}
    return GateStand(
        name=gate,
        last_day=max(days, default=None),
        failing=[
            (name, data_docs(row.docs_url) if row.docs_url else None)
            for name, row in sorted(stopping.items())
        ],
    )


def _model(spec: Spec) -> ModelStand:
    # MLflow takes seconds to import, and whoever only looks at the graph doesn't need it.
    from ml.tracking.registry import CHAMPION, aliases

    champion = aliases(spec.registered_model).get(CHAMPION)
    day = columns_of(current_models(), spec.features_model).partition
    newest = max(records.days_in(spec.predictions_table, day), default=None)
    scores = records.values_of_day(spec.predictions_table, day, newest, "score") if newest else []
    return ModelStand(
        name=spec.name,
        champion=champion,
        page=mlflow_model(spec.registered_model, champion) if champion else None,
        scored_day=newest,
        rows=len(scores),
        mean_score=_mean(scores),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _run(record: dg.RunRecord) -> RunStand:
    run = record.dagster_run
    return RunStand(
        run_id=run.run_id,
        job="assets" if run.job_name.startswith("__") else run.job_name,
        status=run.status.value,
        started_at=datetime.fromtimestamp(record.start_time, UTC) if record.start_time else None,
        asked_by=run.tags.get("dagster/sensor_name") or run.tags.get("dagster/schedule_name") or "a person",
    )


def _automation(instance: dg.DagsterInstance) -> list[Automatic]:
    found: list[Automatic] = []
    for state in instance.all_instigator_state():
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
        said = ""
        if ticks:
            tick = ticks[0]
            asked = f"asked for {len(tick.run_ids)} runs" if tick.run_ids else ""
            said = tick.skip_reason or (tick.error.message if tick.error else asked)
        found.append(Automatic(state.instigator_name, state.is_running, said))
    return sorted(found, key=lambda each: each.name)
