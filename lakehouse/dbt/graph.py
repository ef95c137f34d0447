"""What dbt's graph knows of models and sources, as a build asks it."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from lakehouse.dbt.increments import Input
from lakehouse.errors import LakehouseError

Node = Mapping[str, Any]


class Graph:
    """dbt's own graph: nodes and sources by unique id, as its context has them."""

    def __init__(self, graph: Mapping[str, Any]) -> None:
        self.raw = graph

    def node(self, unique_id: str) -> Node:
        """A node by its unique id."""
        return self.raw["nodes"][unique_id]

    def model(self, name: str) -> Node:
        """A model by its name.

        Raises:
            LakehouseError: there is none.
        """
        for node in self._models():
            if node["name"] == name:
                return node
        raise LakehouseError(f"dbt has no model {name}", "`dbt ls --resource-type model` lists all")

    def model_of(self, table: str) -> Node | None:
        """The model whose table (or view) is `schema.name`."""
        return next((node for node in self._models() if table_of(node) == table), None)

    def table_of_input(self, given: Input) -> str:
        """The table of an input, `schema.name`.

        Raises:
            LakehouseError: dbt knows no such model or source.
        """
        if not given.is_source:
            return table_of(self.model(given.name))
        owner, _, name = given.name.partition(".")
        for source in self.raw["sources"].values():
            if (source["source_name"], source["name"]) == (owner, name):
                return f"{source['schema']}.{source['identifier']}"
        raise LakehouseError(f"dbt has no source {given.name}", "`dbt ls --resource-type source` lists all")

    def seeds_of(self, model: Node) -> list[str]:
        """The tables of the seeds that a model reads, in order."""
        nodes: Mapping[str, Node] = self.raw["nodes"]
        read = (nodes[each] for each in sorted(model["depends_on"]["nodes"]) if each in nodes)
        return [table_of(node) for node in read if node["resource_type"] == "seed"]

    def gate_of(self, table: str) -> str | None:
        """The gate that checks a model's table; None for any other table."""
        return self._gates.get(table)

    @cached_property
    def _gates(self) -> dict[str, str]:
        gated = ((node, gate_of(node)) for node in self._models())
        return {table_of(node): gate for node, gate in gated if gate is not None}

    def _models(self) -> Iterator[Node]:
        nodes: Mapping[str, Node] = self.raw["nodes"]
        return (node for node in nodes.values() if node["resource_type"] == "model")


def table_of(node: Node) -> str:
    """A node's table, `schema.name`."""
    return f"{node['schema']}.{node['alias']}"


def gate_of(node: Node) -> str | None:
    """The gate that checks a model, or None."""
    gate = (node["config"].get("meta") or {}).get("gate")
    return None if gate is None else str(gate)


def event_date(node: Node) -> str:
    """The column by whose days a model's table is replaced.

    Raises:
        LakehouseError: its config names none.
    """
    found = node["config"].get("event_date")
    if found is None:
        raise LakehouseError(
            f"{node['name']}: the config has no event_date, the column by whose days the table is replaced",
            "docs/dbt.md, “How increments work”, has an example",
        )
    return str(found)
