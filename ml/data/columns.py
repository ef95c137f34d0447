"""What each column is for, as dbt's YAML declares it in the column's meta (`role`)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from lakehouse.dbt.manifest import DbtModels
from lakehouse.errors import LakehouseError

ROLES = ("entity", "event_time", "label", "label_time", "label_end", "numeric", "categorical", "partition")


@dataclass(frozen=True)
class Columns:
    """A model's columns by role; features in alphabetical order, so their order in SQL doesn't matter.

    Args:
        entity: the columns that name a row.
        event_time: when the prediction is asked for.
        partition: the local day of the event.
        label: what is predicted, 0 or 1; None of features alone.
        label_time: from when on this version of the label was known.
        label_end: until when, NULL for the version that still holds.

    Raises:
        LakehouseError: a column has two roles.
    """

    entity: tuple[str, ...]
    event_time: str
    partition: str
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    label: str | None = None
    label_time: str | None = None
    label_end: str | None = None

    def __post_init__(self) -> None:
        """Spark doesn't tell names apart by case."""
        others = (self.event_time, self.partition, self.label, self.label_time, self.label_end)
        names = [name for name in (*self.entity, *others, *self.features) if name is not None]
        twice = sorted(name for name, times in Counter(map(str.casefold, names)).items() if times > 1)
        if twice:
            raise LakehouseError(
                f"{', '.join(twice)} has two roles: a feature cannot be label, time or entity as well",
                "give each column one role in the YAML",
            )

    @property
    def features(self) -> tuple[str, ...]:
        """Numeric features, then categorical ones."""
        return self.numeric + self.categorical


def columns_of(models: DbtModels, model: str) -> Columns:
    """A dbt model's columns by role.

    Raises:
        LakehouseError: there is no such model, or its roles don't fit together.
    """
    return columns_from_roles(model, models.roles(model))


def columns_from_roles(model: str, roles: Mapping[str, str]) -> Columns:
    """Sort a dbt model's columns by role; columns without one are not in `roles`.

    Raises:
        LakehouseError: a role is unknown, missing, or given to two columns where one is meant.

    >>> roles = {"id": "entity", "at": "event_time", "day": "partition", "x": "numeric"}
    >>> columns_from_roles("m", roles).numeric
    ('x',)
    """
    unknown = {column: role for column, role in roles.items() if role not in ROLES}
    if unknown:
        raise LakehouseError(f"{model}: unknown roles {unknown}", f"known: {', '.join(ROLES)}")

    def named(role: str) -> tuple[str, ...]:
        return tuple(sorted(column for column, found in roles.items() if found == role))

    def one(role: str) -> str | None:
        found = named(role)
        if len(found) > 1:
            raise LakehouseError(
                f"{model}: {', '.join(found)} all have the role {role}", "give it to one column"
            )
        return found[0] if found else None

    def required(role: str) -> str:
        found = one(role)
        if found is None:
            raise LakehouseError(
                f"{model}: no column has the role {role}", f"add `meta: {{role: {role}}}` in its YAML"
            )
        return found

    entity = named("entity")
    if not entity or not named("numeric") + named("categorical"):
        raise LakehouseError(f"{model}: entity or feature columns are missing", "add their roles in its YAML")
    return Columns(
        entity=entity,
        event_time=required("event_time"),
        partition=required("partition"),
        numeric=named("numeric"),
        categorical=named("categorical"),
        label=one("label"),
        label_time=one("label_time"),
        label_end=one("label_end"),
    )
