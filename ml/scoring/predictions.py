"""The table of predictions: made when it is first needed, and only ever added to."""

import json
from collections.abc import Sequence
from datetime import date

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from lakehouse.dbt.manifest import DbtModels
from lakehouse.dbt.predictions import declaration
from lakehouse.delta.table import create_table, is_conflict, table_exists
from ml.spec import Spec

ATTEMPTS = 5
_USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"


def create_predictions(spark: SparkSession, spec: Spec, models: DbtModels) -> None:
    """Make the table of a spec's predictions, unless it is there."""
    if table_exists(spark, spec.predictions_table):
        return
    declared = declaration(models.node(spec.features_model))
    create_table(
        spark,
        spec.predictions_table,
        declared.sql_columns,
        cluster_by=[declared.cluster_by],
        comment=f"{spec.description}. Insert-only: each different score of an entity by a model version.",
        constraints=declared.checks,
    )


def add_predictions(
    spark: SparkSession, table: str, scored: DataFrame, partition: str, days: Sequence[tuple[date, date]]
) -> int:
    """Insert what is not there yet; with nothing to insert, Delta makes no version.

    The commit notes the days that were scored: marts find by it what is new, without a look at all scores.

    Args:
        scored: rows of the table, each `prediction_id` once.
        partition: the column of local days.
        days: ranges of days, both ends included, ascending, in which all rows of `scored` lie.

    Returns:
        how many rows are new.
    """
    noted = [[first.isoformat(), last.isoformat()] for first, last in days]
    within = f"between date'{days[0][0]}' and date'{days[-1][1]}'"
    spark.conf.set(_USER_METADATA, json.dumps({"days": noted}))
    try:
        return insert_new(spark, table, scored, "prediction_id", f"there.{partition} {within}")
    finally:
        spark.conf.unset(_USER_METADATA)


def insert_new(spark: SparkSession, table: str, rows: DataFrame, key: str, within: str) -> int:
    """Insert the rows whose key is not in a table; whoever writes at the same time is waited for.

    Args:
        within: a condition on the table `there`, which all rows meet: less of it is read.

    Returns:
        how many there were.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            merged = spark.sql(
                f"""
                merge into {table} as there using {{rows}} as new
                on there.{key} = new.{key} and {within}
                when not matched then insert *
                """,
                rows=rows,
            ).collect()
            return int(merged[0]["num_inserted_rows"])
        except PySparkException as error:
            # Another writer came first: what it wrote is now there, and is looked at again.
            if not is_conflict(error) or attempt == ATTEMPTS:
                raise
    return 0
