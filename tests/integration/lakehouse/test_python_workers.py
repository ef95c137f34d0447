"""Spark's Python workers: what is on their path, and from where they import Spark's own modules."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyspark
from pyspark.sql import SparkSession

# On any Python's path, whether it exists or not.
PYTHONS_OWN = f"python{sys.version_info.major}{sys.version_info.minor}.zip"


def _seen(batches: Iterator[Any]) -> Iterator[Any]:
    import pyarrow as pa

    found = [*sys.path, *sys.path_importer_cache]
    yield from (
        pa.record_batch({"path": pa.array([*found, sys.modules["pyspark"].__file__])}) for _ in batches
    )


def test_no_archive_is_on_a_workers_path(spark: SparkSession) -> None:
    seen = [row["path"] for row in spark.range(1).mapInArrow(_seen, "path string").collect()]
    assert seen[-1] == str(Path(pyspark.__file__))
    assert [path for path in seen if path.endswith(".jar") or ".zip" in path.replace(PYTHONS_OWN, "")] == []
