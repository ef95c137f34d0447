"""Checkpoints of trainings that died long ago are removed; those that may be resumed, or run, stay."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ml.tracking.runs import checkpoints, forget_checkpoints

LATER = datetime.now(UTC) + timedelta(days=15)


@pytest.fixture
def folder(own_warehouse: Path) -> Path:
    return own_warehouse / "mlflow" / "checkpoints"


def dead(folder: Path, run_id: str, days: int) -> Path:
    """What a training left that died so many days before `LATER`."""
    (folder / run_id).mkdir(parents=True)
    (folder / run_id / "state").write_bytes(b"x" * 100)
    at = (LATER - timedelta(days=days)).timestamp()
    for path in (folder / run_id / "state", folder / run_id):
        os.utime(path, (at, at))
    return folder / run_id


def test_only_old_ones_of_dead_trainings_go(folder: Path) -> None:
    old, young = dead(folder, "old", 20), dead(folder, "young", 13)
    with checkpoints("running") as running:
        for path in (running / "lock", running):
            os.utime(path, (0, 0))
        assert forget_checkpoints(14, LATER) == {"old": 100}
        assert not old.exists() and young.exists() and running.exists()
    assert forget_checkpoints(14, LATER) == {}
