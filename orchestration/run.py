"""Running the graph from the command line: one run for a selection and a range of days, in this process."""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg
from dagster import DagsterEvent, DagsterEventType
from dagster_shared.error import DagsterError

from lakehouse.errors import LakehouseError
from orchestration.instance import as_in_the_ui, open_instance
from orchestration.partitions import graph_days, range_tags
from orchestration.resources import FULL_REFRESH_TAG

# An asset that has nothing to do yet is observed instead of materialized; this metadata says why.
SKIPPED = "skipped"


@dataclass(frozen=True)
class StepSummary:
    """One step of a run."""

    name: str
    seconds: float


@dataclass(frozen=True)
class CheckSummary:
    """One check of a run."""

    asset: str
    name: str
    passed: bool


@dataclass(frozen=True)
class RunSummary:
    """What a run did.

    Args:
        materialized: assets, each with the number of its partitions (1 where it has none).
        metadata: the last materialization's metadata of each asset, as plain values.
        skipped: assets that had nothing to do yet, and why.
    """

    run_id: str
    seconds: float
    steps: list[StepSummary]
    materialized: dict[str, int]
    checks: list[CheckSummary]
    metadata: dict[str, dict[str, Any]]
    skipped: dict[str, str]


def materialize(
    selection: str,
    days: tuple[date, date] | None = None,
    run_config: Mapping[str, Any] | None = None,
    *,
    as_of: date | None = None,
    full_refresh: bool = False,
    definitions: dg.Definitions | None = None,
) -> RunSummary:
    """Materialize a selection of assets and run their checks, in one run.

    Args:
        selection: Dagster's selection syntax, for example `group:bronze`, `key:"models/*"+` or `*`.
        days: first and last day, both included, of the assets that are partitioned by day.
        run_config: Dagster's configuration of the run.
        as_of: the day as of which the selected models train; by default the day after `days`.
        full_refresh: make the selected dbt tables anew, as after a change of their SQL or columns.
        definitions: another graph than the project's.

    Raises:
        LakehouseError: the selection is empty or not understood, days are missing or out of range, or a step
            failed: then it names the step and says what it said.
    """
    if definitions is None:
        from orchestration.definitions import defs

        definitions = defs
    keys = resolve(definitions, selection)
    _require_days(definitions, keys, days)
    started = time.monotonic()
    # One event for a planned range of an asset, not one for each day: the UI then shows the days of a failed
    # run as missing instead of failed, and this command's error says which step failed.
    os.environ["DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS"] = "true"
    with as_in_the_ui(open_instance()) as instance:
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            asset_selection=keys,
            tags={
                **(range_tags(days) if days else {}),
                **({FULL_REFRESH_TAG: "true"} if full_refresh else {}),
            },
            run_config={"loggers": {"console": {}}, **_train_config(keys, as_of), **(run_config or {})},
            raise_on_error=False,
        )
    events = result.all_events
    if not result.success:
        raise failure(result.run_id, events)
    return _summary(result.run_id, time.monotonic() - started, events)


def _train_config(keys: Iterable[dg.AssetKey], as_of: date | None) -> dict[str, Any]:
    if as_of is None:
        return {}
    models = [key.to_python_identifier() for key in keys if key.path[0] == "models"]
    return {"ops": {model: {"config": {"as_of": as_of.isoformat()}} for model in models}}


def resolve(definitions: dg.Definitions, selection: str) -> list[dg.AssetKey]:
    """The assets of a selection that a run can make.

    Raises:
        LakehouseError: it is empty or not understood.
    """
    graph = definitions.resolve_asset_graph()
    groups = sorted(
        {node.group_name for node in graph.asset_nodes if node.is_materializable and node.group_name}
    )
    hint = f'for example `group:bronze`, `key:"features/*"` or `*`; the groups are {", ".join(groups)}'
    try:
        # A release is made whole: asking for one of its tables asks for all.
        asked = dg.AssetSelection.from_coercible(selection).required_multi_asset_neighbors()
        found = asked.resolve(graph, allow_missing=True)
    except DagsterError as error:
        raise LakehouseError(f"the selection {selection!r} is not understood: {error}", hint) from error
    keys = sorted(key for key in found if graph.has(key) and graph.get(key).is_materializable)
    if not keys:
        raise LakehouseError(f"the selection {selection!r} has no asset that can be materialized", hint)
    return keys


def _require_days(
    definitions: dg.Definitions, keys: list[dg.AssetKey], days: tuple[date, date] | None
) -> None:
    graph = definitions.resolve_asset_graph()
    daily = [key for key in keys if graph.get(key).is_partitioned]
    if days is None:
        if daily:
            raise LakehouseError(
                f"{daily[0].to_user_string()} (and {len(daily) - 1} more) is made by day; no day was given",
                "add --date DAY, or --from DAY --to DAY",
            )
        return
    first, last = days
    if first > last:
        raise LakehouseError(f"--from {first} is after --to {last}", "give the earlier day first")
    known = graph_days()
    for day in days:
        if not known[0] <= day <= known[1]:
            raise LakehouseError(
                f"{day} is not a day of the graph",
                f"it has {known[0]} to {known[1]}: LAKEHOUSE_FIRST_DAY and LAKEHOUSE_LAST_DAY change that",
            )


def failure(run_id: str, events: Sequence[DagsterEvent]) -> LakehouseError:
    """The first failed step of a run, with what it said, as an error for people."""
    step = next((event for event in events if event.event_type is DagsterEventType.STEP_FAILURE), None)
    seen = f"`lakehouse dev` shows run {run_id} with all its events"
    if step is None:
        return LakehouseError(f"run {run_id} failed before its first step: {_last_message(events)}", seen)
    error = step.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    said = error.message.strip() if error is not None else "no reason was given"
    for name in ("LakehouseError: ", "Failure: ", "DagsterDbtCliRuntimeError: "):
        said = said.partition(name)[2] or said
    what, _, hint = said.partition("\n  → ")
    return LakehouseError(
        f"step {(step.step_key or '').replace('__', '/')} failed: {what}",
        f"{hint}\n    ({seen})" if hint else seen,
    )


def _last_message(events: Sequence[DagsterEvent]) -> str:
    return next((event.message for event in reversed(events) if event.message), "no reason was given")


def _summary(run_id: str, seconds: float, events: Sequence[DagsterEvent]) -> RunSummary:
    steps: list[StepSummary] = []
    materialized: dict[str, int] = {}
    checks: list[CheckSummary] = []
    metadata: dict[str, dict[str, Any]] = {}
    skipped: dict[str, str] = {}
    for event in events:
        if event.event_type is DagsterEventType.STEP_SUCCESS:
            took = event.step_success_data.duration_ms / 1000
            steps.append(StepSummary((event.step_key or "").replace("__", "/"), took))
        elif event.event_type is DagsterEventType.ASSET_MATERIALIZATION:
            made = event.step_materialization_data.materialization
            name = made.asset_key.to_user_string()
            materialized[name] = materialized.get(name, 0) + 1
            metadata[name] = {key: value.value for key, value in made.metadata.items()}
        elif event.event_type is DagsterEventType.ASSET_OBSERVATION:
            observed = event.asset_observation_data.asset_observation
            if SKIPPED in observed.metadata:
                skipped[observed.asset_key.to_user_string()] = str(observed.metadata[SKIPPED].value)
        elif event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
            checked = event.asset_check_evaluation_data
            checks.append(
                CheckSummary(checked.asset_key.to_user_string(), checked.check_name, checked.passed)
            )
    return RunSummary(run_id, seconds, steps, materialized, checks, metadata, skipped)
