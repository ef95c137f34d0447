"""Batch scoring: a range of days in one Spark job, written once however often it is asked for."""

import json
import time
from dataclasses import dataclass
from datetime import date

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.dbt.manifest import DbtModels, current_models
from lakehouse.delta.publications import published_version
from lakehouse.delta.table import TableVersion, create_table, current_version, is_conflict, table_exists
from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress, silent
from ml.data.columns import Columns, columns_of
from ml.model.bundle import read_files
from ml.scoring.inference import score_version
from ml.spec import Spec
from ml.tracking.registry import CHAMPION, ModelVersion, model_by_alias

ATTEMPTS = 5


@dataclass(frozen=True)
class ScoreResult:
    """What a scoring did.

    Args:
        rows_scored: entities of these days that are due.
        rows_written: new rows; none when the same scores were there already.
        not_due: entities of these days that are not due yet; None when the spec names no population.
        table_version: of the predictions table afterwards.
        features: the published version the scores were made from.
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
    scores = score_version(spark, features, columns, read_files(model.folder), start, end)
    # Once, kept on the engine: the scores are counted, compared and written from there.
    scored = _predictions(scores, columns, model, features).localCheckpoint()
    _create_predictions(spark, spec, columns, scored)
    rows_scored = scored.count()
    rows_written = _write(spark, spec, columns, scored, start, end)
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
        seconds=time.monotonic() - started,
    )


def _predictions(
    scored: DataFrame, columns: Columns, model: ModelVersion, features: TableVersion
) -> DataFrame:
    identity = [*(F.col(name).cast("string") for name in columns.entity), F.lit(model.version), "score_bits"]
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
        F.sha2(F.concat_ws("|", *identity), 256).alias("prediction_id"),
    )


def _create_predictions(spark: SparkSession, spec: Spec, columns: Columns, scored: DataFrame) -> None:
    if table_exists(spark, spec.predictions_table):
        return
    create_table(
        spark,
        spec.predictions_table,
        [
            (
                field.name,
                f"{field.dataType.simpleString()}{'' if field.name in _MAY_BE_NULL else ' not null'}",
            )
            for field in scored.schema.fields
        ],
        cluster_by=[columns.partition],
        comment=f"{spec.description}. Insert-only: each different score of an entity by a model version.",
        constraints={"score_is_probability": "score between 0 and 1"},
    )


_MAY_BE_NULL = ("unseen_categories",)


def _write(
    spark: SparkSession, spec: Spec, columns: Columns, scored: DataFrame, start: date, end: date
) -> int:
    """Insert what is not there yet; with nothing to insert, Delta makes no version.

    The commit notes the days that were scored: marts find by it what is new, without a look at all scores.
    """
    table = spec.predictions_table
    spark.conf.set(_USER_METADATA, json.dumps({"days": [[start.isoformat(), end.isoformat()]]}))
    try:
        return _merge(spark, table, columns, scored, start, end)
    finally:
        spark.conf.unset(_USER_METADATA)


_USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"


def _merge(
    spark: SparkSession, table: str, columns: Columns, scored: DataFrame, start: date, end: date
) -> int:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            merged = spark.sql(
                f"""
                merge into {table} as there using {{scored}} as scored
                on there.prediction_id = scored.prediction_id
                    and there.{columns.partition} between date'{start}' and date'{end}'
                when not matched then insert *
                """,
                scored=scored,
            ).collect()
            return int(merged[0]["num_inserted_rows"])
        except PySparkException as error:
            # Another writer came first: what it wrote is now there, and is looked at again.
            if not is_conflict(error) or attempt == ATTEMPTS:
                raise
    return 0


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
