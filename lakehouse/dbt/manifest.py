"""dbt's manifest: a model's table, its columns' roles, and the tables it is built from."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lakehouse.dbt.graph import Node, table_of
from lakehouse.dbt.project import PROD_TARGET_DIR, run_dbt
from lakehouse.engine.state import exclusive
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT

# What a manifest is made from, relative to the project's root.
_INPUTS = ("dbt_project.yml", "profiles.yml", "dbt_project")
# Rebuilt from their SQL whenever they are read: what they read is what has to be pinned.
_WITHOUT_ROWS = ("view", "ephemeral", "seed")


def manifest(project: Path = PROJECT_ROOT) -> dict[str, Any]:
    """dbt's manifest of the production target, parsed again when the project changed after it.

    Raises:
        LakehouseError: the project does not parse; the message is dbt's.
    """
    folder = project / PROD_TARGET_DIR.relative_to(PROJECT_ROOT)
    path = folder / "manifest.json"
    # Another process may be parsing: dbt writes over the file, and what is read of it meanwhile is a part.
    with exclusive(folder / "manifest.lock"):
        if not path.exists() or path.stat().st_mtime_ns < _changed_at(project):
            run_dbt(["parse"], target="prod", project=project, target_path=folder)
            # A parse that finds nothing to do may leave the file as it was.
            path.touch()
        return _read(path, path.stat().st_mtime_ns)


@dataclass(frozen=True)
class DbtModels:
    """Models by name, from a parsed `manifest.json`."""

    manifest: Mapping[str, Any]

    def __iter__(self) -> Iterator[Node]:
        """The manifest's nodes of all models, by name."""
        models = (node for node in self.manifest["nodes"].values() if node["resource_type"] == "model")
        return iter(sorted(models, key=lambda node: node["name"]))

    def node(self, model: str) -> Node:
        """The manifest's node of a model.

        Raises:
            LakehouseError: there is no such model.
        """
        for node in self:
            if node["name"] == model:
                return node
        raise LakehouseError(f"dbt has no model {model}", "`dbt ls --resource-type model` lists all")

    def roles(self, model: str) -> dict[str, str]:
        """Column → role, in the YAML's order; see `roles_of`.

        Raises:
            LakehouseError: there is no such model, or none of its columns has a role.
        """
        node = self.node(model)
        found = roles_of(node)
        if not found:
            raise LakehouseError(
                f"no column of dbt's model {model} has a role",
                f"give its columns `config: {{meta: {{role: …}}}}` in {node['patch_path']}",
            )
        return found

    def table(self, model: str) -> str:
        """`schema.table` of a model.

        Raises:
            LakehouseError: there is no such model.
        """
        return table_of(self.node(model))

    def upstream(self, model: str) -> list[str]:
        """Every table that a model is built from, directly or not, sources among them, but no views.

        Raises:
            LakehouseError: there is no such model.
        """
        found: set[str] = set()
        seen: set[str] = set()
        waiting = list(self._parents(self.node(model)))
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
                found.add(table_of(node))
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
        return next((table_of(node) for node in self if node["name"] == name), None)

    def config(self, model: str) -> Mapping[str, Any]:
        """A model's config.

        Raises:
            LakehouseError: there is no such model.
        """
        return self.node(model)["config"]

    def meta(self, model: str) -> dict[str, Mapping[str, Any]]:
        """The meta of each column of a model, in the YAML's order.

        Raises:
            LakehouseError: there is no such model.
        """
        columns: Mapping[str, Any] = self.node(model)["columns"]
        return {name: meta_of(column) for name, column in columns.items()}

    def grain(self, model: str) -> tuple[str, ...]:
        """The columns that name a row, as its test `unique_combination` or else `unique` has them; else none.

        A test that looks at some rows only says nothing of the others.
        """
        found: dict[str, tuple[str, ...]] = {}
        for test in self.manifest["nodes"].values():
            named = test.get("test_metadata") or {}
            tested = self.manifest["nodes"].get(test.get("attached_node"))
            whole = test.get("config", {}).get("where") in (None, "built_days")
            if tested is None or tested["name"] != model or not whole:
                continue
            if named.get("name") == "unique_combination":
                found.setdefault("unique_combination", tuple(named["kwargs"]["columns"]))
            if named.get("name") == "unique":
                found.setdefault("unique", (named["kwargs"]["column_name"],))
        return found.get("unique_combination") or found.get("unique") or ()

    @staticmethod
    def _parents(node: Mapping[str, Any]) -> list[str]:
        depends: Mapping[str, Any] = node.get("depends_on", {})
        return list(depends.get("nodes", []))


def current_models() -> DbtModels:
    """The models of this checkout, in production."""
    return DbtModels(manifest())


def roles_of(node: Node) -> dict[str, str]:
    """Column → role, as a model's YAML says (`config: meta: role`), in its order, where it says one."""
    roles = {name: meta_of(column).get("role") for name, column in node["columns"].items()}
    return {name: str(role) for name, role in roles.items() if role}


def times_of_rows(node: Node) -> list[str]:
    """The columns of a model that hold when a row it was made from was known (`config: meta: row_of`)."""
    return [name for name, column in node["columns"].items() if "row_of" in meta_of(column)]


def meta_of(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """The meta of a model or a column in the manifest: dbt 1.10 moved it below config, and fills both."""
    return part.get("config", {}).get("meta") or part.get("meta") or {}


def _changed_at(project: Path) -> int:
    """When the newest of the project's files changed, in nanoseconds; folders tell of files taken away."""
    newest = 0
    for entry in _INPUTS:
        root = project / entry
        paths = [root, *root.rglob("*")] if root.is_dir() else [root]
        newest = max([newest, *(path.stat().st_mtime_ns for path in paths)])
    return newest


@lru_cache(maxsize=2)
def _read(path: Path, _modified_at: int) -> dict[str, Any]:
    return json.loads(path.read_text())
