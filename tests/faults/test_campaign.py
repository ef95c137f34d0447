"""Each fault of the campaign once, at other moments each day: CI's share; `make test-faults` has them all."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_ROOT
from tests.faults.campaign.strikes import STRIKES
from tests.faults.engine_helpers import environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

# One takes two minutes by itself.
_FAULTS = [name for name in STRIKES if name != "freeze_engine_for_two_minutes"]


def test_each_fault_is_survived_at_a_random_moment(tmp_path: Path) -> None:
    seed = str(datetime.now(UTC).toordinal())
    command = [
        *(sys.executable, "-m", "tests.faults.campaign", "--times", "1", "--seed", seed),
        *("--only", *_FAULTS, "two_at_once"),
    ]
    done = subprocess.run(
        command,
        cwd=PROJECT_ROOT,
        env=environment(tmp_path / "warehouse"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"seed {seed}:\n{done.stdout}\n{done.stderr[-6000:]}"
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert {each["fault"] for each in told if each["fired"]} == {*_FAULTS, "two_at_once"}
