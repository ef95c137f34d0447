"""One engine for all tests, on a warehouse of its own, and one schema for each test."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.postgres import postgres as postgres  # a fixture
from tests.redis_server import own_redis as own_redis  # a fixture
from tests.redis_server import redis_server as redis_server  # a fixture

# Before anything of ours is imported: settings are read once, and child processes inherit them.
_OWN = "LAKEHOUSE_TEST_WAREHOUSE" not in os.environ
WAREHOUSE = Path(os.environ.get("LAKEHOUSE_TEST_WAREHOUSE") or tempfile.mkdtemp(prefix="lakehouse-tests-"))
os.environ["LAKEHOUSE_WAREHOUSE"] = str(WAREHOUSE)
os.environ.setdefault("LAKEHOUSE_HEAP_MB", "2048")
# Tests write a file and ingest it at once; those of waiting say how long.
os.environ.setdefault("LAKEHOUSE_SETTLE_SECONDS", "0")
for _elsewhere in (
    "SPARK_REMOTE",
    "MLFLOW_TRACKING_URI",
    "LAKEHOUSE_METASTORE_URL",
    "LAKEHOUSE_DAGSTER_DATABASE",
    "LAKEHOUSE_TABLES",
):
    os.environ.pop(_elsewhere, None)
# A store of the developer's own is nobody's test bed.
os.environ["LAKEHOUSE_ONLINE_STORE"] = "sqlite"

# How long an example takes says what else the machine does, and that the first one imports libraries.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


@pytest.fixture(scope="session")
def warehouse() -> Path:
    """The folder that all tests of this run share."""
    return WAREHOUSE


@pytest.fixture(scope="session")
def _engine() -> Iterator[None]:
    from lakehouse.engine import server
    from lakehouse.engine.session import spark_session

    server.ensure_engine()
    yield
    if _OWN:
        # While there is an engine to take leave of: PySpark would try for most of a minute.
        spark_session().stop()
        server.stop_engine()


def pytest_unconfigure() -> None:
    """The folder was made whether a test needed an engine or not."""
    if _OWN:
        shutil.rmtree(WAREHOUSE, ignore_errors=True)


@pytest.fixture
def spark(_engine: None):
    """The Spark Connect session, asked for anew by each test: a fault test may have replaced the engine."""
    from lakehouse.engine.session import spark_session

    return spark_session()


@pytest.fixture
def schema(spark) -> Iterator[str]:
    """A schema that only this test uses."""
    name = f"t_{uuid.uuid4().hex[:10]}"
    spark.sql(f"create schema {name}")
    yield name
    spark.sql(f"drop schema {name} cascade")
