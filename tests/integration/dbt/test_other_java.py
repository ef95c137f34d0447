"""What Java 17 builds, Java 21 builds, to the bit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_ROOT

# Two builds of all features, each on an engine of its own.
pytestmark = pytest.mark.slow

BUILD = """
import json
from datetime import date
from demo.publish import publish
from lakehouse.dbt.project import run_dbt
from lakehouse.delta.content_hash import content_hash
from lakehouse.engine import server
from lakehouse.engine.session import spark_session
from lakehouse.ingest.land import ingest

publish(date(2013, 9, 1), date(2013, 9, 2))
spark = spark_session()
assert not ingest(spark).refused
without_tests = ["--exclude-resource-type", "test", "unit_test"]
run_dbt(["build", *without_tests, "--select", "+flight_features"], target="dev")
java = spark.sql("select java_method('java.lang.System', 'getProperty', 'java.version')"
).collect()[0][0]
names = [row.tableName for row in spark.sql("show tables in analyst").collect()]
hashes = {name: content_hash(spark.table(f"analyst.{name}")) for name in names}
rows = {name: each.row_count for name, each in hashes.items()}
found = {name: [each.rows, each.columns] for name, each in hashes.items()}
spark.stop()
server.stop_engine(force=True)
print(json.dumps({"java": java, "rows": rows, "hashes": found}))
"""


def _build(warehouse: Path, java_home: Path | None) -> dict[str, dict[str, int]]:
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("SPARK_", "LAKEHOUSE_")) and key != "JAVA_HOME"
    }
    own = {
        "LAKEHOUSE_WAREHOUSE": str(warehouse),
        "LAKEHOUSE_SETTLE_SECONDS": "0",
        "LAKEHOUSE_DBT_SCHEMA": "analyst",
        "DBT_TARGET_PATH": str(warehouse / "target"),
        "DBT_LOG_PATH": str(warehouse / "target"),
    } | ({"JAVA_HOME": str(java_home)} if java_home else {})
    done = subprocess.run(
        [sys.executable, "-c", BUILD],
        env={**kept, **own},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.timeout(1800)
def test_java_21_builds_the_same_bits(tmp_path: Path) -> None:
    installed = subprocess.run(
        [PROJECT_ROOT / "scripts" / "install-java-21.sh"], capture_output=True, text=True, check=True
    ).stdout.strip()
    ours, other = _build(tmp_path / "ours", None), _build(tmp_path / "other", Path(installed))
    assert str(ours["java"]).startswith("17.")
    assert str(other["java"]).startswith("21.")
    assert ours["rows"]["flight_features"] > 1000
    assert ours["hashes"] == other["hashes"]
