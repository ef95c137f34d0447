"""What grows with time is told with its bound, before a disk is full."""

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
