"""The engine's supervisor: stops statements of dead clients, and an idle engine.

Started by `lakehouse.engine.parent`, which starts another one when it dies.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from types import FrameType

from lakehouse.engine import state
from lakehouse.engine.ports import is_connected
from lakehouse.engine.session import interrupt_dead_clients
from lakehouse.settings import Settings, settings

# How often it looks after clients and idleness, in seconds.
WATCH_SECONDS = 2.0

_log = logging.getLogger("lakehouse.engine.supervisor")


class Supervisor:
    """Looks after one engine.

    Args:
        parent: the process number of the engine's parent.
    """

    def __init__(self, config: Settings, engine: state.EngineState, parent: int) -> None:
        self._config, self._engine, self._parent = config, engine, parent
        self._busy_at = time.monotonic()

    def run(self) -> None:
        """Look again and again, whatever goes wrong in a look, for as long as the engine's parent lives."""
        while os.getppid() == self._parent:
            for look in (self.end_dead_clients, self.stop_when_idle):
                _log_failure(look)
            time.sleep(WATCH_SECONDS)

    def end_dead_clients(self) -> None:
        """Interrupt what clients that are gone left running, and forget them."""
        for client in interrupt_dead_clients(self._config, self._engine):
            _log.info("process %d is gone, its statements were interrupted: %s", client.pid, client.command)

    def stop_when_idle(self) -> None:
        """Stop the engine after the setting's minutes with neither a living client nor a connection."""
        clients = state.living_clients(self._config.engine_dir, self._engine.instance)
        if clients or is_connected(self._engine.pid, self._engine.port):
            self._busy_at = time.monotonic()
        minutes = self._config.idle_minutes
        if minutes and time.monotonic() - self._busy_at >= minutes * 60:
            _log.info("idle for %g minutes", minutes)
            self.stop_engine()

    def stop_engine(self) -> None:
        """Ask the engine's parent to stop it, and this process with it."""
        if os.getppid() == self._parent:
            os.kill(self._parent, signal.SIGTERM)


def _log_failure(look: Callable[[], None]) -> None:
    """Whatever it is, the next look may succeed; an engine must not die of it, nor be left alone."""
    try:
        look()
    except Exception:  # noqa: BLE001 - logged with its traceback
        _log.exception("a look at the engine failed; it is tried again")


def main(instance: str, parent: int) -> None:
    """Look after an engine until it ends.

    Args:
        instance: which engine; another one that stands in the state is not this process's.
        parent: as above.
    """
    config = settings()
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        # What fails at each look must not fill the disk.
        handlers=[RotatingFileHandler(config.engine_dir / "supervisor.log", maxBytes=2**20, backupCount=1)],
    )
    engine = state.read_state(config.engine_dir)
    if engine is None or engine.instance != instance:
        return
    supervisor = Supervisor(config, engine, parent)

    def told_to_stop(number: int, frame: FrameType | None) -> None:
        supervisor.stop_engine()

    signal.signal(signal.SIGTERM, told_to_stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    supervisor.run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
