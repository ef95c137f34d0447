"""Which tables are online: those in whose YAML roles name an entity, an event time and a day."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lakehouse.dbt.manifest import DbtModels, roles_of
from lakehouse.errors import LakehouseError

_NEEDED = ("entity", "event_time", "partition")


@dataclass(frozen=True)
class OnlineTable:
    """A table of features whose rows are asked for by entity.

    Args:
        model: dbt's name of it.
        name: `schema.table`.
        entity: the columns that name a row.
        event_time: the column of the instant whose knowledge a row holds.
        day: the column of days.
        one_row: whether an entity has one row; else its newest by event time is online.
    """

    model: str
    name: str
    entity: tuple[str, ...]
    event_time: str
    day: str
    one_row: bool


def online_tables(models: DbtModels) -> list[OnlineTable]:
    """The tables of features, by name; a training set, which has a label, is none of them."""
    found = (_online(models, node) for node in models)
    return [table for table in found if table is not None]


def _online(models: DbtModels, node: Mapping[str, Any]) -> OnlineTable | None:
    roles = roles_of(node)
    named = {role: tuple(sorted(name for name, of in roles.items() if of == role)) for role in _NEEDED}
    is_table = node["config"]["materialized"] in ("incremental", "table")
    if not is_table or "label" in roles.values() or not all(named.values()):
        return None
    model = str(node["name"])
    return OnlineTable(
        model=model,
        name=models.table(model),
        entity=named["entity"],
        event_time=named["event_time"][0],
        day=named["partition"][0],
        one_row=set(models.grain(model)) == set(named["entity"]),
    )


def online_table(models: DbtModels, name: str) -> OnlineTable:
    """One of them, by dbt's name or as `schema.table`.

    Raises:
        LakehouseError: there is no such table.
    """
    found = online_tables(models)
    for table in found:
        if name in (table.model, table.name):
            return table
    raise LakehouseError(
        f"{name} is not a table that is online",
        f"online are: {', '.join(table.model for table in found) or 'none'}; "
        "docs/online-features.md says how a table becomes one",
    )
