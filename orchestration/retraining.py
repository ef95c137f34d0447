"""When models are trained again: in a new month, and where the champion's forecasts became too bad.

It follows from days of data, and no clock decides it: a machine that was off on the first of a month trains
when it is on again, and a month that is run through in an hour trains once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from lakehouse.dbt.manifest import current_models, manifest
from lakehouse.ingest.database.plan import end_of
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.source import Source
from lakehouse.settings import settings
from ml.spec import RetrainingSpec, Spec, load_spec, spec_names
from orchestration import records
from orchestration.assets.models import model_key
from orchestration.automation import retrain_job
from orchestration.partitions import day_column, range_tags
from orchestration.state import read_state

_SENSOR = "retraining"
WHY_TAG = "lakehouse/retrained_for"
_COLUMNS = ("labelled_count", "log_loss", "base_log_loss")


@dataclass(frozen=True)
class Quality:
    """How good a day's forecasts were, and how good those of the plain rate.

    Args:
        rows: forecasts whose outcome is known.
    """

    day: date
    rows: int
    log_loss: float
    base_log_loss: float


def why_now(
    trained_as_of: date, newest: date, quality: Sequence[Quality], rule: RetrainingSpec
) -> str | None:
    """Why a model is to be trained as of the day after the newest one; None where it is not.

    Args:
        trained_as_of: the day as of which it was trained last.
        newest: the newest day that is delivered, checked and scored.
        quality: of the champion, in any order.
    """
    as_of = newest + timedelta(days=1)
    if as_of <= trained_as_of:
        return None
    if rule.monthly and (as_of.year, as_of.month) > (trained_as_of.year, trained_as_of.month):
        return f"a new month: it was trained as of {trained_as_of}"
    # Only days that the last training could not have known: the same bad days are no reason twice.
    seen = [each for each in quality if each.day >= trained_as_of and each.rows > 0]
    days = sorted(seen, key=lambda each: each.day)[-rule.quality_days :]
    if len(days) < rule.quality_days:
        return None
    rows = sum(each.rows for each in days)
    model = sum(each.log_loss * each.rows for each in days) / rows
    base = sum(each.base_log_loss * each.rows for each in days) / rows
    gain = 1 - model / base if base > 0 else 0.0
    if gain >= rule.min_gain:
        return None
    return (
        f"quality: from {days[0].day} to {days[-1].day} its log loss is {gain:.1%} better than the plain "
        f"rate's, and the least is {rule.min_gain:.1%}"
    )


@dg.sensor(
    name=_SENSOR,
    job=retrain_job,
    minimum_interval_seconds=600,
    default_status=(
        dg.DefaultSensorStatus.RUNNING if settings().automation else dg.DefaultSensorStatus.STOPPED
    ),
    description=(
        "Trains each spec again in a new month of data, and where its forecasts became too bad (`retraining` "
        "in its YAML); what is better is promoted and scores the newest day."
    ),
)
def retraining(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Ask for one run, of the models that are due; the first one is a person's to train."""
    return look_at_models(context.instance)


def look_at_models(instance: dg.DagsterInstance) -> dg.SensorResult | dg.SkipReason:
    """What the sensor asks for, or why it asks for nothing."""
    unfinished = dg.RunsFilter(job_name=retrain_job.name, statuses=NOT_FINISHED_STATUSES)
    if instance.get_run_records(unfinished, limit=1):
        # It may be asked for by an earlier day than today's newest, and is the same training.
        return dg.SkipReason("a training waits or runs")
    newest = max(told_in_full(read_state(instance).done), default=None)
    if newest is None:
        return dg.SkipReason("no day is delivered in full, checked and scored yet")
    reasons = {name: why for name in spec_names() if (why := _why(instance, name, newest)) is not None}
    if not reasons:
        return dg.SkipReason("no model is due")
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                # Asked for once: Dagster tries a failed training again by the job's tag.
                run_key=f"{newest}: {', '.join(reasons)}",
                asset_selection=_selection(reasons),
                tags={
                    **range_tags((newest, newest)),
                    WHY_TAG: "; ".join(f"{name}: {why}" for name, why in reasons.items()),
                },
            )
        ]
    )


def told_in_full(days: Iterable[date]) -> list[date]:
    """The days of which each live source has told the end, by the ledger.

    Where days are open, plans of tomorrow are delivered, checked and scored, as far as any is due: a month is
    not trained on before it is over.
    """
    told: dict[str, datetime] = {}
    for entry in records.ledger_entries():
        if entry.kind == "delivery" and entry.delivered_until is not None:
            until = entry.delivered_until.astimezone(UTC)
            told[entry.source] = max(until, told.get(entry.source, until))
    live = [each for each in load_sources().values() if each.arrives == "live" and each.name in told]

    def is_over(day: date, source: Source) -> bool:
        end = end_of(day, source.time_zone)
        return end is not None and told[source.name] >= end

    return [day for day in days if all(is_over(day, each) for each in live)]


def _selection(reasons: Mapping[str, str]) -> list[dg.AssetKey]:
    specs = [load_spec(name) for name in reasons]
    return [
        key
        for spec in specs
        for key in (
            model_key(spec),
            dg.AssetKey(["champions", spec.name]),
            dg.AssetKey(spec.predictions_table.split(".")),
        )
    ]


def _why(instance: dg.DagsterInstance, name: str, newest: date) -> str | None:
    spec = load_spec(name)
    record = instance.get_latest_materialization_event(model_key(spec))
    made = record.asset_materialization if record is not None else None
    if made is None or "as_of" not in made.metadata:
        return None
    trained = date.fromisoformat(str(made.metadata["as_of"].value))
    return why_now(trained, newest, _quality(spec), spec.retraining)


def _quality(spec: Spec) -> list[Quality]:
    if spec.retraining.quality_model is None:
        return []
    # MLflow takes seconds to import, and whoever only looks at the graph doesn't need it.
    from ml.tracking.registry import CHAMPION, aliases

    champion = aliases(spec.registered_model).get(CHAMPION)
    table = current_models().table(spec.retraining.quality_model)
    day = day_column(manifest(), table)
    columns = [day, "model_version", *_COLUMNS]
    rows = records.rows_where(table, columns, ("model_name", "=", spec.registered_model))
    return [
        Quality(row[day], *(row[name] for name in _COLUMNS))
        for row in rows
        if row["model_version"] == champion
        and row["log_loss"] is not None
        and row["base_log_loss"] is not None
    ]
