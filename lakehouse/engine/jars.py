"""The JARs that the engine runs: Spark's, and by pinned coordinates and checksums those of Delta and of sources."""

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT, Settings

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
    "org.postgresql:postgresql:42.7.14": "73914527305a40cce504b0d3d90b23caf565136912d607ae8ae7c5895512332c",
    # Not every release of Spark has its connectors in every mirror.
    "org.apache.spark:spark-sql-kafka-0-10_2.13:4.1.1": "9c1ce986f548e6b1dcb0e2dfe2f253a0bc58f2232a32a0c9c6c674dd25a8570c",
    "org.apache.spark:spark-token-provider-kafka-0-10_2.13:4.1.1": "e510adc37b03d01d0a190d0dab472b5538e05eaa77454f7e9477156d7a6820ae",
    "org.apache.kafka:kafka-clients:3.9.1": "7568b998572d256f0b7bc0afdc1b7a2588b8b08415c62ce314c864a6851ae9d9",
    "org.apache.commons:commons-pool2:2.12.1": "5273c8bc8c0dca2211175c0d27efbd7228efae99689aac001a8e1ef8e872e9ef",
    "org.apache.spark:spark-avro_2.13:4.1.1": "6a19d90bc3b6e88d8db0fa36a19273aa10fea2dbd7a62bb60e4cedd73051b32d",
}

# Only for tables in an object store, as they are large: `python -m lakehouse.engine.install s3`.
S3 = {
    "org.apache.hadoop:hadoop-aws:3.4.2": "d2d24e6b715b5656b9d238bf13b6682a07e2004dd36aad74a73aeb854319f4d9",
    "software.amazon.awssdk:bundle:2.29.52": "62638f33045690c6bc5e496b54b0b2e89a9ad38cbedacdf6e017fea6bc85f55c",
    "software.amazon.s3.analyticsaccelerator:analyticsaccelerator-s3:1.2.1": "11029552e37408e41e689b20150f4b372e0b4f232de321ccafd0fcf443cdfb5a",
}


def pinned(settings: Settings) -> dict[str, str]:
    """The JARs that an engine with these settings runs, each with its checksum."""
    return PINNED if settings.tables is None else PINNED | S3


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


def jar_paths(folder: Path = JARS_DIR, wanted: Mapping[str, str] = PINNED) -> list[Path]:
    """The pinned JARs, each checked against its checksum.

    Args:
        wanted: which, by coordinates, with their checksums.

    Raises:
        LakehouseError: one is missing, or has other bytes than the pinned ones.
    """
    paths: list[Path] = []
    for coordinate, checksum in wanted.items():
        path = folder / jar_name(coordinate)
        if not path.is_file():
            hint = "python -m lakehouse.engine.install s3" if coordinate in S3 else "make setup"
            raise LakehouseError(f"{coordinate} is not in {folder}", f"run `{hint}`")
        if _sha256(path) != checksum:
            raise LakehouseError(
                f"{path} does not have its pinned checksum", f"delete {folder}, run `make setup`"
            )
        paths.append(path)
    return paths
