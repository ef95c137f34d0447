"""Sensors that tell people: of runs that failed, of sources that say nothing; and who sends what was noted.

They start no run. Gates, promotions and drift note their alerts where they are decided, in the graph or on
the command line alike (`lakehouse.alerts`).
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME

from lakehouse.addresses import address, dagster_run
from lakehouse.alerts import raise_alert, resolve
from lakehouse.alerts.send import send
from lakehouse.dbt.manifest import manifest
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.ledger import Entry
from lakehouse.settings import settings
from orchestration import records

FAILED_RUN, STALE_SOURCE = "failed run", "stale source"
_ON = dg.DefaultSensorStatus.RUNNING


def subject_of(run: dg.DagsterRun) -> str:
    """What a run's alert is about: its job, so that the next run of it that ends well resolves it."""
    return "assets by hand" if run.job_name == IMPLICIT_ASSET_JOB_NAME else run.job_name


@dg.run_failure_sensor(
    name="failed_runs", default_status=_ON, description="Notes an alert of each job whose run failed."
)
def failed_runs(context: dg.RunFailureSensorContext) -> None:
    """Note that a job failed, with the page of its run; not if a later run of it has ended well."""
    run = context.dagster_run
    if is_newest(context.instance, run):
        note_failure(run, [event.message or "" for event in context.get_step_failure_events()])


def note_failure(run: dg.DagsterRun, said: Iterable[str]) -> None:
    """Note that a run failed.

    Args:
        said: what its failed steps said.
    """
    what = "; ".join(filter(None, said)) or "it failed before its first step"
    raise_alert(FAILED_RUN, subject_of(run), what, address(dagster_run(run.run_id)))


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    name="succeeded_runs",
    default_status=_ON,
    description="Resolves the alert of a job whose run failed before.",
)
def succeeded_runs(context: dg.RunStatusSensorContext) -> None:
    """Note that a job works again; not if a later run of it has failed."""
    if is_newest(context.instance, context.dagster_run):
        resolve(FAILED_RUN, subject_of(context.dagster_run))


def is_newest(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a run is the newest one of its job that ended: the two sensors see runs in their own order."""
    ended = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    newest = instance.get_run_records(dg.RunsFilter(job_name=run.job_name, statuses=ended), limit=1)
    return not newest or newest[0].dagster_run.run_id == run.run_id


@dg.sensor(
    name="alert_sender",
    minimum_interval_seconds=60,
    default_status=_ON,
    description="Tells the receivers of LAKEHOUSE_ALERT_URLS what was noted; again later where one is away.",
)
def alert_sender(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Send what is waiting; looks at nothing that could be broken."""
    told = send()
    for each in told:
        if each.said is not None:
            context.log.warning(f"{each.receiver}: {each.said}; {each.messages} messages wait")
    done = sum(each.messages for each in told if each.said is None)
    return dg.SkipReason(f"{done} messages sent" if done else "nothing to tell")


@dg.sensor(
    name="stale_sources",
    minimum_interval_seconds=600,
    default_status=_ON,
    description="Notes an alert of each source that says nothing for longer than dbt's `freshness` allows.",
)
def stale_sources(_: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Look at the ledger, where the graph's days are open."""
    note_stale_sources()
    return dg.SkipReason("looked")


def note_stale_sources() -> None:
    """Note the sources that say nothing, where the graph's days are open: those of a past are not awaited."""
    if settings().last_day is not None:
        return
    late = stale(records.ledger_entries(), limits(manifest()), datetime.now(UTC))
    for name in load_sources():
        if name in late:
            raise_alert(STALE_SOURCE, name, late[name])
        else:
            resolve(STALE_SOURCE, name)


def limits(parsed: Mapping[str, Any]) -> dict[str, timedelta]:
    """After how long a source is stale, as dbt's `freshness: warn_after` says of it; snapshots never are."""
    found: dict[str, timedelta] = {}
    live = {name for name, source in load_sources().items() if source.arrives != "snapshot"}
    for source in parsed["sources"].values():
        after = (source.get("freshness") or {}).get("warn_after") or {}
        if source["source_name"] == "bronze" and source["name"] in live and after.get("count"):
            found[source["name"]] = timedelta(**{f"{after['period']}s": after["count"]})
    return found


def stale(entries: Iterable[Entry], allowed: Mapping[str, timedelta], now: datetime) -> dict[str, str]:
    """The sources whose newest delivery ends too long ago, and when.

    One that never delivered is late, too, once others have: in a new warehouse nothing is expected yet.

    Args:
        now: UTC.
    """
    newest: dict[str, datetime] = {}
    for entry in entries:
        if entry.kind == "delivery" and entry.delivered_until is not None:
            until = entry.delivered_until.astimezone(UTC)
            newest[entry.source] = max(until, newest.get(entry.source, until))
    if not newest:
        return {}
    never = {source: "nothing was ever delivered" for source in allowed if source not in newest}
    return never | {
        source: f"nothing was delivered since {until:%Y-%m-%d %H:%M} UTC; {allowed[source]} are allowed"
        for source, until in newest.items()
        if source in allowed and now - until > allowed[source]
    }


alert_sensors: list[dg.SensorDefinition] = [failed_runs, succeeded_runs, stale_sources, alert_sender]
