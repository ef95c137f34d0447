"""A score is followed back to rows, batches and landing files, and made again to the same bits."""

import json
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from lakehouse.dbt.manifest import DbtModels
from lakehouse.delta.table import current_version, local_commits, sql_text
from lakehouse.engine.session import spark_session
from lakehouse.errors import LakehouseError
from lakehouse.ingest.source import Source
from ml.explanation.explain import BronzeRow, Explanation, explain
from ml.explanation.feature_rows import Deliveries
from ml.scoring.score import score
from ml.training.train import TrainedModel, train
from tests.integration.ml.conftest import AS_OF, ROLES, Platform, build_platform, train_platform

DAY = date(2013, 9, 3)
# The first flight of that day, predicted at 08:00; id % 11 is not 0, so that it has a wind.
FLIGHT, PREDICT_AT = "f0512", datetime(2013, 9, 3, 8, tzinfo=UTC)

# Bronze: a batch a day of plans, of winds and of what happened; ingested as they stand here.
BRONZE = {
    "plan": "flight_id, flight_date, carrier_code, predict_at - interval 20 hours as planned_at",
    "wind": "origin_code, predict_at - interval 2 hours as observed_at, wind_mph",
    "events": "flight_id, predict_at + interval 6 hours as told_at",
}
FLIGHTS_SQL = """
    select *, planned_at as planned_known_at from {schema}.bronze_plan
"""
WIND_SQL = """
    select origin_code, observed_at + interval 1 hour as known_at,
        to_date(observed_at + interval 1 hour) as known_date, wind_mph
    from {schema}.bronze_wind
"""
FEATURES_SQL = """
    select
        *,
        predict_at - interval 20 hours as planned_known_at,
        predict_at - interval 1 hour as wind_known_at
    from {features}
"""


@dataclass(frozen=True)
class Served:
    """A platform with rows behind its features, its bronze, and a model that scored two days."""

    platform: Platform
    sources: dict[str, Source]
    model: TrainedModel

    def explain(self, flight: str, **asked: Any) -> Explanation:
        return explain(
            spark_session(),
            self.platform.spec,
            [flight],
            models=self.platform.models,
            sources=self.sources,
            **asked,
        )


@pytest.fixture(scope="module")
def served(_engine: None) -> Served:
    spark, schema = spark_session(), f"t_{uuid.uuid4().hex[:10]}"
    spark.sql(f"create schema {schema}")
    platform = build_platform(spark, schema)
    model = train_platform(platform)
    for name, columns in BRONZE.items():
        spark.sql(
            f"""
            create table {schema}.bronze_{name} using delta as
            select
                {columns},
                concat('{name}_', flight_date) as _batch_id,
                concat('{name}/{name}_', flight_date, '.csv') as _source_file,
                current_timestamp() as _ingested_at
            from {platform.features}
            """
        )
    build(platform, f"{schema}.flights", FLIGHTS_SQL, **{"bronze.plan": f"{schema}.bronze_plan"})
    build(platform, f"{schema}.wind", WIND_SQL, **{"bronze.wind": f"{schema}.bronze_wind"})
    build(platform, platform.features, FEATURES_SQL, flights=f"{schema}.flights", wind=f"{schema}.wind")
    platform.publish(platform.features)
    extended = replace(platform, models=with_rows(platform))
    score(spark, platform.spec, DAY, date(2013, 9, 4), models=extended.models)
    return Served(extended, declared(), model)


def build(platform: Platform, table: str, sql: str, **read: str) -> None:
    """Write a table as dbt's strategy does: the commit notes which versions it read."""
    seen = {name: (local_commits(read[name], 1) or [])[0] for name in read}
    note = {
        "days": "all",
        "read": {name: {"version": one["version"], "at": one["timestamp"]} for name, one in seen.items()},
    }
    platform.spark.sql(
        f"create or replace table {table} using delta "
        f"options ('userMetadata' = {sql_text(json.dumps(note))}) "
        f"as {sql.format(schema=platform.schema, features=platform.features)}"
    )


