"""What set-up makes for the engine: Delta's JARs, by checksum, and an archive of the classes it loads."""

import os
import secrets
import shutil
import ssl
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from cryptography.utils import CryptographyDeprecationWarning

from lakehouse.engine.config import java_options
from lakehouse.engine.jars import JARS_DIR, PINNED, S3, jar_name, jar_paths
from lakehouse.engine.java import SPARK_OPTIONS, class_archive, environment, java, spark_submit
from lakehouse.engine.server import ensure_engine, stop_engine
from lakehouse.engine.session import spark_session
from lakehouse.errors import LakehouseError
from lakehouse.settings import Settings

# What others' JARs would bring, though PySpark ships it or nobody needs it.
_NOT_AGAIN = (
    "org.apache.hadoop:hadoop-client-api",
    "org.apache.hadoop:hadoop-client-runtime",
    # Hadoop takes Java's own TLS without it.
    "org.wildfly.openssl:wildfly-openssl",
)


def fetch_jars(folder: Path = JARS_DIR, wanted: Mapping[str, str] = PINNED) -> list[Path]:
    """Resolve the pinned JARs from Maven Central into `folder`, once; nothing is done when they are there.

    Args:
        wanted: which, by coordinates, with their checksums.

    Raises:
        LakehouseError: the resolver failed, or delivered other bytes than the pinned ones.
    """
    if all((folder / jar_name(coordinate)).is_file() for coordinate in wanted):
        return jar_paths(folder, wanted)
    with tempfile.TemporaryDirectory(prefix="lakehouse-jars-") as scratch:
        resolved = resolve_jars(list(wanted), Path(scratch), without=_NOT_AGAIN)
        folder.mkdir(parents=True, exist_ok=True)
        for coordinate in wanted:
            shutil.copy2(resolved / jar_name(coordinate), folder)
    return jar_paths(folder, wanted)


def resolve_jars(coordinates: Sequence[str], scratch: Path, *, without: Sequence[str] = ()) -> Path:
    """Resolve JARs and what they depend on from Maven Central, by Spark's own resolver.

    Args:
        coordinates: `group:artifact:version` of each.
        scratch: an empty folder, which the resolver fills.
        without: `group:artifact` of what is left out, with what only that depends on.

    Returns:
        the folder that they lie in, below `scratch`.

    Raises:
        LakehouseError: the resolver failed.
    """
    # Any main class will do: spark-submit resolves the packages first, then this one prints a version.
    outcome = subprocess.run(
        spark_submit(
            ["-XX:TieredStopAtLevel=1", *_trusting_what_python_trusts(scratch)],
            "--packages", ",".join(coordinates),
            *(("--exclude-packages", ",".join(without)) if without else ()),
            "--conf", f"spark.jars.ivy={scratch}",
            "--class", "scala.util.Properties",
            "spark-internal",
        ),
        # With the user's SPARK_CONF_DIR, which may name a mirror.
        env={**os.environ, **environment([])},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    if outcome.returncode != 0:
        raise LakehouseError(
            f"the JARs could not be resolved:\n{outcome.stderr[-2000:]}", "is Maven Central reachable?"
        )
    return scratch / "jars"


def _trusting_what_python_trusts(folder: Path) -> list[str]:
    """Java's options by which it trusts this machine's authorities, as pip did a moment before.

    The lock's Java has authorities of its own, which know nothing of a company's proxy.
    """
    trusted = ssl.create_default_context().get_ca_certs(binary_form=True)
    if not trusted:
        return []
    store, password = folder / "trusted.p12", secrets.token_hex(16)
    with warnings.catch_warnings():
        # Some of Debian's have serial numbers that a later release will refuse; the lock pins this one.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        certificates = [
            pkcs12.PKCS12Certificate(x509.load_der_x509_certificate(each), f"{number}".encode())
            for number, each in enumerate(trusted)
        ]
    store.write_bytes(
        pkcs12.serialize_java_truststore(certificates, BestAvailableEncryption(password.encode()))
    )
    return [f"-Djavax.net.ssl.trustStore={store}", f"-Djavax.net.ssl.trustStorePassword={password}"]


def archive_classes() -> Path:
    """Archive the classes of a start, parsed and verified: an engine that finds them starts in half the time.

    Java's own "class data sharing": an engine on an empty warehouse says which classes it loads, and a
    second Java archives them. Nothing is done when an archive is there that fits this Java and these JARs.
    """
    jars = jar_paths()
    archive = class_archive(jars)
    if archive.is_file():
        return archive
    with tempfile.TemporaryDirectory(prefix="lakehouse-classes-") as scratch:
        named, made = Path(scratch) / "classes", Path(scratch) / "archive"
        config = Settings(warehouse=Path(scratch) / "warehouse")
        _exercise(config, named)
        outcome = subprocess.run(
            [
                str(java()[0]),
                *SPARK_OPTIONS,
                *java_options(config),
                "-Xshare:dump",
                f"-XX:SharedClassListFile={named}",
                f"-XX:SharedArchiveFile={made}",
            ],
            env=environment(jars),
            capture_output=True,
            text=True,
            check=False,
        )
        if outcome.returncode != 0:
            raise LakehouseError(
                f"Java could not archive Spark's classes:\n{outcome.stderr[-2000:]}", "is the disk full?"
            )
        # Whole or not at all, also where the scratch folder lies on another disk.
        moved = archive.with_suffix(f".{os.getpid()}")
        shutil.move(made, moved)
        moved.replace(archive)
    # An engine that runs keeps the one it has open; also what a kill left half moved goes.
    for other in set(JARS_DIR.glob("classes-*")) - {archive}:
        other.unlink()
    return archive


def _exercise(config: Settings, named: Path) -> None:
    # Whatever server the user works on: it is this project's engine that is looked at.
    os.environ.pop("SPARK_REMOTE", None)
    os.environ["JDK_JAVA_OPTIONS"] = f"-XX:DumpLoadedClassList={named}"
    try:
        ensure_engine(config)
        spark = spark_session(config)
        # What a start and a first statement load. A Delta table's classes would be a third more, and Java
        # would take 45 s longer to archive them, for 3 s at each engine's first table.
        spark.sql("select 1").collect()
        # While there is an engine to take leave of: PySpark would try for minutes otherwise.
        spark.stop()
    finally:
        del os.environ["JDK_JAVA_OPTIONS"]
        # This process is the only one that knows of it.
        stop_engine(config, force=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["s3"]:
        fetch_jars(wanted=S3)
    else:
        fetch_jars()
        archive_classes()
