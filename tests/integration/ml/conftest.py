"""A tiny platform: random flights as published features and training set, and a spec that learns fast."""

import uuid
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.dbt.manifest import DbtModels
from lakehouse.delta.publications import publish
from lakehouse.delta.table import TableVersion, current_version, table_properties
from lakehouse.engine.session import spark_session
from ml.spec import Spec
from ml.training.train import TrainedModel, train

ROLES = {
    "flight_id": "entity",
    "flight_date": "partition",
    "predict_at": "event_time",
    "carrier_code": "categorical",
    "origin_code": "categorical",
    "hour": "numeric",
    "wait_minutes": "numeric",
    "wind_mph": "numeric",
}
# Of those that name a prediction.
TYPES = {"entity": "string", "partition": "date", "event_time": "timestamp"}
LABEL_ROLES = {"is_late": "label", "label_known_at": "label_time", "label_superseded_at": "label_end"}

AS_OF = date(2013, 9, 1)

# 92 days from 1 July, 8 flights each; late when the wait is long, more often in the evening.
FEATURES_SQL = """
    select
        concat('f', lpad(cast(id as string), 4, '0')) as flight_id,
        date_add(date'2013-07-01', cast(id / 8 as int)) as flight_date,
        timestampadd(hour, 8 + cast(id + 24 * cast(id / 8 as int) - 8 * cast(id / 8 as int) as int),
            timestamp'2013-07-01T00:00:00Z') as predict_at,
        element_at(array('AA', 'B6', 'UA'), cast(pmod(hash(id, 1), 3) as int) + 1) as carrier_code,
        element_at(array('EWR', 'JFK', 'LGA'), cast(pmod(hash(id, 2), 3) as int) + 1) as origin_code,
        cast(8 + id % 8 as int) as hour,
        cast(pmod(hash(id, 3), 120) as bigint) as wait_minutes,
        if(id % 11 = 0, null, cast(pmod(hash(id, 4), 400) / 10 as decimal(5, 1))) as wind_mph
    from range(736)
"""
TRAINING_SQL = """
    select
        *,
        wait_minutes + 5 * hour + pmod(hash(flight_id, 5), 60) > 140 as is_late,
        timestampadd(hour, 6, predict_at) as label_known_at,
        cast(null as timestamp) as label_superseded_at,
        cast(wait_minutes as int) as arr_delay_minutes
    from {features}
"""


def _node(
    schema: str, name: str, columns: dict[str, str], materialized: str, parents: list[str]
) -> dict[str, Any]:
    return {
        "resource_type": "model",
        "name": name,
        "alias": name,
        "schema": schema,
        "config": {"materialized": materialized},
        "columns": {
            column: {
                "name": column,
                "data_type": TYPES.get(role, ""),
                "description": f"The {column}",
                "config": {"meta": {"role": role}},
            }
            for column, role in columns.items()
        },
        "depends_on": {"nodes": parents},
    }


@dataclass
class Platform:
    """Tables `features_x` and `training_x` in one schema, which names them."""

    spark: SparkSession
    schema: str
    spec: Spec
    models: DbtModels

    @property
    def features(self) -> str:
        return self.models.table(self.spec.features_model)

    @property
    def training(self) -> str:
        return self.models.table(self.spec.training_model)

    def publish(self, *names: str) -> list[TableVersion]:
        versions = [current_version(self.spark, name) for name in names]
        publish(self.spark, versions, "test", "test")
        return versions


def build_platform(spark: SparkSession, schema: str) -> Platform:
    features, training = f"features_{schema}", f"training_{schema}"
    properties = ", ".join(f"'{key}' = '{value}'" for key, value in table_properties().items())

    def build(name: str, sql: str) -> None:
        spark.sql(f"create table {schema}.{name} using delta tblproperties ({properties}) as {sql}")

    spark.sql(f"create table {schema}.bronze_flights (id bigint) using delta")
    build(features, FEATURES_SQL)
    build(training, TRAINING_SQL.format(features=f"{schema}.{features}"))
    made = existing_platform(spark, schema)
    made.publish(made.features, made.training)
    return made


def existing_platform(spark: SparkSession, schema: str) -> Platform:
    """What was built in a schema, perhaps by another process."""
    features, training = f"features_{schema}", f"training_{schema}"
    training_roles = ROLES | LABEL_ROLES
    models = DbtModels(
        {
            "sources": {"source.bronze": {"schema": schema, "identifier": "bronze_flights"}},
            "nodes": {
                "model.staging": _node(schema, "staging", {}, "view", ["source.bronze"]),
                "model.features": _node(schema, features, ROLES, "incremental", ["model.staging"]),
                "model.training": _node(schema, training, training_roles, "incremental", ["model.features"]),
            },
        }
    )
    return Platform(spark, schema, small_spec(schema, features, training), models)


def train_platform(platform: Platform) -> TrainedModel:
    return train(platform.spark, platform.spec, AS_OF, models=platform.models)


@pytest.fixture(scope="session")
def platform(_engine: None) -> Platform:
    """Shared: its published versions stay as they are."""
    spark, schema = spark_session(), f"t_{uuid.uuid4().hex[:10]}"
    spark.sql(f"create schema {schema}")
    return build_platform(spark, schema)


@pytest.fixture(scope="session")
def model(platform: Platform) -> TrainedModel:
    """The shared platform's model as of 1 September."""
    return train_platform(platform)


def small_spec(schema: str, features: str, training: str) -> Spec:
    return Spec.model_validate(
        {
            "name": f"spec_{schema}",
            "description": "A test's model",
            "registered_model": f"model_{schema}",
            "training_model": training,
            "features_model": features,
            "population_model": features,
            "predictions_table": f"{schema}.predictions",
            "time_zone": "America/New_York",
            "validation": "last_whole_month",
            "segments": ["carrier_code", "origin_code"],
            "crosses": [["carrier_code", "origin_code"]],
            "encoding": {"bins": 8, "min_bin_rows": 20, "rare_below": 5},
            "network": {
                "hidden": [16],
                "heads": 2,
                "embedding_width": 3,
                "dropout": 0.1,
                "input_dropout": 0.0,
            },
            "training": {
                "epochs": 6,
                "patience": 3,
                "batch_size": 32,
                "learning_rate": 0.02,
                "weight_decay": 0.01,
                "ema_decay": 0.95,
                "threads": 1,
                "seed": 7,
                "refit": True,
            },
        }
    )
