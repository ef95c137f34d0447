"""A few days of real flights from landing files to scores, on whatever engine a process is given.

Prints hashes of all that came of it, as JSON: rows, columns, weights and scores.
"""

import json
import sys
from datetime import date

from pyspark.sql import SparkSession

from demo.publish import publish
from demo.story import UP_TO_THE_MODEL
from lakehouse.dbt.manifest import current_models
from lakehouse.delta.content_hash import content_hash
from lakehouse.engine.session import spark_session
from ml.data.columns import columns_of
from ml.scoring.score import score
from ml.spec import load_spec
from ml.tracking.names import WEIGHTS_DIGEST
from ml.tracking.runs import client
from ml.training import inputs
from ml.training.train import train
from orchestration.run import materialize

FIRST, VALIDATION, LAST, AS_OF = date(2013, 9, 1), date(2013, 9, 2), date(2013, 9, 3), date(2013, 9, 4)


def build() -> None:
    """Ingest, build, check and publish."""
    publish(FIRST, LAST)
    materialize(UP_TO_THE_MODEL, (FIRST, LAST))


def model(spark: SparkSession) -> dict[str, object]:
    """Train one epoch, and score the last day."""
    spec = load_spec("arrival_delay")
    spec = spec.model_copy(update={"training": spec.training.model_copy(update={"epochs": 1})})
    # Three days hold no whole month: the last two validate.
    setattr(inputs, "validation_month", lambda _: (VALIDATION, AS_OF))  # noqa: B010
    trained = train(spark, spec, AS_OF)
    version = client().get_model_version(trained.model_name, trained.model_version)
    scored = score(spark, spec, LAST, LAST)
    entity = columns_of(current_models(), spec.features_model).entity
    found = spark.table(spec.predictions_table).select(*entity, "score")
    return {
        "weights": version.tags[WEIGHTS_DIGEST],
        "metrics": trained.metrics,
        "scored": scored.rows_written,
        "scores": content_hash(found).rows,
    }


def tables(spark: SparkSession) -> dict[str, str]:
    """The content hash of all that was built; bronze and records also say when something was done."""
    names = [
        f"{schema}.{row.tableName}"
        for schema in ("intermediate", "published")
        for row in spark.sql(f"show tables in {schema}").collect()
    ]
    return {name: content_hash(spark.table(name)).rows for name in names}


def main(steps: str) -> None:
    """Do steps, and print what came of them."""
    found: dict[str, object] = {}
    if "build" in steps:
        build()
        found["tables"] = tables(spark_session())
    if "model" in steps:
        found["model"] = model(spark_session())
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
