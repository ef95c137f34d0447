"""What dbt's manifest says about a model: its table, its columns' roles, and the tables it is built from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lakehouse.dbt import project
from lakehouse.errors import LakehouseError
from ml.data.columns import Columns, columns_from_roles

# Rebuilt from their SQL whenever they are read: what they read is what has to be pinned.
_WITHOUT_ROWS = ("view", "ephemeral", "seed")


@dataclass(frozen=True)
class DbtModels:
    """Models by name, from a parsed `manifest.json`."""

    manifest: Mapping[str, Any]

    def columns(self, model: str) -> Columns:
        """A model's columns by role.

        Raises:
            LakehouseError: there is no such model, or its roles don't fit together.
        """
        return columns_from_roles(model, project.roles_of(self._node(model), self._node))

    def table(self, model: str) -> str:
        """`schema.table` of a model.

        Raises:
            LakehouseError: there is no such model.
        """
        return _table(self._node(model))

    def upstream(self, model: str) -> list[str]:
        """Every table that a model is built from, directly or not, sources among them, but no views.

        Raises:
            LakehouseError: there is no such model.
        """
        found: set[str] = set()
        seen: set[str] = set()
        waiting = list(self._parents(self._node(model)))
        while waiting:
            identifier = waiting.pop()
            if identifier in seen:
                continue
            seen.add(identifier)
            source = self.manifest["sources"].get(identifier)
            if source is not None:
                found.add(f"{source['schema']}.{source['identifier']}")
                continue
            node = self.manifest["nodes"][identifier]
            if node["config"]["materialized"] not in _WITHOUT_ROWS:
                found.add(_table(node))
            waiting.extend(self._parents(node))
        return sorted(found)

    def sources(self) -> set[str]:
        """`schema.table` of every source: what is not built, but delivered."""
        return {f"{source['schema']}.{source['identifier']}" for source in self.manifest["sources"].values()}

    def table_read(self, name: str) -> str | None:
        """`schema.table` of what a note names, `source.table` or a model; None for one of the past."""
        for source in self.manifest["sources"].values():
            if f"{source.get('source_name')}.{source.get('name')}" == name:
                return f"{source['schema']}.{source['identifier']}"
        nodes = self.manifest["nodes"].values()
        found = [_table(node) for node in nodes if node["resource_type"] == "model" and node["name"] == name]
        return found[0] if found else None

    def config(self, model: str) -> Mapping[str, Any]:
        """A model's config.

        Raises:
            LakehouseError: there is no such model.
        """
        return self._node(model)["config"]

    def meta(self, model: str) -> dict[str, Mapping[str, Any]]:
        """The meta of each column of a model, in the YAML's order.

        Raises:
            LakehouseError: there is no such model.
        """
        columns: Mapping[str, Any] = self._node(model)["columns"]
        return {name: project.meta_of(column) for name, column in columns.items()}

    def grain(self, model: str) -> tuple[str, ...]:
        """The columns that name a row, as its test `unique_combination` or `unique` has them; else none."""
        for test in self.manifest["nodes"].values():
            named = test.get("test_metadata") or {}
            if test.get("attached_node") and self.manifest["nodes"][test["attached_node"]]["name"] == model:
                if named.get("name") == "unique_combination":
                    return tuple(named["kwargs"]["columns"])
                if named.get("name") == "unique":
                    return (named["kwargs"]["column_name"],)
        return ()

    def _node(self, model: str) -> Mapping[str, Any]:
        for node in self.manifest["nodes"].values():
            if node["resource_type"] == "model" and node["name"] == model:
                return node
        raise LakehouseError(f"dbt has no model {model}", "is its name right in the spec? `dbt ls` lists all")

    @staticmethod
    def _parents(node: Mapping[str, Any]) -> list[str]:
        depends: Mapping[str, Any] = node.get("depends_on", {})
        return list(depends.get("nodes", []))


def current_models() -> DbtModels:
    """The models of this checkout, in production."""
    return DbtModels(project.manifest())


def _table(node: Mapping[str, Any]) -> str:
    return f"{node['schema']}.{node['alias']}"
