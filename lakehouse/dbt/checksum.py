"""The checksum of a model's SQL: what it moves with, and what not."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

# Macros that say how a table is built, not what is in it.
_PLATFORM = ("macros/increments/", "macros/delta/")
# What has no version of its own: its SQL is a part of what reads it.
_INLINE = ("view", "ephemeral")


def sql_checksum(unique_id: str, graph: Mapping[str, Any], macros: Mapping[str, Mapping[str, Any]]) -> str:
    """A digest of all that makes a model's rows out of those of its inputs.

    That is its SQL, the SQL of the views and ephemeral models that it reads, the project's macros in them,
    the row rules of its sources, and its seeds. It does not move with versions of tables, days, YAML texts or
    the macros of the platform.

    Args:
        graph: dbt's own.
        macros: unique id → `sql`, `path`, `package` and the ids that it calls (`macros`); of all packages.
    """
    parts = dict(_parts(unique_id, graph, macros, set()))
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _parts(
    unique_id: str, graph: Mapping[str, Any], macros: Mapping[str, Mapping[str, Any]], seen: set[str]
) -> Iterator[tuple[str, Any]]:
    node = graph["nodes"][unique_id]
    yield unique_id, node["raw_code"]
    yield from _macros(node["depends_on"].get("macros", ()), str(node["package_name"]), macros, seen)
    for parent in node["depends_on"].get("nodes", ()):
        if parent in seen:
            continue
        seen.add(parent)
        if parent in graph["sources"]:
            yield parent, _row_rules(graph["sources"][parent])
            continue
        found = graph["nodes"].get(parent)
        if found is None:
            continue
        if found["resource_type"] == "seed":
            yield parent, found["checksum"]["checksum"]
        elif found["config"]["materialized"] in _INLINE:
            yield from _parts(parent, graph, macros, seen)


def _macros(
    called: Any, package: str, macros: Mapping[str, Mapping[str, Any]], seen: set[str]
) -> Iterator[tuple[str, Any]]:
    for name in called:
        macro = macros.get(name)
        if macro is None or name in seen or macro["package"] != package:
            continue
        seen.add(name)
        if any(folder in str(macro["path"]) for folder in _PLATFORM):
            continue
        yield name, macro["sql"]
        yield from _macros(macro["macros"], package, macros, seen)


def _row_rules(source: Mapping[str, Any]) -> Any:
    meta = source.get("config", {}).get("meta") or source.get("meta") or {}
    return meta.get("row_rules", {})
