"""How good the month's scores were, from the mart that a dashboard reads."""

from dataclasses import dataclass
from datetime import date

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.errors import LakehouseError

_MART = "marts.prediction_quality_daily"
# Days count by their flights with a known outcome. AUC is within a day: a rate by day alone has 0.5.
_MEASURED = ("log_loss", "brier_score", "base_log_loss", "base_brier_score")


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
    days = spark.table(_MART).where(
        F.col("flight_date").between(F.lit(start), F.lit(end))
        & (F.col("model_name") == "arrival_delay")
        & (F.col("model_version") == version)
        & F.col("base_log_loss").isNotNull()
    )
    row = days.agg(
        F.expr("sum(labelled_count) as flights"),
        F.expr("sum(late_count) as late"),
        F.expr("sum(auc * labelled_count) / sum(if(auc is null, null, labelled_count)) as auc"),
        *(F.expr(f"sum({name} * labelled_count) / sum(labelled_count) as {name}") for name in _MEASURED),
    ).collect()[0]
    if not row["flights"]:
        raise LakehouseError(
            f"{_MART} has no flight from {start} to {end} with a score of version {version} and an outcome",
            "score these days, then ingest and publish their actuals",
        )
    return Quality(
        version,
        row["flights"],
        row["late"] / row["flights"],
        float("nan") if row["auc"] is None else row["auc"],
        **{name: row[name] for name in _MEASURED},
    )
