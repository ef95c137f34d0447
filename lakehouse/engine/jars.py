"""The JARs that the engine runs: Spark's, and Delta's by pinned coordinates and checksums."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT

JARS_DIR = PROJECT_ROOT / ".jars"

# ruff: noqa: E501
# Only what PySpark does not ship itself; what these depend on is in PySpark's own folder, in newer versions.
PINNED = {
    "io.delta:delta-spark_4.1_2.13:4.4.0": "75a9400986853c061f5109f012547de2545a5759e5e752e5ef633dabe16a4f10",
    "io.delta:delta-storage:4.4.0": "c46735481fa8e326b0957be02b4420cbcab4b325bb08009b7f2045a95133f1cc",
    "io.delta:delta-kernel-api:4.4.0": "ee9b5a14ac3b7efdff4d61a58478fe8eb0e5a3fbca43889dca7290795fe79a11",
    "io.delta:delta-kernel-defaults:4.4.0": "225c975199e4718b38ee5b7e6da7f19e9585024262b2cec2656b32151a856b0b",
    "io.delta:delta-kernel-unitycatalog:4.4.0": "cea22dfb4ac562b3cd27bf652697750e8336009d73fb06631363aaaad5345ffa",
    "io.unitycatalog:unitycatalog-client:0.6.0": "48257499a86b801a3e2372cec55ac226ca1c1c7eabe5c118e7302f29a1fdbc19",
    "io.unitycatalog:unitycatalog-hadoop:0.6.0": "c47b63c961c87102b9e1d63809a0915ba4c86b7652f57c8d39ca3a05b441a150",
}


def spark_home() -> Path:
    """PySpark's own folder, with its launch scripts and JARs."""
    # Not imported: that takes half a second.
    found = find_spec("pyspark")
    assert found is not None and found.origin is not None  # noqa: S101 - it is in the lock
    return Path(found.origin).parent


def spark_jars() -> list[Path]:
    """PySpark's JARs in an order that is the same everywhere.

    As in Spark's own launcher SLF4J's API comes first; then the largest, which hold most of the classes: Java
    looks for each class in one JAR after the other.
    """
    found = (spark_home() / "jars").glob("*.jar")
    return sorted(
        found, key=lambda path: (not path.name.startswith("slf4j-api-"), -path.stat().st_size, path.name)
    )


def jar_name(coordinate: str) -> str:
    """The file's name, as Ivy gives it."""
    group, artifact, version = coordinate.split(":")
    return f"{group}_{artifact}-{version}.jar"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def jar_paths(folder: Path = JARS_DIR) -> list[Path]:
    """The pinned JARs, each checked against its checksum.

    Raises:
        LakehouseError: one is missing, or has other bytes than the pinned ones.
    """
    paths: list[Path] = []
    for coordinate, checksum in PINNED.items():
        path = folder / jar_name(coordinate)
        if not path.is_file():
            raise LakehouseError(f"{coordinate} is not in {folder}", "run `make setup`")
        if _sha256(path) != checksum:
            raise LakehouseError(
                f"{path} does not have its pinned checksum", f"delete {folder}, run `make setup`"
            )
        paths.append(path)
    return paths
