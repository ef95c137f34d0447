"""Rows of the online store for the service; while the store is away, nobody waits for it."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lakehouse.errors import LakehouseError
from lakehouse.online.store import OnlineRow, OnlineStore
from ml.serving.refusal import Refusal

_log = logging.getLogger(__name__)
_PROBE_SECONDS = 0.5


class Features:
    """The online store, and whether it answers.

    Args:
        open_store: makes a connection; one serves requests, another one looks whether the store is back.
        tables: those whose release is watched.
    """

    def __init__(self, open_store: Callable[[], OnlineStore], tables: Sequence[str]) -> None:
        self._store = open_store()
        self._probe = open_store()
        self._tables = tables
        self._away: str | None = None
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="online-store", daemon=True)
        self.releases: dict[str, str | None] = {}

    @property
    def away(self) -> str | None:
        """Why the store does not answer; None while it does."""
        return self._away

    def start(self) -> None:
        """Look at the store, and go on doing so."""
        self.look()
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        self._wake.set()
        self._thread.join()
        self._store.close()
        self._probe.close()

    def rows(self, table: str, keys: Sequence[Mapping[str, Any]]) -> list[OnlineRow | None]:
        """As the store has them.

        Raises:
            Refusal: 503, at once while the store is known to be away.
        """
        if self._away is not None:
            raise _away(self._away)
        try:
            return self._store.rows(table, keys)
        except LakehouseError as error:
            self._away = error.what
            self._wake.set()
            _log.warning("the online store is away: %s", error.what)
            raise _away(error.what) from error

    def look(self) -> None:
        """Ask the store for its releases once."""
        try:
            self.releases = {table: self._probe.release(table) for table in self._tables}
        except LakehouseError as error:
            self._away = error.what
            return
        except Exception as error:  # noqa: BLE001 - this thread has to find the store when it is back
            _log.exception("the online store")
            self._away = f"{type(error).__name__}: {error}"
            return
        if self._away is not None:
            _log.warning("the online store is back")
        self._away = None

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(_PROBE_SECONDS if self._away else 10 * _PROBE_SECONDS)
            self._wake.clear()
            if not self._stop.is_set():
                self.look()
                # Woken by a request that failed: the next look is a while off, whatever this one saw.
                self._stop.wait(_PROBE_SECONDS)


def _away(why: str) -> Refusal:
    return Refusal(503, f"the online store is away: {why}", headers={"retry-after": "1"})
