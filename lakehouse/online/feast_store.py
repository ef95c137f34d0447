"""Feast's online store over our packed rows: its API reads what a push wrote, and keeps no second copy."""

# Feast is not typed to the end.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportMissingModuleSource=false

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any, Literal

from feast.feature_view import FeatureView
from feast.infra.online_stores.online_store import OnlineStore as FeastOnlineStore
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.type_map import feast_value_type_to_python_type, python_values_to_proto_values

from lakehouse.errors import LakehouseError
from lakehouse.online.store import OnlineStore, open_store

TYPE = "lakehouse.online.feast_store.PackedOnlineStore"
TABLE_TAG = "table"


class PackedOnlineStoreConfig(FeastConfigBaseModel):
    """Where it lies stands in the settings, as for everybody."""

    type: Literal["lakehouse.online.feast_store.PackedOnlineStore"] = TYPE


class PackedOnlineStore(FeastOnlineStore):
    """Read-only: a release's rows are written by `lakehouse features push`."""

    _store: OnlineStore | None = None

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[Any],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        """The event time and the requested values of each entity; None where it is unknown or expired."""
        if self._store is None:
            self._store = open_store()
        keys = [
            {
                name: feast_value_type_to_python_type(value)
                for name, value in zip(key.join_keys, key.entity_values, strict=True)
            }
            for key in entity_keys
        ]
        rows = self._store.rows(table.tags[TABLE_TAG], keys)
        types = {field.name: field.dtype.to_value_type() for field in table.features}
        wanted = requested_features or list(types)
        time = str(getattr(table.batch_source, "timestamp_field", ""))
        return [
            (None, None)
            if row is None
            else (row.values[time], {name: _proto(row.values[name], types[name]) for name in wanted})
            for row in rows
        ]

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[Any],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Refused: what is online comes from a release."""
        raise LakehouseError(
            f"Feast does not write {table.name}: what is online comes from a release",
            "run `lakehouse features push`",
        )

    def update(self, config: RepoConfig, *args: Any, **kwargs: Any) -> None:
        """Nothing to make: a push makes what it needs."""

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Any]) -> None:
        """Nothing to remove: rows expire."""


def _proto(value: Any, kind: Any) -> Value:
    if value is None:
        return Value()
    if isinstance(value, date) and not isinstance(value, datetime):
        # Feast knows no days.
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    return python_values_to_proto_values([value], kind)[0]
