"""What dbt leaves of each step of the graph is bounded."""

import os
from pathlib import Path

import pytest

from orchestration import resources


def test_the_newest_steps_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "KEPT_STEPS", 3)
    for number in range(5):
        folder = tmp_path / f"step-{number}"
        folder.mkdir()
        (folder / "manifest.json").write_text("{}")
        os.utime(folder, (number, number))
    resources._forget_older(tmp_path)  # pyright: ignore[reportPrivateUsage]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-2", "step-3", "step-4"]
