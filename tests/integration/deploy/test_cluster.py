"""The project on a standalone cluster, by SPARK_REMOTE: what the embedded engine makes, to the bit."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lakehouse.settings import PROJECT_ROOT
from tests.faults.engine_helpers import environment
from tests.integration.deploy.cluster_helpers import Cluster, cluster
from tests.integration.deploy.flights_helpers import DAYS, own, printed

# Two builds of all features, each on an engine of its own.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with cluster(folder, folder / "warehouse") as started:
        yield started


# Gives a process a folder that no other sees, and hides another one from it, by mounts of its own.
_APART = 'mount -t tmpfs none "$1" && mount -t tmpfs none "$2" && shift 2 && exec "$@"'


def _apart(own_folder: Path, hidden: Path) -> list[str]:
    own_folder.mkdir(exist_ok=True)
    return ["unshare", "--mount", "sh", "-ec", _APART, "sh", str(own_folder), str(hidden)]


def test_a_client_on_no_shared_disk_makes_the_same_bits_on_two_workers(
    there: Cluster, embedded: dict[str, Any], tmp_path: Path
) -> None:
    own_folder = tmp_path / "client"
    client = there.client(own_folder / "warehouse", **own(own_folder))
    found = printed([*DAYS, "build,model"], client, *_apart(own_folder, there.warehouse))
    assert len(there.executors()) == 2
    assert len(found["tables"]) > 20
    assert found["model"]["scored"] > 500
    assert found == embedded
    # What the client had of its own is gone with it; the tables are where the cluster has them.
    assert not list(own_folder.iterdir())
    assert (there.warehouse / "tables" / "features.db" / "flight_features" / "_delta_log").is_dir()


_HASHES = """
import json
from lakehouse.delta.content_hash import content_hash
from lakehouse.engine.session import spark_session
spark = spark_session()
schemas = ("published", "killed")
print(json.dumps([content_hash(spark.table(f"{schema}.flight_features")).rows for schema in schemas]))
"""


def test_a_build_ends_right_when_a_worker_is_killed(there: Cluster, tmp_path: Path) -> None:
    # On the bronze that the test above has landed.
    client = there.client(tmp_path / "client", LAKEHOUSE_DBT_SCHEMA="killed", **own(tmp_path))
    command = ["build", "--select", "+flight_features", "--exclude-resource-type", "test", "unit_test"]
    with subprocess.Popen(
        [Path(sys.executable).with_name("dbt"), "--no-use-colors", *command],
        env=client,
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as build:
        assert build.stdout is not None
        lines: list[str] = []
        killed = 0
        for line in build.stdout:
            lines.append(line)
            # In the middle: some tables are there, and tasks of others run.
            if not killed and sum("OK created" in each for each in lines) >= 5:
                assert build.poll() is None
                killed = there.kill("worker-1")
    assert killed == 2, "the worker and its executor"
    assert build.returncode == 0, "".join(lines[-30:])
    production, built = printed(["-c", _HASHES], client)
    assert built == production
    # A new worker is taken as soon as it is there.
    there.start_worker("worker-3")
    there.until_executors(2)


@pytest.mark.parametrize(("command", "options"), [("up", []), ("down", ["--force"])])
def test_no_engine_takes_the_warehouse_from_a_cluster(
    there: Cluster, command: str, options: list[str]
) -> None:
    refused = subprocess.run(
        [Path(sys.executable).with_name("lakehouse"), command, *options],
        env=environment(there.warehouse),
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode != 0
    assert f"is served by the Connect server of {there.url}" in refused.stderr
    assert there.processes["connect"].poll() is None
