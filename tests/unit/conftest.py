"""What unit tests share: a warehouse of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.settings import settings


@pytest.fixture
def own_warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty warehouse, in which no test before has built, trained or told anything."""
    folder = tmp_path / "own"
    monkeypatch.setenv("LAKEHOUSE_WAREHOUSE", str(folder))
    settings.cache_clear()
    yield folder
    settings.cache_clear()
