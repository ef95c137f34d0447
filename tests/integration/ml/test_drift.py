"""The mart of drift on a scored platform: its figures, its limits, and what a day's work reads."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pytest
import yaml
from pyspark.sql import SparkSession

from lakehouse.delta.table import local_commits
from lakehouse.engine.session import spark_session
from lakehouse.settings import PROJECT_ROOT
from ml.monitoring.days import MonitoredDay, monitored_days
from ml.monitoring.keep import ensure_reference
from ml.monitoring.reference import CATEGORICAL, SCORE_NAME, Reference, stability_index
from ml.scoring.score import score
from ml.spec import Spec
from ml.tracking.registry import CHAMPION, ModelVersion, model_by_alias
from ml.tracking.runs import find_artifact
from ml.training.train import TrainedModel
from tests.integration.dbt.small_project import SmallProject
from tests.integration.ml.conftest import ROLES, TYPES, Platform

# Its training set ends with August; these days were scored.
FIRST, LAST = date(2013, 9, 1), date(2013, 9, 30)
DAY = date(2013, 9, 20)
DRIFT = """
{{{{
    config(
        materialized='incremental',
        incremental_strategy='replace_where',
        event_date='flight_date',
        inputs=[
            {{'model': '{features}'}},
            {{'source': '{predictions}', 'schema': 'predictions', 'day': 'flight_date'}},
            {{'source': 'reference', 'schema': 'monitoring', 'day': 'cast(null as date)'}},
        ],
    )
}}}}
{{{{ feature_drift('{features}', '{predictions}', entity='flight_id', day='flight_date') }}}}
"""


@dataclass
class Monitored:
    """A scored platform, and a dbt project whose mart looks at its scores."""

    platform: Platform
    project: SmallProject
    version: ModelVersion
    reference: Reference

    @property
    def spark(self) -> SparkSession:
        return spark_session()

    @property
    def spec(self) -> Spec:
        return self.platform.spec

    @property
    def features(self) -> str:
        return f"{self.project.schema}.{self.spec.features_model}"

    @property
    def mart(self) -> str:
        return f"{self.project.schema}.feature_drift_daily"

    @property
    def table(self) -> str:
        """Of references."""
        return f"{self.project.schema}_predictions.reference"

    def build(self) -> str:
        return self.project.dbt("run", "--select", "feature_drift_daily").output


@pytest.fixture(scope="module")
def monitored(
    platform: Platform, model: TrainedModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Monitored]:
    """30 days of scores, their references, and the mart of their drift."""
    project = SmallProject(tmp_path_factory.mktemp("monitored"))
    spec = platform.spec
    features = spec.features_model
    scores = f"{project.schema}_predictions.arrival_delay"
    columns = [
        {
            "name": name,
            "data_type": TYPES.get(role, "string"),
            "description": name,
            "config": {"meta": {"role": role}},
        }
        for name, role in ROLES.items()
    ]
    # A model of dbt's that dbt never builds here: the mart's input, with what a build would have noted.
    project.write(
        f"models/{features}.sql",
        "{{ config(materialized='incremental', incremental_strategy='replace_where',"
        " event_date='flight_date', inputs=[{'source': 'deliveries', 'day': 'day'}]) }}"
        f" select * from {platform.features}",
    )
    sources = (PROJECT_ROOT / "dbt_project/models/marts").glob("_*__sources.yml")
    for path in sources:
        text = path.read_text().replace("predictions_of: flight_features", f"predictions_of: {features}")
        project.write(f"models/{path.name}", text)
    project.write("models/features.yml", yaml.safe_dump({"models": [{"name": features, "columns": columns}]}))
    bronze = {"name": "bronze", "schema": platform.schema, "tables": [{"name": "deliveries"}]}
    project.write("models/_bronze.yml", yaml.safe_dump({"sources": [bronze]}))
    project.write(
        "models/feature_drift_daily.sql", DRIFT.format(features=features, predictions="arrival_delay")
    )
    spark = platform.spark
    spark.sql(f"create schema {project.schema}")
    spark.sql(f"create schema {project.schema}_predictions")
    spark.sql(f"create table {project.schema}.{features} using delta as select * from {platform.features}")
    version = model_by_alias(model.model_name, CHAMPION)
    own = spec.model_copy(update={"predictions_table": scores})
    reference = ensure_reference(spark, own, version, table=f"{project.schema}_predictions.reference")
    score(spark, own, FIRST, LAST, models=platform.models)
    found = Monitored(platform, project, version, reference)
    found.platform = Platform(spark, platform.schema, own, platform.models)
    found.build()
    yield found
    project.drop()


def days_of(monitored: Monitored) -> list[MonitoredDay]:
    models = monitored.platform.models
    nodes = {
        "model.drift": {
            "resource_type": "model",
            "name": "feature_drift_daily",
            "alias": "feature_drift_daily",
            "schema": monitored.project.schema,
            "config": {},
            "columns": {},
        }
    }
    with_mart = type(models)({**models.manifest, "nodes": {**models.manifest["nodes"], **nodes}})
    rule = monitored.spec.monitoring.model_copy(update={"drift_model": "feature_drift_daily"})
    spec = monitored.spec.model_copy(update={"monitoring": rule})
    return monitored_days(monitored.spark, spec, FIRST, LAST, models=with_mart, references=monitored.table)


def test_thirty_stable_days_raise_nothing(monitored: Monitored) -> None:
    days = days_of(monitored)
    assert [day.day for day in days] == [date(2013, 9, number) for number in range(1, 31)]
    assert [(day.day, day.judged.alarms, day.judged.named) for day in days if day.judged.alarms] == []
    assert [day.day for day in days if day.judged.named] == []
    assert all(day.judged.score is not None and day.judged.score.past_days >= 31 for day in days)
    assert {each.name for each in days[0].judged.features} == {
        "carrier_code", "origin_code", "hour", "wait_minutes", "wind_mph"
    }  # fmt: skip


def test_the_mart_computes_what_numpy_does(monitored: Monitored) -> None:
    rows = monitored.spark.table(monitored.mart).where(f"flight_date = '{DAY}'").collect()
    found = {row["feature"]: row for row in rows}
    features = monitored.spark.table(monitored.features).where(f"flight_date = '{DAY}'").toPandas()
    assert len(features) == found["wind_mph"]["row_count"] == 8
    for name, bins in monitored.reference.bins.items():
        if name == SCORE_NAME:
            continue
        if bins.kind == CATEGORICAL:
            at = [2 + bins.categories.index(value) for value in features[name]]
        else:
            values = features[name].astype(float).to_numpy(np.float32)
            at = np.where(np.isnan(values), 0, 1 + np.searchsorted(np.float32(bins.bounds), values, "right"))
        counts = np.bincount(at, minlength=len(bins.rows))
        expected = float(stability_index(counts, np.array(bins.rows)))
        assert found[name]["stability_index"] == pytest.approx(expected, abs=1e-9), name
        assert found[name]["missing_share"] == pytest.approx(counts[0] / 8)
    missing = monitored.reference.bins["wind_mph"].rows
    assert found["wind_mph"]["reference_missing_share"] == missing[0] / sum(missing) > 0
    assert found[SCORE_NAME]["kind"] == "score"


def test_a_version_has_one_reference_however_often_it_is_made(monitored: Monitored) -> None:
    spark, version = monitored.spark, monitored.version
    before = spark.table(monitored.table).count()
    assert before == sum(len(bins.rows) for bins in monitored.reference.bins.values())
    again = ensure_reference(spark, monitored.spec, version, table=monitored.table)
    assert again == monitored.reference
    # Killed before its file was kept: the rows are there, and stay the same.
    kept = find_artifact(version.run_id, "monitoring/reference.json")
    assert kept is not None
    kept.unlink()
    assert ensure_reference(spark, monitored.spec, version, table=monitored.table) == monitored.reference
    assert spark.table(monitored.table).count() == before


def test_a_planted_drift_is_named_the_same_day_and_costs_that_day_alone(monitored: Monitored) -> None:
    spark = monitored.spark
    noted = json.dumps({"days": [[str(DAY), str(DAY)]], "read": {}})
    spark.conf.set("spark.databricks.delta.commitInfo.userMetadata", noted)
    try:
        spark.sql(
            f"update {monitored.features} set wait_minutes = wait_minutes + 500 where flight_date = '{DAY}'"
        )
    finally:
        spark.conf.unset("spark.databricks.delta.commitInfo.userMetadata")
    monitored.build()

    named = {day.day: [each.name for each in day.judged.named] for day in days_of(monitored)}
    assert {day: names for day, names in named.items() if names} == {DAY: ["wait_minutes"]}
    (shares,) = [day.shares["wait_minutes"] for day in days_of(monitored) if day.day == DAY]
    assert shares.unseen == 1 and shares.reference_unseen == 0
    commits = local_commits(monitored.mart, 1)
    assert commits is not None
    assert json.loads(commits[0]["userMetadata"])["days"] == [[str(DAY), str(DAY)]]
