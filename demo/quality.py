"""How good the month's scores were, from the mart that a dashboard reads."""

from dataclasses import dataclass
from datetime import date

from pyspark.sql import SparkSession

from lakehouse.errors import LakehouseError

_MART = "marts.prediction_quality_daily"
# Days count by their flights with a known outcome. AUC is within a day: a rate by day alone has 0.5.
_QUERY = """
    select
        sum(labelled_count) as flights,
        sum(late_count) as late,
        sum(auc * labelled_count) / sum(if(auc is null, null, labelled_count)) as auc,
        sum(log_loss * labelled_count) / sum(labelled_count) as log_loss,
        sum(brier_score * labelled_count) / sum(labelled_count) as brier_score,
        sum(base_log_loss * labelled_count) / sum(labelled_count) as base_log_loss,
        sum(base_brier_score * labelled_count) / sum(labelled_count) as base_brier_score
    from {mart}
    where flight_date between :start and :end
        and model_name = 'arrival_delay'
        and model_version = :version
        and base_log_loss is not null
"""


@dataclass(frozen=True)
class Quality:
    """A version's scores over some days, and what the late share of the four weeks before would have said.

    Args:
        flights: scored, with a known outcome.
        late_share: of these flights.
        auc, base_auc: mean over the days.
    """

    model_version: str
    flights: int
    late_share: float
    auc: float
    log_loss: float
    brier_score: float
    base_log_loss: float
    base_brier_score: float
    base_auc: float = 0.5


def served_quality(spark: SparkSession, version: str, start: date, end: date) -> Quality:
    """The quality of what `arrival_delay` version `version` scored, from the mart.

    Args:
        start, end: first and last local day.

    Raises:
        LakehouseError: no scored flight of these days has a known outcome.
    """
    arguments = {"start": start, "end": end, "version": version}
    row = spark.sql(_QUERY.format(mart=_MART), args=arguments).collect()[0].asDict()
    if not row["flights"]:
        raise LakehouseError(
            f"{_MART} has no flight from {start} to {end} with a score of version {version} and an outcome",
            "score these days, then ingest and publish their actuals",
        )
    flights, late = int(row.pop("flights")), int(row.pop("late"))
    return Quality(version, flights, late / flights, **{name: float(value) for name, value in row.items()})
