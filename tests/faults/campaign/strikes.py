"""What can happen to a process, or to those that it depends on; called in the process that is struck."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping

from lakehouse.engine import server
from lakehouse.engine.state import EngineState


def _engine() -> EngineState:
    engine = server.running()
    assert engine is not None, "there is no engine to strike"
    return engine


def kill_client() -> None:
    """This process, by kill -9."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_engine() -> None:
    """The JVM, by kill -9."""
    os.kill(_engine().pid, signal.SIGKILL)


def kill_supervisor() -> None:
    """The process that looks after the engine, by kill -9."""
    os.kill(_engine().supervisor_pid, signal.SIGKILL)


def kill_supervisor_and_client() -> None:
    """Both: nobody is left who knows of the statement."""
    kill_supervisor()
    kill_client()


def freeze(seconds: float) -> Callable[[], None]:
    """The JVM stands still for a while (SIGSTOP), and goes on."""

    def freezing() -> None:
        pid = _engine().pid
        # Another process wakes it: this one may end meanwhile.
        code = f"import os, signal, time; time.sleep({seconds}); os.kill({pid}, signal.SIGCONT)"
        waker = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        os.kill(pid, signal.SIGSTOP)
        waker.wait()

    return freezing


STRIKES: Mapping[str, Callable[[], None]] = {
    "kill_client": kill_client,
    "kill_engine": kill_engine,
    "kill_supervisor": kill_supervisor,
    "kill_supervisor_and_client": kill_supervisor_and_client,
    "freeze_engine": freeze(8),
    "freeze_engine_for_two_minutes": freeze(120),
}
