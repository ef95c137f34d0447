"""Any order of deliveries, decisions, builds and deaths ends at what a build from scratch makes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.engine import server
from lakehouse.settings import PROJECT_ROOT, Settings
from tests.faults.engine_helpers import environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

SEQUENCES = 3


def test_random_operation_ends_at_a_build_from_scratch(tmp_path: Path, worker_seed: int) -> None:
    command = [
        *(sys.executable, "-m", "tests.faults.operate_readings"),
        *("--sequences", str(SEQUENCES), "--seed", str(worker_seed)),
    ]
    try:
        done = subprocess.run(
            command,
            cwd=PROJECT_ROOT,
            env=environment(tmp_path, LAKEHOUSE_HEAP_MB="1024"),
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        server.stop_engine(Settings(warehouse=tmp_path, heap_mb=1024))
    assert done.returncode == 0, f"seed {worker_seed}:\n{done.stdout}\n{done.stderr[-6000:]}"
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["counts"]["sequences"] >= SEQUENCES
    assert told["counts"]["rows"] > 0


@pytest.fixture
def worker_seed() -> int:
    """Another one each day; printed where the test fails."""
    from datetime import UTC, datetime

    return datetime.now(UTC).toordinal()
