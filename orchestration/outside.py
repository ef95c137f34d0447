"""Sources that deliver no files by themselves, APIs, databases and topics: asked as often as each
declares."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from pydantic import Field

from lakehouse.engine.session import spark_session
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.land import ingest
from lakehouse.ingest.report import IngestReport
from lakehouse.ingest.source import Source
from lakehouse.settings import settings
from orchestration.asking import wait_seconds
from orchestration.assets.bronze import DELIVERIES_ACCEPTED, bronze_key, landed, refused_of
from orchestration.writing import writing

_SENSOR = "outside_sources"
# What a run asked: names, by comma.
SOURCES_TAG = "lakehouse/sources"
# Of these the ones that did not answer; of a run that died before it knew, all.
UNANSWERED_TAG = "lakehouse/unanswered"
# So many runs of a source say how often it failed.
_LOOK_BACK = 20


class AskConfig(dg.Config):
    """Which sources to ask; all that are declared to be asked, where none is named."""

    sources: list[str] = Field(default_factory=list)


@dg.op(description="Asks APIs, databases and topics for what bronze lacks, and lands it.")
def ask_for_new(context: dg.OpExecutionContext, config: AskConfig) -> None:
    """As `lakehouse ingest SOURCE` does; `new_deliveries` sees what it landed, and asks for the rest."""
    declared = load_sources()
    names = config.sources or sorted(asked_sources(declared))
    with writing(context):
        report = ingest(spark_session(), names, progress=context.log.info)
    away = {name: said for name in names if (said := unanswered(declared[name], report))}
    for name in names:
        _tell(context, declared[name], report, away.get(name, []))
    if away:
        context.instance.add_run_tags(context.run_id, {UNANSWERED_TAG: ",".join(sorted(away))})
        raise dg.Failure("; ".join(f"{name}: {'; '.join(said)}" for name, said in sorted(away.items())))


def unanswered(source: Source, report: IngestReport) -> list[str]:
    """Why a source has not given what it has: what was refused, and a topic whose brokers do not answer."""
    topic = None if source.stream is None else source.stream.topic
    refused = refused_of(source, report.refused)
    return [
        *(f"{each.file}: {each.reason}" for each in refused),
        *(f"{each.file}: {each.reason}" for each in report.waiting if each.file == topic),
    ]


def _tell(context: dg.OpExecutionContext, source: Source, report: IngestReport, away: list[str]) -> None:
    context.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=bronze_key(source.name),
            check_name=DELIVERIES_ACCEPTED,
            passed=not away,
            metadata={"refused": away},
        )
    )
    metadata: dict[str, Any] = landed(source.name, report)
    key = bronze_key(source.name)
    if away:
        # No materialization: it would be fresh, of a source that nobody reaches.
        context.log_event(dg.AssetObservation(key, metadata=metadata))
    else:
        context.log_event(dg.AssetMaterialization(key, metadata=metadata))


@dg.job(name="ask_sources", description="Ask APIs, databases and topics for what is new; docs/dagster.md.")
def ask_job() -> None:
    """One step."""
    ask_for_new()


def asked_sources(declared: Mapping[str, Source]) -> dict[str, int]:
    """The sources that have to be asked, and after how many minutes again."""
    return {name: source.asked_every_minutes for name, source in declared.items() if source.is_asked}


@dataclass(frozen=True)
class Asked:
    """A run that asked sources before.

    Args:
        ended_at: seconds since 1970; None while it waits or runs.
        failed: those of them that did not answer.
    """

    sources: frozenset[str]
    ended_at: float | None
    failed: frozenset[str] = frozenset()


def due(every: Mapping[str, int], before: list[Asked], now: float) -> list[str]:
    """The sources to ask now, none while a run asks.

    A source is asked again when its time is over since the last answer; after a failure sooner, with
    back-off, where its time is longer than that.

    Args:
        every: source → minutes.
        before: newest first.
        now: seconds since 1970.
    """
    if any(each.ended_at is None for each in before):
        return []
    found: list[str] = []
    for name, minutes in sorted(every.items()):
        runs = [each for each in before if name in each.sources]
        failures = next((number for number, each in enumerate(runs) if name not in each.failed), len(runs))
        wait = minutes * 60.0
        if failures:
            wait = min(wait, wait_seconds(failures))
        if not runs or now >= (runs[0].ended_at or 0.0) + wait:
            found.append(name)
    return found


@dg.sensor(
    name=_SENSOR,
    job=ask_job,
    minimum_interval_seconds=60,
    default_status=(
        dg.DefaultSensorStatus.RUNNING if settings().automation else dg.DefaultSensorStatus.STOPPED
    ),
    description=(
        "Asks APIs, databases and topics as often as their declarations say (ask_every_minutes); after a "
        "failure again after 1, 2, 4 … minutes."
    ),
)
def outside_sources(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Ask for one run for all sources that are due."""
    return look_outside(context.instance, load_sources(), time.time())


def look_outside(
    instance: dg.DagsterInstance, declared: Mapping[str, Source], now: float
) -> dg.SensorResult | dg.SkipReason:
    """What the sensor asks for, or why it asks for nothing.

    Args:
        now: seconds since 1970.
    """
    every = asked_sources(declared)
    if not every:
        return dg.SkipReason("no source has to be asked: files are delivered by others")
    names = due(every, _before(instance, every), now)
    if not names:
        return dg.SkipReason("each source was asked a while ago, or is being asked")
    config = {"ops": {ask_for_new.name: {"config": {"sources": names}}}}
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_config=config,
                tags={SOURCES_TAG: ",".join(names), **{asks(name): "yes" for name in names}},
            )
        ]
    )


def asks(source: str) -> str:
    """The tag of runs that ask a source: one that is asked each minute hides none that is asked each week."""
    return f"lakehouse/asks/{source}"


def _before(instance: dg.DagsterInstance, sources: Iterable[str]) -> list[Asked]:
    """The runs that ask now, whoever started them, and the last ones of each source, newest first."""
    unfinished = dg.RunsFilter(job_name=ask_job.name, statuses=NOT_FINISHED_STATUSES)
    found = list(instance.get_run_records(unfinished, limit=1))
    for source in sources:
        of_source = dg.RunsFilter(job_name=ask_job.name, tags={asks(source): "yes"})
        found += instance.get_run_records(of_source, limit=_LOOK_BACK)
    return [_asked(record) for record in found]


def _asked(record: dg.RunRecord) -> Asked:
    run = record.dagster_run
    sources = frozenset(run.tags.get(SOURCES_TAG, "").split(","))
    known = run.tags.get(UNANSWERED_TAG)
    failed = sources if known is None else frozenset(known.split(","))
    return Asked(
        sources=sources,
        ended_at=(record.end_time or record.update_timestamp.timestamp()) if run.is_finished else None,
        failed=frozenset() if run.is_success else failed,
    )
