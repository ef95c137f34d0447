"""What is asked of an online store: the pushed row of an entity, and the release that was pushed last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lakehouse.delta.version import TableVersion
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings

SQLITE = "sqlite"


@dataclass(frozen=True)
class OnlineRow:
    """An entity's row, as it is in a published version.

    Args:
        values: column → Python value, None for NULL; all columns of the table.
        table: the published version that it was pushed from.
        release_id: the release of that version.
    """

    values: Mapping[str, Any]
    table: TableVersion
    release_id: str


class OnlineStore(Protocol):
    """Rows by entity; safe to share between threads."""

    def rows(self, table: str, keys: Sequence[Mapping[str, Any]]) -> list[OnlineRow | None]:
        """The row of each entity, in order; None where it is unknown or expired.

        Args:
            table: `schema.table`.
            keys: each column → value of all entity columns.

        Raises:
            OnlineStoreUnavailable: the store does not answer in time.
        """
        ...

    def release(self, table: str) -> str | None:
        """The id of the release that was pushed last, whole; None where none was.

        Raises:
            OnlineStoreUnavailable: the store does not answer in time.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class OnlineStoreUnavailable(LakehouseError):  # noqa: N818 - a state of the store, named as HTTP names it
    """The store does not answer within `online_timeout_ms`."""


def open_store() -> OnlineStore:
    """The store that the setting `online_store` names; nothing is connected to yet.

    Raises:
        LakehouseError: the warehouse cannot be written to.
    """
    wanted, timeout = settings().online_store, settings().online_timeout_ms / 1000
    if wanted == SQLITE:
        from lakehouse.online.sqlite_store import SqliteStore

        return SqliteStore(settings().online_dir / "store.sqlite", timeout)
    from lakehouse.online.namespace import warehouse_id
    from lakehouse.online.redis_store import RedisStore

    return RedisStore(wanted, warehouse_id(), timeout)
