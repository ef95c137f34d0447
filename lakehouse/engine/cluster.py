"""A standalone Spark cluster of the lock's own JARs: how each of its processes starts (deploy/cluster)."""

import os
import secrets
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.engine import state, tables_claim
from lakehouse.engine.config import LOG4J, as_properties, spark_settings
from lakehouse.engine.jars import jar_paths, pinned
from lakehouse.engine.java import SPARK_OPTIONS, environment, java, spark_submit
from lakehouse.engine.metastore_tables import make_tables
from lakehouse.engine.parent import CONNECT_CLASS
from lakehouse.engine.server import CLUSTER
from lakehouse.settings import PROJECT_ROOT, Settings

_MASTER = "org.apache.spark.deploy.master.Master"
_WORKER = "org.apache.spark.deploy.worker.Worker"
# Master and worker hand out work and hold no data.
_DAEMON_OPTIONS = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
# For the JVM that a worker starts. The reasons are those of our own engine's (docs/engine.md), but for the
# compiler: an executor runs long loops over rows.
_EXECUTOR_OPTIONS = "-XX:+UseSerialGC -XX:ReservedCodeCacheSize=256m -Duser.timezone=UTC"


@dataclass(frozen=True)
class Daemon:
    """A process of the cluster.

    Args:
        folder: in which it runs and logs.
    """

    command: list[str]
    environment: dict[str, str]
    folder: Path


def master(folder: Path, secret: str, host: str, port: int, ui_port: int) -> Daemon:
    """The process that hands out the workers.

    Args:
        folder: for its configuration and log.
        secret: that all processes of the cluster share; without it a worker or an application is refused.
        host: the address at which it listens, and no other.
        ui_port: of its page.
    """
    properties = _write(folder, secret, {"spark.master.rest.enabled": "false"})
    arguments = ["--host", host, "--port", f"{port}", "--webui-port", f"{ui_port}"]
    return _daemon(_MASTER, folder, host, [*arguments, "--properties-file", str(properties)])


def worker(
    folder: Path, secret: str, host: str, port: int, ui_port: int, master_url: str, cores: int, memory_mb: int
) -> Daemon:
    """A process that starts executors on its machine, of so many cores and MiB together."""
    properties = _write(folder, secret, {"spark.worker.cleanup.enabled": "true"})
    arguments = [
        *("--host", host, "--port", f"{port}", "--webui-port", f"{ui_port}"),
        *("--cores", f"{cores}", "--memory", f"{memory_mb}m", "--work-dir", str(folder / "work")),
        *("--properties-file", str(properties), master_url),
    ]
    daemon = _daemon(_WORKER, folder, host, arguments)
    return replace(daemon, environment=daemon.environment | _for_executors(folder))


def connect(
    config: Settings, folder: Path, secret: str, host: str, port: int, master_url: str, executor_mb: int
) -> Daemon:
    """The Connect server: `LAKEHOUSE_…` settings are its settings, as they are our own engine's.

    Args:
        config: its warehouse must be seen by every worker under the same path, or lie in an object store.
        port: of Spark Connect; clients give the token of SPARK_CONNECT_AUTHENTICATE_TOKEN.
        executor_mb: heap of an executor, of which each has one core.
    """
    jars = jar_paths(wanted=pinned(config))
    properties = _write(
        folder,
        secret,
        spark_settings(config, port)
        | {
            "spark.master": master_url,
            "spark.driver.host": host,
            "spark.driver.bindAddress": host,
            "spark.connect.grpc.binding.address": host,
            "spark.local.dir": str(folder / "scratch"),
            "spark.cores.max": str(config.cores),
            "spark.executor.cores": "1",
            "spark.executor.memory": f"{executor_mb}m",
            # The driver's class path is not theirs.
            "spark.executor.extraClassPath": ":".join(map(str, jars)),
            "spark.executor.extraJavaOptions": _EXECUTOR_OPTIONS,
            # For `lakehouse.engine.python_daemon`, and what training's workers run.
            "spark.executorEnv.PYTHONPATH": str(PROJECT_ROOT),
        },
    )
    if config.tables is None:
        config.tables_dir.mkdir(parents=True, exist_ok=True)
    tables_claim.take(config)
    make_tables(config)
    _tell(config, port, master_url)
    command = spark_submit(
        [f"-Xmx{config.heap_mb}m", "-XX:+UseSerialGC", "-XX:ReservedCodeCacheSize=512m", *_SHARED_OPTIONS],
        *("--properties-file", str(properties), "--class", CONNECT_CLASS, "spark-internal"),
    )
    variables = (
        environment(jars)
        | tables_claim.variables(config)
        | {
            "SPARK_LOCAL_IP": host,
            "SPARK_CONNECT_AUTHENTICATE_TOKEN": os.environ["SPARK_CONNECT_AUTHENTICATE_TOKEN"],
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
        }
    )
    return Daemon(command, variables, folder)


def _tell(config: Settings, port: int, master_url: str) -> None:
    """Say in the warehouse who serves it: this process, which becomes the server."""
    current = state.EngineState(
        instance=secrets.token_hex(8),
        pid=os.getpid(),
        supervisor_pid=0,
        port=port,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        heap_mb=config.heap_mb,
        project=str(PROJECT_ROOT),
        fingerprint={CLUSTER: master_url},
        parent_pid=0,
    )
    state.write_state(config.engine_dir, current)


# Relative to the folder in which a process runs.
_SHARED_OPTIONS = (
    "-Dlog4j2.configurationFile=log4j2.properties",
    "-Dderby.system.home=.",
    "-Djava.net.preferIPv4Stack=true",
    "-Duser.timezone=UTC",
)


def _daemon(main_class: str, folder: Path, host: str, arguments: list[str]) -> Daemon:
    options = [*SPARK_OPTIONS, *_DAEMON_OPTIONS, *_SHARED_OPTIONS]
    command = [str(java()[0]), *options, main_class, *arguments]
    variables = environment([]) | {"SPARK_LOCAL_IP": host}
    return Daemon(command, variables, folder)


# What `java` is for a worker. Spark gives each executor a module of vectors, which only MLlib uses; the Java
# of the lock lacks it and would not start, and no setting of Spark takes the option away.
_JAVA = """#!/bin/sh
for each do
  shift
  [ "$each" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$each"
done
exec {java} "$@"
"""


def _for_executors(folder: Path) -> dict[str, str]:
    """What a worker starts executors with."""
    script = folder / "java" / "bin" / "java"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(_JAVA.format(java=shlex.quote(str(java()[0]))))
    script.chmod(0o755)
    # Scala's version is what `spark-class` tells it; it would look in folders of a checkout of Spark.
    return {"JAVA_HOME": str(folder / "java"), "SPARK_SCALA_VERSION": "2.13"}


def _write(folder: Path, secret: str, properties: Mapping[str, str]) -> Path:
    """The files of a process: its configuration, which nobody else can read, and how it logs."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log4j2.properties").write_text(LOG4J)
    path = folder / "spark.properties"
    shared = {
        "spark.authenticate": "true",
        "spark.authenticate.secret": secret,
        "spark.network.crypto.enabled": "true",
    }
    state.write_private(path, as_properties({**properties, **shared}))
    return path
