"""dbt's models: one definition for each stretch between two gates, all partitioned by day.

One definition is one `dbt build`. A gate inside one would stop nothing in it: dbt goes on by its own graph.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from expectations.suite import Gate
from lakehouse.dbt.manifest import manifest
from lakehouse.engine.session import spark_session
from orchestration.partitions import DAYS, ONE_RUN
from orchestration.requirements import require, sources_read
from orchestration.resources import EngineDbt, left_out
from orchestration.translator import Translator, table_key
from orchestration.writing import writing

# dbt tag → the gates that must have passed before its models are built. Marts have none: they read what is
# published, and how good past scores were is worth seeing while a gate is red.
STRETCHES: dict[str, tuple[Gate, ...]] = {
    "features": ("bronze",),
    "training": ("features",),
    "marts": (),
}


def _dbt_definition(tag: str, gates: tuple[Gate, ...]) -> dg.AssetsDefinition:
    @dbt_assets(
        manifest=manifest(),
        select=f"tag:{tag}",
        exclude=left_out(),
        name=f"dbt_{tag}",
        dagster_dbt_translator=Translator(),
        partitions_def=DAYS,
        backfill_policy=ONE_RUN,
    )
    def build(context: dg.AssetExecutionContext, dbt: EngineDbt) -> Iterator[Any]:
        with writing(context):
            for gate in gates:
                require(spark_session(), gate, _read_behind(gate, context.selected_asset_keys))
            yield from dbt.build(context)

    return build


def _read_behind(gate: Gate, selected: AbstractSet[dg.AssetKey]) -> set[str] | None:
    """The tables of a gate that the selected models need; None for all.

    A source that failed stops what is made from it. What the other gates check is published as a whole.
    """
    if gate != "bronze":
        return None
    nodes: Mapping[str, Any] = manifest()["nodes"]
    models = [
        identifier
        for identifier, node in nodes.items()
        if node["resource_type"] in ("model", "seed", "snapshot")
        and table_key(f"{node['schema']}.{node['alias']}") in selected
    ]
    return sources_read(manifest(), models)


def dbt_definitions() -> list[dg.AssetsDefinition]:
    """All models and seeds of the project, in the order in which a run builds them."""
    tags = {tag for node in manifest()["nodes"].values() for tag in node["tags"]}
    return [_dbt_definition(tag, gates) for tag, gates in STRETCHES.items() if tag in tags]
