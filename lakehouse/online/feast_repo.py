"""Feast's definitions, generated from dbt's YAML: nothing is declared twice.

A table that is online is a feature view over its published version, and each column of its entity an entity.
Who asks for some features together has a feature service. The registry is a file in the warehouse.
"""

# Feast is not typed to the end.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

# Feast 0.67 calls nobody; older ones did, unless told so.
os.environ["FEAST_USAGE"] = "False"

import feast
from feast import types
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.repo_config import RepoConfig
from feast.value_type import ValueType

from lakehouse.dbt.manifest import DbtModels, meta_of
from lakehouse.delta.publications import view_name
from lakehouse.engine.session import spark_session
from lakehouse.errors import LakehouseError
from lakehouse.online.feast_store import TABLE_TAG, TYPE
from lakehouse.online.tables import OnlineTable, online_tables
from lakehouse.settings import settings

PROJECT = "lakehouse"
_REGEX_NAMES = "spark.sql.parser.quotedRegexColumnNames"
_TYPES: Mapping[str, Any] = {
    "string": types.String,
    "binary": types.Bytes,
    "boolean": types.Bool,
    "tinyint": types.Int32,
    "smallint": types.Int32,
    "int": types.Int32,
    "bigint": types.Int64,
    "float": types.Float32,
    "double": types.Float64,
    "decimal": types.Decimal,
    "date": types.UnixTimestamp,
    "timestamp": types.UnixTimestamp,
    "timestamp_ntz": types.UnixTimestamp,
}


@dataclass(frozen=True)
class Service:
    """Features that are asked for together.

    Args:
        model: dbt's name of their table.
    """

    name: str
    description: str
    model: str
    features: tuple[str, ...]


@dataclass(frozen=True)
class Definitions:
    """What Feast is told of."""

    entities: list[Any]
    views: list[Any]
    services: list[Any]

    @property
    def all(self) -> list[Any]:
        """In the order in which they refer to each other."""
        return [*self.entities, *self.views, *self.services]


def definitions(models: DbtModels, services: Sequence[Service]) -> Definitions:
    """Feast's definitions of the tables that are online.

    Raises:
        LakehouseError: a column has no type in dbt's YAML, or one that Feast lacks.
    """
    tables = online_tables(models)
    entities = {name: _entity(models, table, name) for table in tables for name in table.entity}
    views = {table.model: _view(models, table, entities) for table in tables}
    return Definitions(
        list(entities.values()),
        list(views.values()),
        [
            feast.FeatureService(
                name=each.name,
                description=each.description,
                features=[views[each.model][list(each.features)]],
            )
            for each in services
        ],
    )


def _entity(models: DbtModels, table: OnlineTable, name: str) -> Any:
    column = models.node(table.model)["columns"][name]
    kind = _type(table.model, column)
    return feast.Entity(
        name=name,
        join_keys=[name],
        value_type=ValueType(kind.to_value_type()),
        description=str(column["description"]).strip(),
        owner=_owner(models, table),
    )


def _view(models: DbtModels, table: OnlineTable, entities: Mapping[str, Any]) -> Any:
    node = models.node(table.model)
    columns = [column for name, column in node["columns"].items() if name != table.event_time]
    return feast.FeatureView(
        name=table.model,
        entities=[entities[name] for name in table.entity],
        schema=[_field(table, column) for column in columns],
        source=SparkSource(
            name=f"published_{table.model}",
            table=view_name(table.name),
            timestamp_field=table.event_time,
        ),
        ttl=timedelta(0),
        description=str(node.get("description", "")).strip(),
        owner=_owner(models, table),
        tags={TABLE_TAG: table.name},
    )


def _field(table: OnlineTable, column: Mapping[str, Any]) -> Any:
    role = meta_of(column).get("role")
    return feast.Field(
        name=column["name"],
        dtype=_type(table.model, column),
        description=str(column.get("description", "")).strip(),
        tags={"role": str(role)} if role else {},
    )


def _type(model: str, column: Mapping[str, Any]) -> Any:
    declared = str(column.get("data_type") or "").lower()
    found = _TYPES.get(declared.partition("(")[0])
    if found is None:
        raise LakehouseError(
            f"Feast does not know the type of {model}.{column['name']} in dbt's YAML: {declared or 'none'}",
            f"known: {', '.join(_TYPES)}",
        )
    return found


def _owner(models: DbtModels, table: OnlineTable) -> str:
    """The owner of the model's group."""
    config = models.config(table.model)
    for group in models.manifest.get("groups", {}).values():
        if group["name"] == config.get("group"):
            return str(group.get("owner", {}).get("email") or "")
    return ""


def feature_store() -> Any:
    """Feast's store of this warehouse. Offline it reads by the session of Spark that is active."""
    settings().online_dir.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {
        "project": PROJECT,
        "provider": "local",
        "registry": {"path": str(settings().online_dir / "feast_registry.db")},
        "offline_store": {"type": "spark"},
        "online_store": {"type": TYPE},
        "entity_key_serialization_version": 3,
    }
    return feast.FeatureStore(config=RepoConfig.model_validate(config))


def historical_features(entities: Any, features: Any) -> Any:
    """Features as they were known, by Feast's offline join on Spark, to the bit.

    Feast's own `to_arrow` goes through pandas, where whole numbers beside NULLs become doubles. And it lets
    quoted names be patterns in the session that it uses: Delta's conditions fail there from then on.

    Args:
        entities: a frame of pandas with the entity's columns and `event_timestamp`, or a select of them.
        features: names as VIEW:FEATURE, or a feature service.

    Returns:
        an Arrow table.
    """
    spark = spark_session()
    before = spark.conf.get(_REGEX_NAMES)
    try:
        found = feature_store().get_historical_features(entity_df=entities, features=features)
        return found.to_spark_df().toArrow()
    finally:
        spark.conf.set(_REGEX_NAMES, before or "false")


def apply(models: DbtModels, services: Sequence[Service]) -> Definitions:
    """Write the definitions into the registry; what is no longer declared is taken out."""
    store, wanted = feature_store(), definitions(models, services)
    names = {(type(each), each.name) for each in wanted.all}
    there = [*store.list_feature_services(), *store.list_feature_views(), *store.list_entities()]
    gone = [each for each in there if (type(each), each.name) not in names]
    store.apply(wanted.all, objects_to_delete=gone, partial=False)
    return wanted


def read_through_feast(model: str, entity: Mapping[str, Any]) -> dict[str, Any]:
    """All features of an entity, by Feast's API, which has times in whole seconds, and days as midnights.

    Raises:
        LakehouseError: the view was not applied.
    """
    store = feature_store()
    known = {view.name: view for view in store.list_feature_views()}
    if model not in known:
        raise LakehouseError(f"Feast does not know {model} yet", "run `lakehouse features apply`")
    names = [f"{model}:{field.name}" for field in known[model].features]
    found = store.get_online_features(features=names, entity_rows=[dict(entity)]).to_dict()
    return {name: values[0] for name, values in found.items()}
