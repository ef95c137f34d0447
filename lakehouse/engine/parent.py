"""The engine's parent process: starts Spark Connect, and keeps a supervisor beside it as long as it lives.

Started by `lakehouse.engine.server.ensure_engine`, which holds the start lock and waits on a pipe for
one line: `ready`, or what went wrong. It does nothing else, so that little can go wrong in it: what looks
after clients and may fail is the supervisor, and one that died is replaced while the engine goes on. Both
die with this process, by the kernel's hand: an engine that nobody looks after would let the statement of
a killed client commit.
"""

import contextlib
import fcntl
import os
import platform
import secrets
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from lakehouse.engine import state, tables_claim
from lakehouse.engine.config import fingerprint, java_options, write_files
from lakehouse.engine.jars import jar_paths, pinned
from lakehouse.engine.java import class_archive, environment, spark_submit
from lakehouse.engine.metastore_tables import make_tables
from lakehouse.engine.ports import accepts, free_port
from lakehouse.errors import LakehouseError
from lakehouse.private import make_private
from lakehouse.process import dying_with_us
from lakehouse.settings import PROJECT_ROOT, Settings, settings

CONNECT_CLASS = "org.apache.spark.sql.connect.service.SparkConnectServer"
# How long Spark may take to stop when asked, in seconds; then it is killed.
STOP_SECONDS = 20
# Between the death of a supervisor and the start of the next one, in seconds: doubled while they die young.
_FIRST_DELAY, _LONGEST_DELAY, _YOUNG = 0.5, 60.0, 60.0


def _launch(config: Settings, port: int) -> subprocess.Popen[bytes]:
    engine = config.engine_dir
    shutil.rmtree(engine / "scratch", ignore_errors=True)
    state.clear_scratch(engine)
    (engine / "scratch").mkdir(parents=True, exist_ok=True)
    if config.tables is None:
        config.tables_dir.mkdir(parents=True, exist_ok=True)
    properties, jars = write_files(config, port), jar_paths(wanted=pinned(config))
    options, archive = java_options(config), class_archive(jars)
    if archive.is_file():
        options.append(f"-XX:SharedArchiveFile={archive}")
    alive = os.open(engine / "alive.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(alive)
        raise LakehouseError(
            f"another engine lives in {config.warehouse}", "run `lakehouse down`, then again"
        ) from error
    try:
        # With the flock above, nobody else of this machine and warehouse is here.
        tables_claim.take(config)
        make_tables(config)
        variables = (
            environment(jars)
            | tables_claim.variables(config)
            | {
                "SPARK_CONNECT_AUTHENTICATE_TOKEN": state.token(engine),
                "PYSPARK_PYTHON": sys.executable,
                "PYSPARK_DRIVER_PYTHON": sys.executable,
            }
        )
        with (engine / "server.out").open("wb") as output:
            return subprocess.Popen(
                dying_with_us(
                    spark_submit(
                        options,
                        "--properties-file", str(properties),
                        "--class", CONNECT_CLASS,
                        "spark-internal",
                    )
                ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=variables,
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
    server.wait()
    raise LakehouseError(
        f"Spark did not serve within {config.start_timeout_seconds} s",
        f"see {config.engine_dir / 'server.log'}, or raise LAKEHOUSE_START_TIMEOUT_SECONDS",
    )


def _start_supervisor(config: Settings, current: state.EngineState) -> state.EngineState:
    """Start one, and write down which."""
    started = subprocess.Popen(
        dying_with_us(
            [sys.executable, "-m", "lakehouse.engine.supervisor", current.instance, str(os.getpid())]
        ),
        stdin=subprocess.DEVNULL,
        cwd=PROJECT_ROOT,
    )
    current = replace(current, supervisor_pid=started.pid)
    try:
        state.write_state(config.engine_dir, current)
    except OSError:
        started.kill()
        started.wait()
        raise
    return current


def _keep(config: Settings, current: state.EngineState) -> None:
    """Until the JVM ends: a supervisor that ended is replaced; SIGTERM stops the JVM."""
    started, delay = time.monotonic(), _FIRST_DELAY
    while (ended := os.wait()[0]) != current.pid:
        if ended != current.supervisor_pid:
            continue
        delay = _FIRST_DELAY if time.monotonic() - started > _YOUNG else min(2 * delay, _LONGEST_DELAY)
        _say(f"supervisor {ended} ended; another one starts in {delay:.0f} s")
        while not _ends_within(current.pid, delay):
            try:
                started, current = time.monotonic(), _start_supervisor(config, current)
                break
            except OSError as error:
                # A full disk, or no memory for a process: the engine is not lost by that.
                delay = min(2 * delay, _LONGEST_DELAY)
                _say(f"no supervisor could be started: {error}; again in {delay:.0f} s")
    # The next engine may be up at once: nobody may look after it with this one's eyes.
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(current.supervisor_pid, signal.SIGKILL)
        os.waitpid(current.supervisor_pid, 0)


def _ends_within(jvm: int, seconds: float) -> bool:
    """Whether a child of this process ends meanwhile; if so it is still to be waited for."""
    descriptor = os.pidfd_open(jvm)
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def _stop_on_sigterm(jvm: int) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with contextlib.suppress(ProcessLookupError):
            os.kill(jvm, signal.SIGTERM)
        signal.alarm(STOP_SECONDS)

    def force(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(jvm, signal.SIGKILL)

    signal.signal(signal.SIGALRM, force)
    signal.signal(signal.SIGTERM, stop)


def _say(text: str) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}", file=sys.stderr, flush=True)  # noqa: T201


def main(report: int) -> None:
    """Run one engine until its JVM ends, by itself or because SIGTERM asked for it.

    Args:
        report: descriptor of the pipe on which the starter waits.
    """
    make_private()
    config = settings()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    port = free_port()
    try:
        server = _launch(config, port)
        current = state.EngineState(
            instance=secrets.token_hex(8),
            pid=server.pid,
            supervisor_pid=0,
            port=port,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            heap_mb=config.heap_mb,
            project=str(PROJECT_ROOT),
            fingerprint=fingerprint(config),
            parent_pid=os.getpid(),
        )
        # Before anything is waited for: whoever finds the lock taken finds its holder.
        state.write_state(config.engine_dir, current)
        _wait_until_serving(server, port, config)
        _stop_on_sigterm(server.pid)
        current = _start_supervisor(config, current)
    except LakehouseError as error:
        _release(config)
        os.write(report, str(error).encode())
        os.close(report)
        return
    except BaseException:
        _release(config)
        raise
    with contextlib.suppress(BrokenPipeError):
        # Whoever started it may be gone by now: the engine serves the next one.
        os.write(report, b"ready")
    os.close(report)
    _keep(config, current)
    signal.alarm(0)
    # Who starts an engine meanwhile waits; where one is up by now, the claim is that one's.
    with state.exclusive(config.engine_dir / "start.lock"):
        _release(config)


def _release(config: Settings) -> None:
    try:
        tables_claim.release(config)
    except LakehouseError as error:
        _say(str(error))


if __name__ == "__main__":
    # Named in the process list, for people who look there first.
    _say(f"engine's parent {os.getpid()} on Python {platform.python_version()} at {Path.cwd()}")
    main(int(sys.argv[1]))
