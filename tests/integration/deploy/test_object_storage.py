"""The project with its tables in an object store: what is built there is what a disk holds, to the bit."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lakehouse.engine import server, tables_claim
from lakehouse.engine.install import fetch_jars
from lakehouse.engine.jars import S3
from lakehouse.errors import LakehouseError
from lakehouse.settings import Settings
from tests.faults.engine_helpers import environment
from tests.integration.deploy.flights_helpers import DAYS, own, printed
from tests.object_store import BUCKET
from tests.object_store import object_store as object_store  # a fixture

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

_COUNT = """
import json
from lakehouse.engine.session import spark_session
print(json.dumps({"flights": spark_session().table("published.flight_features").count()}))
"""


@pytest.fixture
def variables(object_store: str) -> dict[str, str]:
    """The settings of a warehouse in the store."""
    fetch_jars(wanted=S3)
    return {
        "LAKEHOUSE_TABLES": f"s3a://{BUCKET}/lake",
        "LAKEHOUSE_S3_ENDPOINT": object_store,
        "LAKEHOUSE_HEAP_MB": "2048",
    }


@pytest.fixture
def own_warehouse(tmp_path: Path, variables: dict[str, str]) -> Iterator[Path]:
    """Of what is not tables; its engine is stopped while the store is still there."""
    warehouse = tmp_path / "warehouse"
    yield warehouse
    server.stop_engine(Settings(warehouse=warehouse), force=True)


def test_the_same_days_are_the_same_bits_and_a_second_engine_is_refused(
    own_warehouse: Path, variables: dict[str, str], embedded: dict[str, Any], tmp_path: Path
) -> None:
    found = printed([*DAYS, "build,model"], environment(own_warehouse, **variables, **own(tmp_path)))
    assert len(found["tables"]) > 20
    assert found == embedded
    assert not (own_warehouse / "tables").exists()

    other = subprocess.run(
        [Path(sys.executable).with_name("lakehouse"), "up"],
        env=environment(tmp_path / "other", **variables),
        capture_output=True,
        text=True,
        check=False,
    )
    assert other.returncode != 0
    assert f"is written by the engine of {own_warehouse}" in other.stderr
    # The first one goes on.
    assert printed(["-c", _COUNT], environment(own_warehouse, **variables))["flights"] > 2000


def test_a_start_that_fails_leaves_no_claim(object_store: str, tmp_path: Path) -> None:
    fetch_jars(wanted=S3)
    first, second = (
        Settings(warehouse=tmp_path / name, tables=f"s3a://{BUCKET}/claimed", s3_endpoint=object_store)
        for name in ("first", "second")
    )
    # The claim is taken, then the metastore does not answer.
    without = first.model_copy(update={"metastore_url": "jdbc:postgresql://127.0.0.1:9/nowhere"})
    with pytest.raises(LakehouseError, match="did not start: the metastore's database does not answer"):
        server.ensure_engine(without)
    tables_claim.take(second)
