"""What grows with time is told with its bound, before a disk is full."""

import os
from pathlib import Path

import pytest

from lakehouse import doctor


def test_a_folder_past_its_bound_is_named_with_what_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "GROWTH", {"small": (1, "nothing"), "large": (1, "sweep"), "none": (1, "-")})
    for name, size in (("small", 1000), ("large/below", 2**20 + 1)):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_bytes(bytes(size))

    found = {finding.what: finding for finding in doctor.growth(tmp_path)}
    assert {what: finding.ok for what, finding in found.items()} == {
        "small ≤ 1 MiB": True, "large ≤ 1 MiB": False, "none ≤ 1 MiB": True,
    }  # fmt: skip
    assert found["large ≤ 1 MiB"].hint == "sweep"


def test_a_file_that_goes_away_meanwhile_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "engine").mkdir()
    for number in range(3):
        (tmp_path / "engine" / f"{number}").write_bytes(bytes(2**20))
    real = Path.lstat

    def first_goes(path: Path) -> os.stat_result:
        if path.name == "1":
            path.unlink(missing_ok=True)
        return real(path)

    monkeypatch.setattr(Path, "lstat", first_goes)
    (engine,) = (each for each in doctor.growth(tmp_path) if each.what.startswith("engine"))
    assert engine.found == "2 MiB"
