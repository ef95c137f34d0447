"""The demo's story: nine months of flights become a model, a month is scored, history corrected and proven.

Every step goes through the Dagster graph, so that the UI shows afterwards what happened.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

from demo.meter import Cost, Meter
from demo.online import OnlineScore, score_online
from demo.publish import publish, publish_corrections
from demo.quality import Quality, served_quality
from lakehouse.engine.session import spark_session
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings
from ml.provenance.differences import ReproductionReport
from ml.provenance.logged_run import logged_run
from ml.reproduction.diff import RunDiff, diff, log_picture
from ml.reproduction.reproduce import read
from orchestration.run import RunSummary, materialize

# Everything of a day but the model: landing is only looked at, and a model is trained when asked for.
DAILY = "not group:landing and not group:models"
# What a model needs; scores and their quality come after it.
UP_TO_THE_MODEL = f'+key:"models/arrival_delay" and {DAILY}'
MODEL = 'key:"models/arrival_delay"'
CHAMPION = 'key:"champions/arrival_delay"'


# The story's chapters, with the seconds that each took on two quiet cores: how long is left is told by them.
HISTORY, FIRST_MODEL = "history: land, build, check, publish", "first model"
DAYS, BACKFILL = "October 1 and 2, day by day", "October 3 to 31, one backfill"
CORRECTION, PROOF = (
    "a correction of September, and the second model",
    "proof: the first training set, read again; a score, made online",
)
CHAPTERS = {HISTORY: 300, FIRST_MODEL: 70, DAYS: 270, BACKFILL: 120, CORRECTION: 200, PROOF: 35}


class Audience(Protocol):
    """Whoever the story is told to."""

    def chapter(self, name: str) -> None:
        """A chapter begins; one of `CHAPTERS`."""
        ...

    def say(self, text: str) -> None:
        """Something happened, or is about to."""
        ...


@dataclass(frozen=True)
class Calendar:
    """The days of the story; the tests tell a shorter one.

    Args:
        start: the first day of history; it ends the day before `first_day`.
        first_day: the first day that is scored; its morning is scored at noon, as a live day.
        backfill: first and last day of the range that is scored in one go, after some days one by one.
        corrections: the day on which September's corrections arrive.
        live_hour: the last hour of the first day that was delivered when it is first scored.
    """

    start: date = date(2013, 1, 1)
    first_day: date = date(2013, 10, 1)
    backfill: tuple[date, date] = (date(2013, 10, 3), date(2013, 10, 31))
    corrections: date = date(2013, 11, 2)
    live_hour: int = 11


@dataclass(frozen=True)
class Story:
    """What happened, for the closing tables.

    Args:
        promotion: whether the second model took over from the first, and by which figures.
    """

    first_run: str
    second_run: str
    promotion: str
    reproduction: ReproductionReport
    difference: RunDiff
    days: Calendar
    quality: Quality
    online: OnlineScore
    cost: Cost


def tell(audience: Audience, calendar: Calendar | None = None) -> Story:
    """Tell the whole story on this warehouse.

    Args:
        audience: is told of chapters and what happens in them.

    Raises:
        LakehouseError: the warehouse has been through the story already, or a step failed.
    """
    days = calendar or Calendar()
    refuse_a_used_warehouse()
    say = audience.say
    with Meter(settings().engine_dir, audience.chapter) as meter:
        with meter.chapter(HISTORY):
            eve = days.first_day - timedelta(days=1)
            say(f"publishing {days.start} … {eve} as airlines and weather service delivered them")
            publish(days.start, eve)
            _done(say, materialize(UP_TO_THE_MODEL, (days.start, eve)))
        with meter.chapter(FIRST_MODEL):
            first = _train(say, days.first_day)
        with meter.chapter(DAYS):
            _live_day(say, days)
            _day_by_day(say, days.first_day + timedelta(days=1), days.backfill[0])
        with meter.chapter(BACKFILL):
            say(f"publishing {days.backfill[0]} … {days.backfill[1]}, scored in one run")
            publish(*days.backfill)
            _done(say, materialize(DAILY, days.backfill))
        with meter.chapter(CORRECTION):
            after = days.backfill[1] + timedelta(days=1)
            say(f"corrections of September arrive on {days.corrections}")
            publish(after, days.corrections)
            publish_corrections(days.corrections)
            _done(say, materialize(DAILY, (after, days.corrections)))
            second = _train(say, days.corrections + timedelta(days=1))
            promotion = _promote(say)
        with meter.chapter(PROOF):
            spark = spark_session()
            report = read(spark, logged_run(str(first["mlflow_run_id"])), progress=say)
            difference = diff(spark, str(first["mlflow_run_id"]), str(second["mlflow_run_id"]))
            log_picture(difference)
            say("asking `lakehouse serve` for a score")
            online = score_online(spark, "arrival_delay", days.backfill[1])
        quality = served_quality(spark, str(first["model_version"]), days.first_day, days.backfill[1])
    return Story(
        first_run=str(first["mlflow_run_id"]),
        second_run=str(second["mlflow_run_id"]),
        promotion=promotion,
        reproduction=report,
        difference=difference,
        days=days,
        quality=quality,
        online=online,
        cost=meter.cost,
    )


def refuse_a_used_warehouse() -> None:
    """The story is told once.

    Raises:
        LakehouseError: this warehouse has models already.
    """
    if settings().mlflow_dir.exists():
        raise LakehouseError(
            f"{settings().warehouse} has been through the story, or has models of its own",
            "`make clean-warehouse` deletes it; or set LAKEHOUSE_WAREHOUSE to another folder",
        )


def _train(say: Callable[[str], None], as_of: date) -> dict[str, object]:
    say(f"training as of {as_of}")
    summary = materialize(MODEL, as_of=as_of)
    _done(say, summary)
    return summary.metadata["models/arrival_delay"]


def _promote(say: Callable[[str], None]) -> str:
    say("measuring the second model against the first")
    summary = materialize(CHAMPION)
    _done(say, summary)
    return str(summary.metadata["champions/arrival_delay"]["decision"])


def _live_day(say: Callable[[str], None], days: Calendar) -> None:
    day = days.first_day
    say(f"{day}, noon in New York: the schedule, and what has been delivered so far")
    publish(day, day, through_hour=days.live_hour)
    _done(say, materialize(DAILY, (day, day)))
    say(f"{day}, midnight: the rest of the day; what was scored at noon stays as it is")
    publish(day, day)
    _done(say, materialize(DAILY, (day, day)))


def _day_by_day(say: Callable[[str], None], first: date, end: date) -> None:
    for offset in range((end - first).days):
        day = first + timedelta(days=offset)
        say(f"{day}: its schedule, weather and flights; the late arrivals of the day before follow")
        publish(day, day)
        _done(say, materialize(DAILY, (day, day)))


def _done(say: Callable[[str], None], summary: RunSummary) -> None:
    passed = sum(check.passed for check in summary.checks)
    say(
        f"  run {summary.run_id[:8]}: {len(summary.materialized)} assets, "
        f"{passed} of {len(summary.checks)} checks passed, {summary.seconds:.0f} s"
    )
    scores = summary.metadata.get("predictions/arrival_delay")
    if scores:
        say(
            f"  {scores['rows_scored']} flights due and scored ({scores['rows_written']} new scores), "
            f"{scores['not_due']} not due yet"
        )
