"""What a process of its own does in a warehouse: make one worth a backup, and say what is in it."""

from typing import Any

import mlflow
from pyspark.sql import SparkSession

from lakehouse.delta.table import current_version
from lakehouse.engine.session import spark_session
from lakehouse.settings import settings
from ml.tracking.registry import CHAMPION, model_by_alias
from ml.tracking.runs import artifact, client
from tests.integration.ml.conftest import build_platform, train_platform

SCHEMA = "flights"
FEATURES, TRAINING = f"{SCHEMA}.features_{SCHEMA}", f"{SCHEMA}.training_{SCHEMA}"
CLONE, OUTSIDE = "dev_ann.training", "dev_ann.outside"


def make() -> dict[str, Any]:
    """A trained model, published tables, a view made with other SQL settings, a shallow clone."""
    spark = spark_session()
    spark.sql(f"create schema {SCHEMA}")
    model = train_platform(build_platform(spark, SCHEMA))
    # A commit after the one that is published and pinned.
    spark.sql(f"update {FEATURES} set wind_mph = 0 where wind_mph is null")
    spark.conf.set("spark.sql.ansi.enabled", "false")
    spark.sql(f"create view {SCHEMA}.lenient as select cast('none' as int) as number")
    spark.conf.set("spark.sql.ansi.enabled", "true")
    spark.sql("create schema dev_ann")
    spark.sql(f"create table {CLONE} shallow clone {TRAINING}")
    folder = settings().warehouse.with_name("outside").as_uri()
    spark.sql(f"create table {OUTSIDE} using delta location '{folder}' as select 1 as id")
    return {"run_id": model.run_id, **contents()}


def contents() -> dict[str, Any]:
    """What must be the same wherever this warehouse lies."""
    spark = spark_session()
    name = f"model_{SCHEMA}"
    champion = mlflow.pyfunc.load_model(f"models:/{name}/{model_by_alias(name, CHAMPION).version}")
    example = champion.input_example
    return {
        "tables": {table: _table(spark, table) for table in (FEATURES, TRAINING, "lakehouse.publications")},
        "published": spark.table(f"published.{TRAINING.rpartition('.')[2]}").count(),
        "latest": _wind(spark, FEATURES),
        "shown": _wind(spark, f"published.{FEATURES.rpartition('.')[2]}"),
        "lenient": spark.table(f"{SCHEMA}.lenient").collect()[0].number,
        "scores": [float(score) for score in champion.predict(example)["score"]],
    }


def _wind(spark: SparkSession, name: str) -> float:
    return spark.sql(f"select cast(sum(wind_mph) as double) as wind from {name}").collect()[0].wind


def _table(spark: SparkSession, name: str) -> dict[str, Any]:
    version = current_version(spark, name)
    history = spark.sql(f"describe history {name}").select("version", "timestamp", "operation").collect()
    described = {row.col_name: row.data_type for row in spark.sql(f"describe extended {name}").collect()}
    return {
        "id": version.table_id,
        "version": version.version,
        "history": [[row.version, f"{row.timestamp:%F %T.%f}", row.operation] for row in history],
        "type": described["Type"],
    }


def go_on() -> dict[str, Any]:
    """Work on in a restored warehouse: commits, tables made, replaced and dropped, a clone, a run."""
    spark = spark_session()
    spark.sql(f"insert into {FEATURES} select * from {FEATURES} limit 1")
    spark.sql(f"create or replace table {TRAINING} using delta as select * from {TRAINING} version as of 0")
    spark.sql(f"create or replace table {CLONE} shallow clone {TRAINING}")
    spark.sql(f"create table {SCHEMA}.later using delta as select 1 as id")
    spark.sql("create schema later")
    spark.sql(f"drop table {SCHEMA}.bronze_flights")
    experiment = client().get_experiment_by_name(f"spec_{SCHEMA}")
    assert experiment is not None
    run = client().create_run(experiment.experiment_id)
    client().log_text(run.info.run_id, "here", "note.txt")
    schema = {row.info_name: row.info_value for row in spark.sql("describe schema later").collect()}
    return {
        "features": current_version(spark, FEATURES).version,
        "training": current_version(spark, TRAINING).version,
        "clone": spark.table(CLONE).count(),
        "table": spark.sql(f"describe detail {SCHEMA}.later").collect()[0].location,
        "schema": schema["Location"],
        "artifacts": run.info.artifact_uri,
        "note": artifact(run.info.run_id, "note.txt").read_text(),
    }
