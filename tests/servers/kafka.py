"""A real Kafka broker on loopback: one KRaft node, from Maven's JARs, on the lock's Java.

    python -m tests.servers.kafka --port 9092 --data /tmp/kafka

runs one until Ctrl-C, to try a stream by hand.
"""

import argparse
import logging
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from lakehouse.engine.install import resolve_jars
from lakehouse.engine.jars import JARS_DIR, spark_home
from lakehouse.engine.java import java
from lakehouse.engine.ports import free_port
from lakehouse.errors import LakehouseError
from lakehouse.process import dying_with_us

VERSION = "4.1.1"
_COORDINATES = (f"org.apache.kafka:kafka_2.13:{VERSION}", f"org.apache.kafka:kafka-tools:{VERSION}")
# Kafka Connect, which a broker does not need.
_WITHOUT = ("org.apache.kafka:connect-runtime",)

_OF_SPARK = ("scala-library", "slf4j-api", "log4j-slf4j2-impl", "log4j-api", "log4j-core")

_START_SECONDS, _STOP_SECONDS = 120, 20
# Of a user that exists in this broker alone.
USER = "lakehouse"


@dataclass(frozen=True)
class Broker:
    """A broker that answers.

    Args:
        address: of the listener without a password, HOST:PORT.
        sasl_address: of the one that asks for `USER` and `password` (SASL/PLAIN).
        log: what it printed.
    """

    address: str
    sasl_address: str
    password: str
    log: Path

    def admin(self) -> AdminClient:
        """A client that manages topics."""
        return AdminClient({"bootstrap.servers": self.address}, logger=_silent())


def broker_jars() -> Path:
    """The folder of the broker's JARs, resolved once.

    Raises:
        LakehouseError: they cannot be had.
    """
    folder = JARS_DIR / f"kafka-{VERSION}"
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(prefix="kafka-jars-") as scratch:
            found = resolve_jars(_COORDINATES, Path(scratch), without=_WITHOUT)
            # Whole or not at all, also where the scratch folder lies on another disk.
            partial = folder.with_name(f".{folder.name}.{os.getpid()}")
            shutil.copytree(found, partial)
            try:
                partial.rename(folder)
            except OSError:
                shutil.rmtree(partial)  # another process was faster
                if not folder.is_dir():
                    raise
    return folder


@contextmanager
def running_broker(
    data: Path, *, port: int | None = None, settings: Mapping[str, object] | None = None
) -> Generator[Broker]:
    """Run a broker until the block ends; it dies with this process, too.

    Args:
        data: its folder; what is in it from before is served again.
        port: where it listens on loopback; a free one by default.
        settings: the broker's own, beside those that it needs here.

    Raises:
        LakehouseError: it does not start; with the end of its log.
    """
    data.mkdir(parents=True, exist_ok=True)
    password = secrets.token_urlsafe(16)
    plain, sasl, controller = port or free_port(), free_port(), free_port()
    properties = data / "server.properties"
    properties.write_text(_properties(data, plain, sasl, controller, password, settings or {}))
    if not (data / "log" / "meta.properties").exists():
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # With an equals sign: one id in 64 begins with a dash, which would be an option.
        _run_tool("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(properties))
    log = data / "broker.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            dying_with_us(_java("kafka.Kafka", str(properties))), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        broker = Broker(f"localhost:{plain}", f"localhost:{sasl}", password, log)
        _await(process, broker)
        yield broker
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _java(*arguments: str) -> list[str]:
    options = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true")
    # Spark's resolver leaves out Scala, which Spark ships; and of two loggers the newer one must come first.
    ours = [path for name in _OF_SPARK for path in (spark_home() / "jars").glob(f"{name}-[0-9]*.jar")]
    class_path = ":".join([*map(str, ours), f"{broker_jars()}/*"])
    return [str(java()[0]), *options, "-cp", class_path, *arguments]


def _run_tool(*arguments: str) -> None:
    outcome = subprocess.run(_java(*arguments), capture_output=True, text=True, check=False)
    if outcome.returncode != 0:
        raise LakehouseError(f"{arguments[0]} failed:\n{outcome.stdout[-2000:]}{outcome.stderr[-2000:]}")


def _await(process: subprocess.Popen[bytes], broker: Broker) -> None:
    """Wait until it answers a client, or is dead."""
    client = broker.admin()
    for _ in range(_START_SECONDS):
        try:
            # It waits for an answer itself, so this is no pause of a fixed length.
            client.list_topics(timeout=1)
        except KafkaException:
            if process.poll() is not None:
                break
        else:
            return
    said = broker.log.read_text(errors="replace")[-3000:]
    raise LakehouseError(f"the broker does not answer on {broker.address}:\n{said}")


def _properties(
    data: Path, plain: int, sasl: int, controller: int, password: str, more: Mapping[str, object]
) -> str:
    listeners = f"PLAINTEXT://localhost:{plain},SASL_PLAINTEXT://localhost:{sasl}"
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    values: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@localhost:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"{listeners},CONTROLLER://localhost:{controller}",
        "advertised.listeners": listeners,
        "listener.security.protocol.map": (
            "PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT"
        ),
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_plaintext.plain.sasl.jaas.config": f'{login} user_{USER}="{password}";',
        "log.dirs": data / "log",
        "auto.create.topics.enable": "false",
        "num.partitions": 1,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "log.cleaner.dedupe.buffer.size": 2**21,
        # Two nodes' worth of threads have nothing to do here.
        "num.network.threads": 2,
        "num.io.threads": 2,
    }
    return "".join(f"{key}={value}\n" for key, value in {**values, **more}.items())


def _silent() -> logging.Logger:
    logger = logging.getLogger("librdkafka.tests")
    logger.setLevel(logging.CRITICAL + 1)
    return logger


def _main() -> None:
    parser = argparse.ArgumentParser(description="Run a Kafka broker on loopback until Ctrl-C.")
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--data", type=Path, required=True, help="Folder of its data.")
    given = parser.parse_args()
    with running_broker(given.data, port=given.port) as broker:
        print(f"answers on {broker.address}; Ctrl-C ends it", flush=True)  # noqa: T201
        try:
            signal.pause()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    _main()
