"""What runs by itself where a daemon runs: days that lack something. LAKEHOUSE_AUTOMATION=false turns it
off."""

import time
from collections.abc import Callable, Sequence
from datetime import date

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.delivery import Delivery
from lakehouse.settings import settings
from orchestration.asking import Attempt, decide, listed
from orchestration.assets.landing import observation
from orchestration.partitions import RANGE_END_TAG, RANGE_START_TAG, graph_days, range_tags
from orchestration.state import State, names_of, read_state

# Everything from bronze to the quality of the scores, but the model: a day's data goes through it each day.
DAILY = dg.AssetSelection.all() - dg.AssetSelection.groups("landing", "models")

# What a run was asked for on: the files of its days, as they were then.
DELIVERIES_TAG = "lakehouse/deliveries"
ASKED_BY_TAG = "lakehouse/asked_by"
_SENSOR = "new_deliveries"
# Runs of before that are looked at: the back-off of a day that was tried longer ago begins again.
_LOOK_BACK = 200

daily_job = dg.define_asset_job(
    "daily", DAILY, description="A day, or a range of days, from bronze to scores and their quality."
)
retrain_job = dg.define_asset_job(
    "retrain",
    dg.AssetSelection.groups("models", "predictions"),
    description="Train each spec as of the day after the run's, promote what is better, score the day.",
    # A training is asked for once. Days are asked for again by their sensor, and not by Dagster as well.
    tags={"dagster/max_retries": "2"},
)


# A model that somebody trained by hand is compared with the champion, as one that was trained by the graph.
follow_models = dg.AutomationConditionSensorDefinition(
    "follow_models",
    target=dg.AssetSelection.groups("models"),
    default_status=(
        dg.DefaultSensorStatus.RUNNING if settings().automation else dg.DefaultSensorStatus.STOPPED
    ),
    description="Promotes what is better once a model was trained, whoever trained it in the graph.",
)


@dg.sensor(
    name=_SENSOR,
    job=daily_job,
    minimum_interval_seconds=60,
    default_status=(
        dg.DefaultSensorStatus.RUNNING if settings().automation else dg.DefaultSensorStatus.STOPPED
    ),
    description=(
        "Asks for the days that lack something: files that are not in bronze, a gate that passed, a score. "
        "A day whose run failed is asked for again, after 1, 2, 4 … and at last 60 minutes."
    ),
)
def new_deliveries(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Ask for a run for each range of days that lack something; see `orchestration.asking`."""
    return look(context.instance, time.time(), context.log.info)


def look(
    instance: dg.DagsterInstance, now: float, log: Callable[[str], None] = lambda _: None
) -> dg.SensorResult | dg.SkipReason:
    """What the sensor asks for, or why it asks for nothing.

    Args:
        now: seconds since 1970.
        log: is told what waits beside the runs that are asked for.
    """
    state = read_state(instance)
    decision = decide(state, attempts(instance), now)
    unlisted = "\n".join(f"{name}: {why}" for name, why in sorted(state.unlisted.items()))
    said = "\n".join(filter(None, [unlisted, listed(decision.waiting), describe_outside(state.outside)]))
    observe_changes(instance, state)
    if not decision.asks:
        return dg.SkipReason(said or "nothing to do: every delivered day is in bronze, checked and scored")
    if said:
        log(said)
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=ask.key,
                tags={
                    **range_tags((ask.first, ask.last)),
                    ASKED_BY_TAG: _SENSOR,
                    DELIVERIES_TAG: ask.digest,
                },
            )
            for ask in decision.asks
        ],
    )


def observe_changes(instance: dg.DagsterInstance, state: State) -> None:
    """Tell what lies in the landing zone, of each source whose files are not what was observed last.

    The sensor has listed the folders anyway, so that no run is needed to say so.
    """
    for source in load_sources().values():
        if source.files is None or source.name in state.unlisted:
            continue
        files = [each for day in state.files.values() for each in day if each.source == source.name]
        seen = observation(source.name, files)
        last = instance.fetch_observations(seen.asset_key, limit=1).records
        before = last[0].asset_observation if last else None
        if before is None or (before.tags or {}).get(DATA_VERSION_TAG) != (seen.tags or {})[DATA_VERSION_TAG]:
            instance.report_runless_asset_event(seen)


def attempts(instance: dg.DagsterInstance) -> list[Attempt]:
    """The runs that the sensor has asked for, newest first, by Dagster's own records."""
    records = instance.get_run_records(dg.RunsFilter(tags={ASKED_BY_TAG: _SENSOR}), limit=_LOOK_BACK)
    # A run that someone started again with other days keeps some of the tags.
    needed = {RANGE_START_TAG, RANGE_END_TAG, DELIVERIES_TAG}
    return [_attempt(record) for record in records if needed <= record.dagster_run.tags.keys()]


def _attempt(record: dg.RunRecord) -> Attempt:
    run = record.dagster_run
    return Attempt(
        run_id=run.run_id,
        first=date.fromisoformat(run.tags[RANGE_START_TAG]),
        last=date.fromisoformat(run.tags[RANGE_END_TAG]),
        digest=run.tags[DELIVERIES_TAG],
        # A run that could not be started has an end, but was never at work.
        ended_at=(record.end_time or record.update_timestamp.timestamp()) if run.is_finished else None,
        outcome={"FAILURE": "failed", "CANCELED": "was canceled"}.get(run.status.value, "succeeded"),
    )


def describe_outside(deliveries: Sequence[Delivery]) -> str:
    """The files of days that the graph does not have, for people; empty when there are none."""
    if not deliveries:
        return ""
    first, last = graph_days()
    return (
        f"{len(deliveries)} files are left, as the graph has the days {first} to {last} "
        f"(LAKEHOUSE_FIRST_DAY, LAKEHOUSE_LAST_DAY): {names_of(deliveries)}"
    )
