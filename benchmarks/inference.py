"""Batch scoring against passing the same rows through Python, and against MLflow's own Spark UDF.

    python -m benchmarks.inference [--days 28] [--repeat 3]

All three score the same columns of the newest days of the published features, from the table to nowhere; ours
and MLflow's scores are compared first. Of each the fastest of some runs counts, taken in turns.
"""

import argparse
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import mlflow.pyfunc
import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

from benchmarks.published import published
from benchmarks.timing import fastest
from lakehouse.delta.publications import published_version
from lakehouse.delta.table import read_at
from lakehouse.engine.session import spark_session
from ml.data.columns import columns_of
from ml.model.bundle import read_files
from ml.scoring.inference import score_version
from ml.tracking.registry import CHAMPION, model_by_alias
from ml.tracking.runs import client

IDENTITY_GOAL, UDF_GOAL = 1.3, 3.0


def identity(batches: Iterator[Any]) -> Iterator[Any]:
    """What it costs to be in Python at all."""
    yield from batches


def to_nowhere(rows: DataFrame) -> None:
    """Compute all rows, keep none."""
    rows.write.format("noop").mode("overwrite").save()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--days", type=int, default=28)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    spark = spark_session()
    source = published(spark)
    columns = columns_of(source.models, source.spec.features_model)
    features = published_version(spark, source.models.table(source.spec.features_model))
    due = read_at(spark, features)
    last: date = due.agg(F.max(columns.partition)).collect()[0][0]
    start = last - timedelta(days=arguments.days - 1)
    rows = due.where(F.col(columns.partition).between(F.lit(start), F.lit(last)))
    client()
    model = model_by_alias(source.spec.registered_model, CHAMPION)
    files = read_files(model.folder)
    udf = mlflow.pyfunc.spark_udf(
        spark, f"models:/{model.name}/{model.version}", result_type="float", env_manager="local"
    )

    def argument(name: str) -> Column:
        kind = "double" if name in columns.numeric else "string"
        return F.col(name).cast(kind).alias(name)

    kept = [*columns.entity, columns.event_time, columns.partition, *columns.features]
    passed = rows.select(*kept)
    ours = score_version(spark, features, columns, files, start, last)
    theirs = rows.select(
        *columns.entity, udf(F.struct(*[argument(name) for name in columns.features])).alias("score")
    )
    pairs = ours.join(theirs.withColumnRenamed("score", "other"), list(columns.entity)).toPandas()
    assert len(pairs) == rows.count()
    assert np.allclose(pairs["score"], pairs["other"], atol=1e-6)
    bare, scored, by_udf = fastest(
        [
            lambda: to_nowhere(passed.mapInArrow(identity, passed.schema)),
            lambda: to_nowhere(ours),
            lambda: to_nowhere(theirs),
        ],
        arguments.repeat,
    )
    shown = Table("", "ratio", "goal", title=f"{len(pairs):,} rows, {len(columns.features)} features")
    shown.add_row("ours / an identity mapInArrow", f"{scored / bare:.2f}", f"≤ {IDENTITY_GOAL:g}")
    shown.add_row("MLflow's spark_udf / ours", f"{by_udf / scored:.2f}", f"≥ {UDF_GOAL:g}")
    Console().print(shown)


if __name__ == "__main__":
    main()