def with_rows(platform: Platform) -> DbtModels:
    """The manifest with models of rows that features come from, and the YAML that says so."""
    schema, manifest = platform.schema, platform.models.manifest

    def node(name: str, grain: list[str], day: str, columns: list[str], *inputs: Any) -> dict[str, Any]:
        model = manifest["nodes"]["model.features"] | {
            "name": name, "alias": name, "columns": {column: {} for column in columns},
            "config": {"materialized": "incremental", "event_date": day, "inputs": list(inputs)},
        }  # fmt: skip
        tested = {"name": "unique_combination", "kwargs": {"columns": grain}}
        test = {"resource_type": "test", "name": f"u_{name}", "attached_node": f"model.{name}"}
        return {f"model.{name}": model, f"test.{name}": test | {"test_metadata": tested}}

    meta: dict[str, Any] = {name: {"role": role} for name, role in ROLES.items()} | {
        "planned_known_at": {"row_of": {"model": "flights"}},
        "wind_known_at": {"row_of": {"model": "wind", "time": "known_at"}},
    }
    typed = manifest["nodes"]["model.features"]["columns"]
    features = manifest["nodes"]["model.features"] | {
        "columns": {name: typed.get(name, {}) | {"config": {"meta": each}} for name, each in meta.items()},
        "config": {"materialized": "incremental", "event_date": "flight_date", "inputs": [{"model": "wind"}]},
    }
    by_plan = {"source": "plan", "day": "flight_date", "lookback": 1}
    by_wind = {"source": "wind", "day": "to_date(observed_at + interval 1 hour)", "lookback": 1}
    nodes = {
        **manifest["nodes"],
        "model.features": features,
        **node(
            "flights", ["flight_id"], "flight_date", ["flight_id", "flight_date", "carrier_code"], by_plan
        ),
        **node(
            "wind",
            ["origin_code", "known_at"],
            "known_date",
            ["origin_code", "known_at", "wind_mph"],
            by_wind,
        ),
    }
    sources = {
        name: {"source_name": "bronze", "name": name, "schema": schema, "identifier": f"bronze_{name}"}
        for name in BRONZE
    }
    older = manifest["sources"]["source.bronze"] | {"source_name": "bronze", "name": "flights"}
    return DbtModels({"sources": {"source.bronze": older, **sources}, "nodes": nodes})


def declared() -> dict[str, Source]:
    def source(name: str, key: str, told: str, delay: int) -> Source:
        columns = [
            {"name": key, "type": "string", "description": key},
            {"name": told, "type": "timestamp", "description": told},
        ]
        return Source.model_validate(
            {
                "name": name, "description": "A test's", "owner": "test", "format": "csv",
                "files": f"{name}/{name}_{{delivery}}.csv", "arrives": "live", "time_zone": "UTC",
                "reported_time": told, "delivery_delay_minutes": delay, "columns": columns,
                "keys": [key] if name == "plan" else [key, told],
            }
        )  # fmt: skip

    return {
        "plan": source("plan", "flight_id", "planned_at", 0),
        "wind": source("wind", "origin_code", "observed_at", 60),
        "events": source("events", "flight_id", "told_at", 15),
    }


def test_a_score_is_followed_back_to_rows_batches_and_landing_files(served: Served) -> None:
    platform, schema = served.platform, served.platform.schema
    stored = (
        platform.spark.table(platform.spec.predictions_table).where(f"flight_id = '{FLIGHT}'").collect()[0]
    )
    its_row = platform.spark.table(platform.features).where(f"flight_id = '{FLIGHT}'").collect()[0]

    found = served.explain(FLIGHT)

    assert found.identical
    assert found.recomputed == found.prediction.score == stored["score"]
    missing = sum(its_row[each.name] is None for each in found.features)
    assert (found.prediction.missing_features, found.prediction.unseen_categories) == (missing, None)
    assert (found.run_id, found.prediction.model_version) == (served.model.run_id, served.model.model_version)
    assert (found.as_of, found.built_in, found.day, found.asked_at) == (AS_OF.isoformat(), 1, DAY, PREDICT_AT)
    assert {each.name: each.value for each in found.features} == {
        "carrier_code": its_row["carrier_code"],
        "origin_code": its_row["origin_code"],
        "hour": its_row["hour"],
        "wait_minutes": its_row["wait_minutes"],
        "wind_mph": float(its_row["wind_mph"]),
    }
    assert [(each.name, each.row, each.is_copied) for each in found.features] == [
        ("carrier_code", 0, True), ("hour", 0, False), ("origin_code", 0, False), ("wait_minutes", 0, False),
        ("wind_mph", 1, True),
    ]  # fmt: skip
    flight, wind = found.rows
    assert (flight.table, flight.version, flight.key) == (f"{schema}.flights", 0, {"flight_id": FLIGHT})
    assert (wind.table, wind.version, wind.state) == (f"{schema}.wind", 0, "same")
    assert wind.key == {"origin_code": its_row["origin_code"]}
    assert wind.known_at == "2013-09-03T07:00:00.000000Z"
    plans = ("plan_2013-09-02", "plan_2013-09-03")
    assert flight.computed_from == (
        Deliveries(f"{schema}.bronze_plan", 0, date(2013, 9, 2), DAY, 2, 16, *plans, is_held=True),
    )
    assert [(each.table, each.first_batch, each.rows) for each in wind.computed_from] == [
        (f"{schema}.bronze_wind", "wind_2013-09-02", 16)
    ]
    assert {each.file for each in found.batches} == {
        f"{name}/{name}_2013-09-0{day}.csv" for name in ("plan", "wind") for day in (2, 3)
    }
    assert [shown(each) for each in found.bronze_rows] == [
        (0, "bronze_plan", 0, datetime(2013, 9, 2, 12, tzinfo=UTC), False, "plan/plan_2013-09-03.csv"),
        (
            0,
            "bronze_events",
            None,
            datetime(2013, 9, 3, 14, 15, tzinfo=UTC),
            True,
            "events/events_2013-09-03.csv",
        ),
        (1, "bronze_wind", 0, datetime(2013, 9, 3, 7, tzinfo=UTC), False, "wind/wind_2013-09-03.csv"),
    ]


