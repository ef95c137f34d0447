"""Batch scoring: a range of days in one Spark job, written once however often it is asked for."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.dbt.manifest import DbtModels, current_models
from lakehouse.delta.publications import published_version
from lakehouse.delta.table import TableVersion, current_version
from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress, silent
from ml.data.columns import Columns, columns_of
from ml.encoding.encode import Encoding
from ml.model.bundle import ENCODING
from ml.provenance.logged_run import files_of
from ml.scoring.inference import score_version
from ml.scoring.prediction_id import prediction_id_column
from ml.scoring.predictions import add_predictions, create_predictions
from ml.spec import Spec
from ml.tracking.registry import CHAMPION, ModelVersion, model_by_alias

if TYPE_CHECKING:
    from lakehouse.lineage.columns import Origin


@dataclass(frozen=True)
class ScoreResult:
    """What a scoring did.

    Args:
        rows_scored: entities of these days that are due.
        rows_written: new rows; none when the same scores were there already.
        not_due: entities of these days that are not due yet; None when the spec names no population.
        table_version: of the predictions table afterwards.
        features: the published version the scores were made from.
        origins: the columns of a prediction, each with the columns of `features` that it comes from.
    """

    start: date
    end: date
    rows_scored: int
    rows_written: int
    not_due: int | None
    model_name: str
    model_version: str
    table_version: TableVersion
    features: TableVersion
    origins: "Mapping[str, Sequence[Origin]]"
    seconds: float


def score(
    spark: SparkSession,
    spec: Spec,
    start: date,
    end: date,
    alias: str = CHAMPION,
    progress: Progress = silent,
    models: DbtModels | None = None,
) -> ScoreResult:
    """Score all due entities of some days, and add the scores that are new to the predictions table.

    A score is told from another by entity, model version and its bits: the same one is never written twice, a
    different one (from features that were corrected since) stands beside the first.

    Args:
        start, end: first and last day, local, both included.
        alias: which registered version scores.
        models: what dbt says; by default this checkout's production models.

    Raises:
        LakehouseError: the range is empty, no model has the alias, or the features were never published.
    """
    if end < start:
        raise LakehouseError(f"{start} to {end} is not a valid date range", "give the first day first")
    started = time.monotonic()
    models = models or current_models()
    model = model_by_alias(spec.registered_model, alias)
    columns = columns_of(models, spec.features_model)
    progress(f"scoring {start} to {end} with {model.name} version {model.version}")
    features = published_version(spark, models.table(spec.features_model))
    files = files_of(model)
    scores = score_version(spark, features, columns, files, start, end)
    # Once, kept on the engine: the scores are counted, compared and written from there.
    scored = _predictions(scores, columns, model, features).localCheckpoint()
    create_predictions(spark, spec, models)
    rows_scored = scored.count()
    rows_written = add_predictions(spark, spec.predictions_table, scored, columns.partition, [(start, end)])
    return ScoreResult(
        start=start,
        end=end,
        rows_scored=rows_scored,
        rows_written=rows_written,
        not_due=_not_due(spark, spec, models, columns, start, end, rows_scored),
        model_name=model.name,
        model_version=model.version,
        table_version=current_version(spark, spec.predictions_table),
        features=features,
        origins=_origins(columns, Encoding.from_json(files[ENCODING].decode()), features.name),
        seconds=time.monotonic() - started,
    )


def _predictions(
    scored: DataFrame, columns: Columns, model: ModelVersion, features: TableVersion
) -> DataFrame:
    return scored.select(
        *columns.entity,
        columns.event_time,
        columns.partition,
        "score",
        "missing_features",
        "unseen_categories",
        F.lit(model.name).alias("model_name"),
        F.lit(model.version).alias("model_version"),
        F.lit(features.name).alias("features_table"),
        F.lit(features.table_id).alias("features_table_id"),
        F.lit(features.version).cast("bigint").alias("features_version"),
        F.current_timestamp().alias("scored_at"),
        prediction_id_column(columns.entity, model.version, "score_bits").alias("prediction_id"),
    )


def _origins(columns: Columns, encoding: Encoding, table: str) -> "dict[str, list[Origin]]":
    """From which columns of the features table a prediction's come; the model's inputs are its encoding's."""
    identity = (*columns.entity, columns.event_time, columns.partition)
    return {
        **{name: [(table, name)] for name in identity},
        "score": [(table, name) for name in encoding.features],
        "missing_features": [(table, name) for name in encoding.features],
        "unseen_categories": [(table, name) for name in encoding.categories],
    }


def _not_due(
    spark: SparkSession,
    spec: Spec,
    models: DbtModels,
    columns: Columns,
    start: date,
    end: date,
    rows_scored: int,
) -> int | None:
    if spec.population_model is None:
        return None
    population = spark.table(models.table(spec.population_model))
    return population.where(F.col(columns.partition).between(F.lit(start), F.lit(end))).count() - rows_scored
