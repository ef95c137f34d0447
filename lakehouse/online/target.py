"""Where a push writes to, as it travels to Spark's tasks."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from lakehouse.engine.server import is_foreign
from lakehouse.errors import LakehouseError
from lakehouse.online.namespace import warehouse_id
from lakehouse.online.state import OnlineWriter
from lakehouse.online.store import SQLITE
from lakehouse.settings import settings

# A script of many rows takes its time, and nobody waits for a push's answer.
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Target:
    """A store to write to.

    Args:
        store: `sqlite`, or a server's address; it may hold a password.
        path: of SQLite's file.
        warehouse: the id that names this warehouse's keys on a server.
    """

    store: str = field(repr=False)
    path: str
    warehouse: str

    @property
    def is_file(self) -> bool:
        """Whether one process at a time can write to it."""
        return self.store == SQLITE

    def as_text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """From JSON."""
        return cls(**json.loads(text))

    def writer(self) -> OnlineWriter:
        """A connection to the store."""
        if self.is_file:
            from lakehouse.online.sqlite_store import SqliteWriter

            return SqliteWriter(Path(self.path), _TIMEOUT_SECONDS)
        from lakehouse.online.redis_store import RedisWriter

        return RedisWriter(self.store, self.warehouse, _TIMEOUT_SECONDS)


def target() -> Target:
    """The store that the setting `online_store` names.

    Raises:
        LakehouseError: it is a file of this machine, but Spark's tasks run elsewhere.
    """
    store = settings().online_store
    if store == SQLITE and is_foreign():
        raise LakehouseError(
            "the online store is a file on this machine, which SPARK_REMOTE's tasks may not see",
            "set LAKEHOUSE_ONLINE_STORE=redis://…, a server that this machine and the tasks reach",
        )
    return Target(store, str(settings().online_dir / "store.sqlite"), warehouse_id())
