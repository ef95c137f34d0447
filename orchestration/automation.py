"""What may run by itself; all of it is off until someone turns it on in the UI."""

import json
from datetime import date

import dagster as dg

from lakehouse.ingest.source import load_sources
from orchestration.assets.landing import deliveries_by_day, digest
from orchestration.partitions import range_tags

# Everything from bronze to the quality of the scores, but the model: a day's data goes through it each day.
DAILY = dg.AssetSelection.all() - dg.AssetSelection.groups("landing", "models")

daily_job = dg.define_asset_job(
    "daily", DAILY, description="A day, or a range of days, from bronze to scores and their quality."
)
retrain_job = dg.define_asset_job(
    "retrain",
    dg.AssetSelection.groups("models"),
    description="Train each spec as of the day after the newest published day; promote what is better.",
)


def delivered_days() -> dict[str, str]:
    """Each day for which anything lies in the landing zone, with a digest of its files."""
    found: dict[str, list[str]] = {}
    for source in load_sources().values():
        for day, deliveries in deliveries_by_day(source).items():
            found.setdefault(day.isoformat(), []).append(digest(deliveries))
    return {day: " ".join(digests) for day, digests in sorted(found.items())}


def changed_days(before: dict[str, str], now: dict[str, str]) -> tuple[date, date] | None:
    """First and last day whose files are not what they were, or None.

    >>> changed_days({"2013-01-01": "a", "2013-01-02": "b"}, {"2013-01-01": "a", "2013-01-02": "c"})
    (datetime.date(2013, 1, 2), datetime.date(2013, 1, 2))
    """
    changed = [date.fromisoformat(day) for day, seen in now.items() if before.get(day) != seen]
    return (min(changed), max(changed)) if changed else None


@dg.sensor(
    name="new_deliveries",
    job=daily_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="When files arrive in the landing zone: one run for the range of days that they are for.",
)
def new_deliveries(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Ask for one run over the days whose deliveries changed since the last look."""
    now = delivered_days()
    days = changed_days(json.loads(context.cursor or "{}"), now)
    if days is None:
        return dg.SkipReason("nothing new in the landing zone")
    return dg.SensorResult(run_requests=[dg.RunRequest(tags=range_tags(days))], cursor=json.dumps(now))


monthly_retraining = dg.ScheduleDefinition(
    name="monthly_retraining",
    job=retrain_job,
    cron_schedule="0 5 1 * *",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Train anew on the first of each month, and promote what is better.",
)
