"""JARs are used only with their pinned bytes."""

from pathlib import Path

import pytest

from lakehouse.engine import jars
from lakehouse.errors import LakehouseError


def test_a_missing_jar_is_named(tmp_path: Path) -> None:
    with pytest.raises(LakehouseError, match=r"delta-spark.* is not in .*(?s:.)*make setup"):
        jars.jar_paths(tmp_path)


def test_a_jar_with_other_bytes_is_refused(tmp_path: Path) -> None:
    for path in jars.jar_paths():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    changed = tmp_path / jars.jar_paths()[-1].name
    changed.write_bytes(changed.read_bytes() + b"!")
    with pytest.raises(LakehouseError, match=f"{changed.name} does not have its pinned checksum"):
        jars.jar_paths(tmp_path)
