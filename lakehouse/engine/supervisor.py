"""The engine's parent process: starts Spark Connect, stops statements of dead clients, stops an idle engine.

Started by `lakehouse.engine.server.ensure_engine`, which holds the start lock and waits on a pipe for
one line: `ready`, or what went wrong.
"""

import contextlib
import fcntl
import os
import platform
import secrets
import shutil
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from lakehouse.engine import state
from lakehouse.engine.config import fingerprint, write_files
from lakehouse.engine.jars import jar_paths, spark_home
from lakehouse.engine.ports import accepts, free_port, is_connected
from lakehouse.engine.session import interrupt_dead_clients
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT, Settings, settings

# How often the supervisor looks after clients and idleness, in seconds.
WATCH_SECONDS = 2.0
CONNECT_CLASS = "org.apache.spark.sql.connect.service.SparkConnectServer"


def _launch(config: Settings, port: int) -> subprocess.Popen[bytes]:
    engine = config.engine_dir
    shutil.rmtree(engine / "scratch", ignore_errors=True)
    for folder in (engine / "scratch", config.tables_dir):
        folder.mkdir(parents=True, exist_ok=True)
    properties = write_files(config, port, jar_paths())
    alive = os.open(engine / "alive.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(alive, fcntl.LOCK_EX)
    environment = {
        key: value
        for key, value in os.environ.items()
        # The server must not take itself for a client, nor read another Spark's configuration.
        if not key.startswith("SPARK_") and key not in ("PYTHONPATH", "PYTHONHOME")
    } | {
        "SPARK_CONNECT_AUTHENTICATE_TOKEN": state.token(engine),
        "SPARK_HOME": str(spark_home()),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }
    try:
        with (engine / "server.out").open("wb") as output:
            return subprocess.Popen(
                [
                    str(spark_home() / "bin" / "spark-submit"),
                    "--properties-file", str(properties),
                    "--class", CONNECT_CLASS,
                    "spark-internal",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=engine,
                # The JVM inherits the lock and so keeps it exactly as long as it lives.
                pass_fds=(alive,),
            )  # fmt: skip
    finally:
        os.close(alive)


def _wait_until_serving(server: subprocess.Popen[bytes], port: int, config: Settings) -> None:
    for _ in range(config.start_timeout_seconds * 10):
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=0.1)
            said = (config.engine_dir / "server.out").read_text(errors="replace").strip()[-1500:]
            raise LakehouseError(
                f"Spark stopped while starting (exit code {server.returncode}):\n{said}",
                f"the whole log is {config.engine_dir / 'server.log'}",
            )
        if accepts(port):
            return
    server.kill()
    raise LakehouseError(
        f"Spark did not serve within {config.start_timeout_seconds} s",
        f"see {config.engine_dir / 'server.log'}, or raise LAKEHOUSE_START_TIMEOUT_SECONDS",
    )


def _watch(
    server: subprocess.Popen[bytes], current: state.EngineState, config: Settings, stop: threading.Event
) -> None:
    idle_since = datetime.now(UTC)
    while not stop.is_set():
        # The wait is the clock of this loop; a dying server ends it at once.
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=WATCH_SECONDS)
            return
        interrupt_dead_clients(config, current)
        if is_connected(current.pid, current.port):
            idle_since = datetime.now(UTC)
        idle = (datetime.now(UTC) - idle_since).total_seconds()
        if config.idle_minutes and idle >= config.idle_minutes * 60:
            return


def main(report: int) -> None:
    """Run one engine until it is idle for too long, dies, or is told to stop by SIGTERM.

    Args:
        report: descriptor of the pipe on which the starter waits.
    """
    config = settings()
    stop = threading.Event()

    def told_to_stop(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, told_to_stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    engine = config.engine_dir
    port = free_port()
    server: subprocess.Popen[bytes] | None = None
    try:
        server = _launch(config, port)
        _wait_until_serving(server, port, config)
        current = state.EngineState(
            instance=secrets.token_hex(8),
            pid=server.pid,
            supervisor_pid=os.getpid(),
            port=port,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            heap_mb=config.heap_mb,
            project=str(PROJECT_ROOT),
            fingerprint=fingerprint(config),
        )
        state.write_state(engine, current)
    except LakehouseError as error:
        os.write(report, str(error).encode())
        os.close(report)
        return
    os.write(report, b"ready")
    os.close(report)
    try:
        _watch(server, current, config, stop)
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()


if __name__ == "__main__":
    # Named in the process list, for people who look there first.
    print(f"supervisor {os.getpid()} on Python {platform.python_version()} at {Path.cwd()}")  # noqa: T201
    main(int(sys.argv[1]))
