"""Feast's API over what we push, and its offline join beside a naive one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from lakehouse.dbt.manifest import DbtModels
from lakehouse.delta.publications import publish
from lakehouse.delta.table import current_version
from lakehouse.errors import LakehouseError
from lakehouse.online.feast_repo import Service, apply, feature_store, historical_features
from lakehouse.online.push import push
from lakehouse.online.store import open_store
from lakehouse.online.tables import online_tables

START = datetime(2013, 9, 1, tzinfo=UTC)
# Entity, hours after the start from when it is known, and two values; a late one is known after newer ones.
ROWS = [
    ("EWR", 0, 1.5, 10),
    ("EWR", 6, None, 11),
    ("EWR", 6, 2.5, 12),
    ("EWR", 30, -0.0, None),
    ("JFK", 5, 9.25, 2**53 + 1),
    ("JFK", 29, None, None),
    ("LGA", 12, 0.1, -1),
]
ROLES = {
    "origin_code": "entity",
    "as_of": "event_time",
    "day": "partition",
    "wind": "numeric",
    "seen": "numeric",
}
TYPES = {"origin_code": "string", "as_of": "timestamp", "day": "date", "wind": "double", "seen": "bigint"}


@pytest.fixture
def models(spark: SparkSession, schema: str) -> DbtModels:
    """A published table of several rows per entity."""
    name = f"weather_{schema}"
    rows = [
        (origin, START + timedelta(hours=hour), (START + timedelta(hours=hour)).date(), wind, seen)
        for origin, hour, wind, seen in ROWS
    ]
    types = ", ".join(f"{column} {kind}" for column, kind in TYPES.items())
    spark.createDataFrame(rows, types).write.format("delta").saveAsTable(f"{schema}.{name}")
    publish(spark, [current_version(spark, f"{schema}.{name}")], "test", "test")
    columns = {
        column: {
            "name": column,
            "data_type": TYPES[column],
            "description": f"The {column}",
            "config": {"meta": {"role": role}},
        }
        for column, role in ROLES.items()
    }
    node = {"resource_type": "model", "name": name, "alias": name, "schema": schema, "columns": columns}
    return DbtModels(
        {
            "nodes": {"model.w": node | {"config": {"materialized": "table"}, "description": "Weather"}},
            "sources": {},
        }
    )


def test_feast_reads_what_was_pushed(spark: SparkSession, models: DbtModels) -> None:
    (table,) = online_tables(models)
    push(spark, table)
    apply(models, [Service("winds", "What a model reads", table.model, ("wind",))])
    store, keys = feature_store(), [{"origin_code": code} for code in ("EWR", "JFK", "LGA", "BOS")]
    reader = open_store()
    ours = reader.rows(table.name, keys)
    reader.close()

    names = [f"{table.model}:{name}" for name in ("wind", "seen")]
    found = store.get_online_features(features=names, entity_rows=keys).to_dict()
    for name in ("wind", "seen"):
        assert list(map(repr, found[name])) == [repr(row.values[name] if row else None) for row in ours]
    assert found["wind"][0] is not None
    assert found["seen"][:2] == [None, None]
    of_service = store.get_online_features(features=store.get_feature_service("winds"), entity_rows=keys)
    assert of_service.to_dict().keys() == {"origin_code", "wind"}
    with pytest.raises(LakehouseError, match="comes from a release"):
        store.write_to_online_store(table.model, pd.DataFrame([_frame_row()]))


def _frame_row() -> dict[str, Any]:
    return {"origin_code": "EWR", "as_of": START, "day": START, "wind": 1.0, "seen": 1}


@pytest.mark.slow
def test_feasts_offline_join_is_the_naive_one_but_for_ties(spark: SparkSession, models: DbtModels) -> None:
    (table,) = online_tables(models)
    apply(models, [])
    asked = [(origin, hour) for origin in ("EWR", "JFK", "LGA", "BOS") for hour in (0, 4, 5, 6, 28, 29, 40)]
    entities = pd.DataFrame(
        {
            "origin_code": [origin for origin, _ in asked],
            "event_timestamp": [START + timedelta(hours=hour) for _, hour in asked],
        }
    )
    names = [f"{table.model}:{name}" for name in ("wind", "seen")]
    found = historical_features(entities, names).to_pylist()
    # A name in backticks is one column, as ever.
    assert spark.sql("select `.*` from (select 1 as `.*`, 2 as other)").columns == [".*"]
    given = {
        (row["origin_code"], row["event_timestamp"].replace(tzinfo=None)): (row["wind"], row["seen"])
        for row in found
    }
    assert len(given) == len(asked)
    for origin, hour in asked:
        known = [row for row in ROWS if row[0] == origin and row[1] <= hour]
        newest = max((row[1] for row in known), default=None)
        # Of two rows with the same time Feast takes either: ours has a total order.
        possible = [row[2:] for row in known if row[1] == newest] or [(None, None)]
        assert given[origin, (START + timedelta(hours=hour)).replace(tzinfo=None)] in possible, (origin, hour)
