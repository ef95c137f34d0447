"""Columns that a model's YAML leaves to another model's: type, text, role and constraints stand there alone.

A model says it in its meta, and lists its own columns only:

    columns_from: flight_features                                   all of its columns
    columns_from: {model: flight_features, columns: [flight_id, …]} some of them

What it lists itself stays as it says. They are filled in when dbt has parsed the project, so that contracts,
comments, `manifest.json` and all that reads it find them as if they stood in the YAML; tests of columns stay
with the model that lists them.
"""

from collections.abc import Mapping, MutableMapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from lakehouse.errors import LakehouseError

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

KEY = "columns_from"


def fill_in(manifest: "Manifest") -> bool:
    """Give each model that names another one in `columns_from` the columns that it leaves to it.

    Returns:
        whether there was one.

    Raises:
        LakehouseError: there is no such model or column, or it leaves its own to another one.
    """
    models: dict[str, Any] = {
        node.name: node for node in manifest.nodes.values() if node.resource_type == "model"
    }
    readers = [node for node in models.values() if KEY in node.config.meta]
    for node in readers:
        _add(node.name, node.columns, node.config.meta[KEY], models)
    if readers:
        manifest.build_flat_graph()
    return bool(readers)


def _add(reader: str, own: MutableMapping[str, Any], said: Any, models: Mapping[str, Any]) -> None:
    some: Mapping[str, Any] = said if isinstance(said, Mapping) else {"model": said}
    name = str(some.get("model"))
    other = models.get(name)
    if other is None or KEY in other.config.meta:
        wrong = "is not a model" if other is None else f"has {KEY} itself"
        raise LakehouseError(f"{reader}: {KEY} names {name}, which {wrong}", "name the model that lists them")
    wanted: list[str] = list(some.get("columns") or other.columns)
    missing = [column for column in wanted if column not in other.columns]
    if missing:
        raise LakehouseError(
            f"{reader}: {KEY} names {', '.join(missing)}, which {name} does not have",
            f"its columns stand in {other.patch_path}",
        )
    listed = dict(own)
    own.clear()
    own.update({column: deepcopy(other.columns[column]) for column in wanted} | listed)
