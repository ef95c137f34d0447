"""How dbt's models, seeds and tests become assets and checks of the graph."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtProject

from lakehouse.addresses import dbt_docs
from lakehouse.ingest.source import DELIVERIES
from lakehouse.settings import PROJECT_ROOT
from orchestration.owners import ANALYSTS, as_owner

BRONZE_GATE = dg.AssetKey(["gates", "bronze"])
LEDGER = dg.AssetKey(["bronze", DELIVERIES])


def table_key(name: str) -> dg.AssetKey:
    """The asset of a table or view: its schema and its name.

    >>> table_key("features.flight_features").to_user_string()
    'features/flight_features'
    """
    return dg.AssetKey(name.split("."))


def published_key(name: str) -> dg.AssetKey:
    """The asset of what readers of a gated table see.

    >>> published_key("features.flight_features").to_user_string()
    'published/flight_features'
    """
    return dg.AssetKey(["published", name.split(".")[-1]])


def gate_of(node: Mapping[str, Any]) -> str | None:
    """The gate that a model is checked by, or None."""
    gate = node.get("config", {}).get("meta", {}).get("gate")
    return None if gate is None else str(gate)


class Translator(DagsterDbtTranslator):
    """Assets are named as their tables; what reads across a gate depends on what the gate publishes."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Schema and name of the table: `features/flight_features`."""
        name = dbt_resource_props.get("alias") or dbt_resource_props["name"]
        return dg.AssetKey([dbt_resource_props["schema"], name])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The layer."""
        return str(dbt_resource_props["schema"])

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        """dbt's node as an asset, with the gate that stands before it among what it depends on."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = self.get_resource_props(manifest, unique_id)
        if node["resource_type"] == "source":
            return spec
        view = node["config"].get("materialized") == "view"
        return spec.replace_attributes(
            deps=self._deps(manifest, node, spec),
            owners=[as_owner(owner) for owner in spec.owners] or [_group_owner(manifest, node)],
            kinds={"dbt", "spark", "view" if view else "deltalake"},
        ).merge_attributes(
            metadata={
                "dbt_docs": dg.MetadataValue.url(dbt_docs(unique_id)),
                "dagster/code_references": dg.CodeReferencesMetadataValue(
                    code_references=[
                        dg.LocalFileCodeReference(file_path=str(PROJECT_ROOT / node["original_file_path"]))
                    ]
                ),
            }
        )

    def _deps(
        self, manifest: Mapping[str, Any], node: Mapping[str, Any], spec: dg.AssetSpec
    ) -> list[dg.AssetDep]:
        parents = [
            self.get_resource_props(manifest, parent) for parent in node["depends_on"].get("nodes", [])
        ]
        own_gate = gate_of(node)
        behind = {
            self.get_asset_key(parent): published_key(
                self.get_asset_key(parent).to_user_string().replace("/", ".")
            )
            for parent in parents
            if parent["resource_type"] == "model" and gate_of(parent) not in (None, own_gate)
        }
        keys = [behind.get(dep.asset_key, dep.asset_key) for dep in spec.deps]
        if len(keys) > 1 and LEDGER in keys:
            # Almost all models know the frontier of deliveries: an edge each would hide the others.
            keys.remove(LEDGER)
        if any(key.path[0] == "bronze" for key in keys):
            keys.append(BRONZE_GATE)
        return [dg.AssetDep(key) for key in dict.fromkeys(keys)]


def _group_owner(manifest: Mapping[str, Any], node: Mapping[str, Any]) -> str:
    """The owner of a node's dbt group."""
    owners = {
        group["name"]: group.get("owner", {}).get("email") for group in manifest.get("groups", {}).values()
    }
    owner = owners.get(node["config"].get("group"))
    return str(owner) if owner else ANALYSTS
