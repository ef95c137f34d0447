"""What set-up makes for the engine: Delta's JARs, by checksum, and an archive of the classes it loads."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from lakehouse.engine.config import java_options
from lakehouse.engine.jars import JARS_DIR, PINNED, jar_name, jar_paths
from lakehouse.engine.java import SPARK_OPTIONS, class_archive, environment, java, spark_submit
from lakehouse.engine.server import ensure_engine, stop_engine
from lakehouse.engine.session import spark_session
from lakehouse.errors import LakehouseError
from lakehouse.settings import Settings


def fetch_jars(folder: Path = JARS_DIR) -> list[Path]:
    """Resolve the pinned JARs from Maven Central into `folder`, once; nothing is done when they are there.

    Raises:
        LakehouseError: the resolver failed, or delivered other bytes than the pinned ones.
    """
    if all((folder / jar_name(coordinate)).is_file() for coordinate in PINNED):
        return jar_paths(folder)
    with tempfile.TemporaryDirectory(prefix="lakehouse-jars-") as scratch:
        # Any main class will do: spark-submit resolves the packages first, then this one prints a version.
        outcome = subprocess.run(
            spark_submit(
                [],
                "--packages", ",".join(PINNED),
                "--conf", f"spark.jars.ivy={scratch}",
                "--class", "scala.util.Properties",
                "spark-internal",
            ),
            env=environment([]),
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        if outcome.returncode != 0:
            raise LakehouseError(
                f"the JARs could not be resolved:\n{outcome.stderr[-2000:]}", "is Maven Central reachable?"
            )
        folder.mkdir(parents=True, exist_ok=True)
        for coordinate in PINNED:
            shutil.copy2(Path(scratch) / "jars" / jar_name(coordinate), folder)
    return jar_paths(folder)


# Enough for the classes of a start, of a first statement and of a Delta table to be loaded.
_EXERCISE = (
    "create schema made",
    "create table made.numbers using delta as select id, id / 3 as third from range(100)",
    "select count(*), sum(third) from made.numbers",
    "drop schema made cascade",
)


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
        for old in JARS_DIR.glob("classes-*.jsa"):
            old.unlink()
        # Whole or not at all, also where the scratch folder lies on another disk.
        moved = archive.with_suffix(f".{os.getpid()}")
        shutil.move(made, moved)
        moved.replace(archive)
    return archive


def _exercise(config: Settings, named: Path) -> None:
    os.environ["JDK_JAVA_OPTIONS"] = f"-XX:DumpLoadedClassList={named}"
    try:
        ensure_engine(config)
        spark = spark_session(config)
        for statement in _EXERCISE:
            spark.sql(statement).collect()
        # While there is an engine to take leave of: PySpark would try for minutes otherwise.
        spark.stop()
    finally:
        del os.environ["JDK_JAVA_OPTIONS"]
        # This process is the only one that knows of it.
        stop_engine(config, force=True)


if __name__ == "__main__":
    fetch_jars()
    archive_classes()
