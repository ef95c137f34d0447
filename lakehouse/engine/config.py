"""How the engine is configured, and the fingerprint by which a client knows it for its own."""

import hashlib
import json
import platform
from collections.abc import Mapping
from pathlib import Path

from lakehouse.engine.jars import pinned
from lakehouse.engine.java import java
from lakehouse.engine.state import write_private
from lakehouse.settings import PROJECT_ROOT, Settings


def java_options(settings: Settings) -> list[str]:
    """Java's options for the engine; the reasons stand in docs/engine.md."""
    return [
        f"-Xmx{settings.heap_mb}m",
        "-XX:+UseSerialGC",
        # Most of what a statement makes is gone with it: a wide young space moves less. And its classes have
        # room at once: otherwise Java looks through the whole heap each time that their space grows.
        f"-XX:NewSize={settings.heap_mb // 4}m",
        "-XX:MetaspaceSize=768m",
        # Spark compiles classes for every statement; optimizing each costs more than it gains here.
        "-XX:TieredStopAtLevel=1",
        # With that option Java has room for 48 MB of compiled code. A day's build fills it; then Java
        # sweeps, forgets and interprets.
        "-XX:ReservedCodeCacheSize=512m",
        # Both relative to the engine's folder, in which it runs.
        "-Dlog4j2.configurationFile=log4j2.properties",
        "-Dderby.system.home=.",
        f"-Djava.io.tmpdir={settings.engine_dir / 'scratch'}",
        "-Djava.net.preferIPv4Stack=true",
        "-Duser.timezone=UTC",
    ]


def spark_settings(settings: Settings, port: int) -> dict[str, str]:
    """Spark's configuration for one machine; the reasons stand in docs/engine.md.

    Args:
        port: where Spark Connect listens, on loopback.
    """
    return {
        "spark.app.name": "lakehouse",
        "spark.master": f"local[{settings.cores}]",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        # The driver's other ports take nobody without a secret, which Spark makes for itself here.
        "spark.authenticate": "true",
        # Hadoop gives a file the mode that it thinks right, whatever the process's umask is.
        "spark.hadoop.fs.permissions.umask-mode": "077",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.connect.grpc.maxInboundMessageSize": str(256 * 2**20),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.catalogImplementation": "hive",
        "spark.sql.warehouse.dir": settings.tables_uri,
        **_object_storage(settings),
        **_metastore(settings),
        "spark.local.dir": str(settings.engine_dir / "scratch"),
        "spark.sql.session.timeZone": "UTC",
        # In SQL that holds text of others, `${env:…}` would show them the engine's environment.
        "spark.sql.variable.substitute": "false",
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        # A table here has tens of files, and every statement reads its state: one task for that.
        "spark.databricks.delta.snapshotPartitions": "1",
        # Classes that Spark compiled for a statement, kept for the next one of its form.
        "spark.sql.codegen.cache.maxEntries": "5000",
        # Spark infers constraints over every alias; a wide feature table makes that grow past any heap.
        "spark.sql.constraintPropagation.enabled": "false",
        "spark.python.daemon.module": "lakehouse.engine.python_daemon",
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "1024",
        "spark.ui.enabled": str(settings.spark_ui_port > 0).lower(),
        "spark.ui.port": str(settings.spark_ui_port or 4040),
        "spark.ui.showConsoleProgress": "false",
        "spark.ui.retainedJobs": "100",
        "spark.ui.retainedStages": "100",
        "spark.ui.retainedTasks": "1000",
        "spark.sql.ui.retainedExecutions": "50",
        "spark.connect.ui.retainedSessions": "20",
        "spark.connect.ui.retainedStatements": "50",
        "spark.sql.connect.serverStacktrace.enabled": "false",
        "spark.sql.pyspark.jvmStacktrace.enabled": "false",
        "spark.log.callerContext": "lakehouse",
    }


def _metastore(settings: Settings) -> dict[str, str]:
    """Hive's metastore: the settings' database, or Derby in the warehouse, which one process can open."""
    if settings.metastore_url is None:
        derby = f"jdbc:derby:;databaseName={settings.warehouse.resolve() / 'metastore'};create=true"
        return {"spark.hadoop.javax.jdo.option.ConnectionURL": derby}
    connection = {f"spark.hadoop.{key}": value for key, value in metastore_connection(settings).items()}
    # Its tables are there (lakehouse.engine.metastore_tables), without the note of their version.
    return connection | {"spark.hadoop.hive.metastore.schema.verification": "false"}


def metastore_connection(settings: Settings) -> dict[str, str]:
    """How JDO reaches the settings' database."""
    option = "javax.jdo.option.Connection"
    return {
        f"{option}URL": settings.metastore_url or "",
        f"{option}DriverName": "org.postgresql.Driver",
        f"{option}UserName": settings.metastore_user or "",
        f"{option}Password": settings.metastore_password or "",
    }


_AWS_AUTH = "software.amazon.awssdk.auth.credentials"


def _object_storage(settings: Settings) -> dict[str, str]:
    """Hadoop's S3A, where tables lie in an object store; credentials are found as every AWS program does."""
    if settings.tables is None:
        return {}
    s3a = "spark.hadoop.fs.s3a"
    found = {
        f"{s3a}.aws.credentials.provider": f"{_AWS_AUTH}.DefaultCredentialsProvider",
        f"{s3a}.buffer.dir": str(settings.engine_dir / "scratch"),
    }
    if settings.s3_endpoint is not None:
        # A store that is not Amazon's has no name of a host for each bucket, and its region is only a word.
        found |= {
            f"{s3a}.endpoint": settings.s3_endpoint,
            f"{s3a}.endpoint.region": "us-east-1",
            f"{s3a}.path.style.access": "true",
            f"{s3a}.connection.ssl.enabled": str(settings.s3_endpoint.startswith("https:")).lower(),
        }
    return found


# Not part of the engine's identity: the port is chosen at each start.
_VARYING = ("spark.connect.grpc.binding.port",)


def fingerprint(settings: Settings) -> dict[str, str]:
    """What must agree between an engine and its clients, part by part, so that a difference can be named."""
    spark = {key: value for key, value in spark_settings(settings, 0).items() if key not in _VARYING}
    lock = PROJECT_ROOT / "requirements.lock"
    return {
        "JARs": _digest(pinned(settings)),
        "Java": java()[1],
        "Java options": _digest(java_options(settings)),
        "Spark settings": _digest(spark),
        "Python": platform.python_version(),
        "lock file": hashlib.sha256(lock.read_bytes()).hexdigest()[:16],
    }


def _digest(facts: dict[str, str] | list[str]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


# Paths are relative to the engine's folder, in which it runs.
LOG4J = """\
# Written by the engine at each start.
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = server.log
appender.file.filePattern = server.log.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{yyyy-MM-dd HH:mm:ss} %p %c{1}: %m%n%ex
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
"""


def write_files(settings: Settings, port: int) -> Path:
    """Write the engine's logging and Spark configuration; returns the properties file for spark-submit."""
    engine = settings.engine_dir
    (engine / "log4j2.properties").write_text(LOG4J)
    properties = engine / "spark.properties"
    # A metastore's password may be among them.
    write_private(properties, as_properties(spark_settings(settings, port)))
    return properties


def as_properties(settings: Mapping[str, str]) -> str:
    """Settings as Java reads them in a properties file, where a backslash escapes."""
    return "".join(f"{key} {value}\n".replace("\\", "\\\\") for key, value in settings.items())
