"""What people are told of monitored days: drift and quality, with the features that explain it."""

from collections.abc import Sequence

from pyspark.sql import SparkSession

from lakehouse.alerts import raise_alert, resolve
from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress
from ml.monitoring.days import MonitoredDay
from ml.monitoring.judge import JudgedDay, Judgement
from ml.monitoring.keep import ensure_reference
from ml.spec import Spec
from ml.tracking.registry import model_by_alias

DRIFT, QUALITY, UNMONITORED = "drift", "quality", "not monitored"


def describe(judged: Judgement) -> str:
    """A figure that stands out, in words."""
    limit = "" if judged.limit is None else f", limit {judged.limit:.3g}"
    return f"{judged.name} {judged.value:.3g}{limit} (by {judged.past_days} days of the season)"


def explain(day: JudgedDay) -> str:
    """The features that stand out on a day; where none does, the three least likely ones."""
    if day.named:
        return f"features that stand out: {', '.join(each.name for each in day.named)}"
    least = [each.name for each in day.features if each.probability is not None][:3]
    return f"no feature stands out; the least likely are {', '.join(least)}" if least else ""


def tell(name: str, days: Sequence[MonitoredDay], link: str | None = None) -> None:
    """Raise the alerts of the newest of some days, or resolve them.

    Args:
        name: of the spec.
    """
    if not days:
        return
    of_kind = {
        DRIFT: [(each, each.judged.score) for each in days],
        QUALITY: [(each, each.judged.calibration) for each in days],
    }
    for kind, figures in of_kind.items():
        # What became of the newest scores is known days later: each kind has a newest day of its own.
        judged = [
            (day, found) for day, found in figures if found is not None and found.probability is not None
        ]
        newest = max((day.day for day, _ in judged), default=None)
        of_newest = [(day, found) for day, found in judged if day.day == newest]
        out = [(day, found) for day, found in of_newest if found.stands_out]
        if out:
            what = "; ".join(
                f"{newest}, version {day.model_version}: {describe(found)}; {explain(day.judged)}"
                for day, found in out
            )
            raise_alert(kind, name, what, link)
        elif of_newest:
            resolve(kind, name)


def keep_reference(spark: SparkSession, spec: Spec, alias: str, progress: Progress) -> None:
    """Keep what a version was trained on, as the marts of drift want it; scores do not wait for that.

    Where it cannot be made any more (the training set was vacuumed, a file of the run is gone) people are
    told by an alert: the version's days are then not judged.
    """
    version = model_by_alias(spec.registered_model, alias)
    subject = f"{spec.name} version {version.version}"
    try:
        ensure_reference(spark, spec, version, progress)
    except LakehouseError as error:
        progress(f"{subject} is not monitored: {error.what}")
        raise_alert(UNMONITORED, subject, str(error))
    else:
        resolve(UNMONITORED, subject)