def shown(row: BronzeRow) -> tuple[Any, ...]:
    return (row.row, row.table.partition(".")[2], row.version, row.known_at, row.is_later, row.file)


def test_a_score_that_was_tampered_with_is_told(served: Served) -> None:
    served.platform.spark.sql(
        f"update {served.platform.spec.predictions_table} set score = score / 2 where flight_id = 'f0513'"
    )
    found = served.explain("f0513")
    assert not found.identical
    assert found.recomputed == 2 * found.prediction.score


def test_the_first_of_several_scores_is_explained_unless_another_is_asked_for(served: Served) -> None:
    spark, platform = served.platform.spark, served.platform
    before = served.explain("f0514")
    spark.sql(f"update {platform.features} set wait_minutes = 119 - wait_minutes where flight_id = 'f0514'")
    platform.publish(platform.features)
    score(spark, platform.spec, DAY, DAY, models=platform.models)

    first = served.explain("f0514")
    (other,) = first.others
    second = served.explain("f0514", prediction_id=other.prediction_id[:12])

    assert first.prediction == before.prediction
    assert (first.identical, second.identical) == (True, True)
    assert (second.prediction, second.others) == (other, (first.prediction,))
    waits = [{each.name: each.value for each in found.features}["wait_minutes"] for found in (first, second)]
    assert sum(waits) == 119
    with pytest.raises(LakehouseError, match="'beef' is none of its predictions"):
        served.explain("f0514", prediction_id="beef")


def test_another_model_version_is_explained_by_its_own_model(served: Served) -> None:
    platform = served.platform
    training = platform.spec.training.model_copy(update={"seed": 8})
    challenger = train(
        platform.spark, platform.spec.model_copy(update={"training": training}), AS_OF, models=platform.models
    )
    day = date(2013, 9, 20)
    score(platform.spark, platform.spec, day, day, alias="challenger", models=platform.models)

    found = served.explain("f0648", version=challenger.model_version)

    assert (found.identical, found.run_id) == (True, challenger.run_id)
    with pytest.raises(LakehouseError, match=f"it was by version {challenger.model_version}"):
        served.explain("f0648")


def test_what_was_not_scored_is_refused_with_what_to_do(served: Served) -> None:
    with pytest.raises(LakehouseError, match="has no flight_id f9999"):
        served.explain("f9999")
    with pytest.raises(
        LakehouseError, match=r"flight_id f0700 was not scored .*\n.* --spec [a-z0-9_]+ --date 2013-09-26"
    ):
        served.explain("f0700")
    with pytest.raises(LakehouseError, match="2 values do not name an entity"):
        explain(spark_session(), served.platform.spec, ["f0512", "x"], models=served.platform.models)


def test_rows_that_changed_or_are_gone_are_told_while_the_score_stands(served: Served) -> None:
    spark, wind = served.platform.spark, f"{served.platform.schema}.wind"
    spark.sql(f"update {wind} set wind_mph = 99.9")
    assert served.explain("f0515").rows[1].state == "same", "an older version is read"

    assert current_version(spark, wind).version == 1
    spark.sql(f"drop table {wind}")
    gone = served.explain("f0515")
    spark.sql(f"create table {wind} using delta as {WIND_SQL.format(schema=served.platform.schema)}")
    anew = served.explain("f0515")

    assert [(each.rows[1].state, each.identical) for each in (gone, anew)] == [("not held", True)] * 2
    assert anew.rows[0].state == "same"
