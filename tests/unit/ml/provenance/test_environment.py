"""What a run notes of the software is what it imported."""

import sys
from importlib.metadata import version
from pathlib import Path

from ml.provenance.environment import installed_packages


def test_of_a_package_that_is_there_twice_the_imported_version_counts(tmp_path: Path, monkeypatch) -> None:
    laid_over = tmp_path / "safetensors-0.0.1.dist-info"
    laid_over.mkdir()
    (laid_over / "METADATA").write_text("Metadata-Version: 2.1\nName: safetensors\nVersion: 0.0.1\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    installed_packages.cache_clear()
    try:
        assert installed_packages()["safetensors"] == version("safetensors") == "0.0.1"
    finally:
        installed_packages.cache_clear()
