"""A model against the plain rates, on entities that were scored and whose outcome is known by now."""

import json
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.delta.publications import published_version
from lakehouse.delta.table import read_at
from lakehouse.errors import LakehouseError
from ml.dbt_models import DbtModels, current_models
from ml.evaluate import Baseline, metrics
from ml.registry import CHAMPION, ModelVersion, model_by_alias, model_version
from ml.spec import Spec
from ml.tracking import artifact
from ml.train import BASELINE


@dataclass(frozen=True)
class Comparison:
    """Metrics of the model and of the rates that its training rows had.

    Args:
        rows: scored entities with a known outcome.
        label_rate: how many of them had the label.
        model, base_rate, rate_by: metrics by name; see `ml.evaluate.metrics`.
        by: the column of `rate_by`.
    """

    model_name: str
    model_version: str
    rows: int
    label_rate: float
    model: dict[str, float]
    base_rate: dict[str, float]
    rate_by: dict[str, float]
    by: str


def compare(
    spark: SparkSession,
    spec: Spec,
    start: date,
    end: date,
    version: str | None = None,
    models: DbtModels | None = None,
) -> Comparison:
    """Compare what was served with what happened, by the labels of the published training set that hold now.

    Of several scores of one entity by the version the first one counts: it is the one that was served.

    Args:
        start, end: first and last local day.
        version: of the model; by default the champion.

    Raises:
        LakehouseError: no scored entity of these days has a known outcome.
    """
    models = models or current_models()
    model = (
        model_version(spec.registered_model, version)
        if version
        else model_by_alias(spec.registered_model, CHAMPION)
    )
    rows = _scored_with_labels(spark, spec, start, end, model, models).toArrow()
    if rows.num_rows == 0:
        raise LakehouseError(
            f"nothing scored from {start} to {end} by {model.name} version {model.version} has an outcome",
            "score these days, then ingest and publish their actuals",
        )
    labels = rows.column("label").to_numpy().astype(np.float64)
    baseline = baseline_of(model)
    return Comparison(
        model_name=model.name,
        model_version=model.version,
        rows=rows.num_rows,
        label_rate=float(labels.mean()),
        model=metrics(labels, rows.column("score").to_numpy()),
        base_rate=metrics(labels, np.full(len(labels), baseline.rate)),
        rate_by=metrics(labels, baseline.scores(rows.column("by").cast(pa.string()).to_pylist())),
        by=baseline.by,
    )


def baseline_of(model: ModelVersion) -> Baseline:
    """The rates that the model's training run logged."""
    return Baseline(**json.loads(artifact(model.run_id, BASELINE).read_text()))


def _scored_with_labels(
    spark: SparkSession, spec: Spec, start: date, end: date, model: ModelVersion, models: DbtModels
) -> DataFrame:
    columns = models.columns(spec.training_model)
    in_days = F.col(columns.partition).between(F.lit(start), F.lit(end))
    labelled = read_at(spark, published_version(spark, models.table(spec.training_model)))
    outcomes = labelled.where(in_days & F.col(str(columns.label_end)).isNull()).select(
        *columns.entity,
        F.col(str(columns.label)).cast("int").alias("label"),
        F.col(spec.baseline_column).alias("by"),
    )
    served = (
        spark.table(spec.predictions_table)
        .where(in_days & (F.col("model_version") == model.version))
        .groupBy(*columns.entity)
        .agg(F.min_by("score", F.struct("scored_at", "prediction_id")).alias("score"))
    )
    return served.join(outcomes, list(columns.entity)).orderBy(*columns.entity)
