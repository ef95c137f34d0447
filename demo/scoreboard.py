"""How good the scores were, against what one would say without a model: the story's closing table."""

import json
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from lakehouse.errors import LakehouseError
from ml.evaluate import Baseline, metrics
from ml.tracking import artifact
from ml.train import BASELINE


@dataclass(frozen=True)
class Line:
    """One forecaster's figures on the same flights."""

    forecaster: str
    auc: float
    average_precision: float
    log_loss: float
    brier: float


@dataclass(frozen=True)
class Scoreboard:
    """The figures of all forecasters on the flights of some days that were scored and have arrived."""

    start: date
    end: date
    flights: int
    late: int
    model_version: str
    lines: list[Line]


def scoreboard(spark: SparkSession, run_id: str, model_version: str, start: date, end: date) -> Scoreboard:
    """Compare a model's scores with the late share of its training set, overall and by scheduled hour.

    Args:
        run_id: the run that trained the model; its baseline was logged with it.

    Raises:
        LakehouseError: none of these days' flights was scored by this model and has arrived.
    """
    rows = spark.sql(
        """
        select predictions.is_late_15, predictions.score, features.sched_dep_hour
        from marts.fct_flight_predictions as predictions
        inner join published.flight_features as features on predictions.flight_id = features.flight_id
        where
            predictions.is_late_15 is not null
            and predictions.model_version = :version
            and predictions.flight_date between :start and :end
            and features.flight_date between :start and :end
        order by predictions.flight_id
        """,
        args={"version": model_version, "start": start, "end": end},
    ).toArrow()
    if rows.num_rows == 0:
        raise LakehouseError(
            f"version {model_version} has no scored flight with an arrival from {start} to {end}",
            "score these days, and let their arrivals be delivered",
        )
    labels = np.asarray(rows.column("is_late_15").cast(pa.int8()).to_numpy(), dtype=np.float64)
    baseline = Baseline(**json.loads(artifact(run_id, BASELINE).read_text()))
    hours = rows.column("sched_dep_hour").to_pylist()
    forecasts = {
        f"model, version {model_version}": rows.column("score").to_numpy(),
        "late share by scheduled hour": baseline.scores(hours),
        "late share of the training set": np.full(rows.num_rows, baseline.rate),
    }
    lines = [
        Line(name, found["auc"], found["average_precision"], found["log_loss"], found["brier"])
        for name, found in ((name, metrics(labels, scores)) for name, scores in forecasts.items())
    ]
    return Scoreboard(start, end, rows.num_rows, int(labels.sum()), model_version, lines)
