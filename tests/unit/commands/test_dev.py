"""`lakehouse dev` on a warehouse where one runs."""

from pathlib import Path

import pytest

from commands.dev import alone
from lakehouse import settings as module
from lakehouse.errors import LakehouseError


def test_a_second_one_is_refused_until_the_first_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_WAREHOUSE", str(tmp_path))
    module.settings.cache_clear()
    try:
        with alone(), pytest.raises(LakehouseError, match=f"runs for {tmp_path} already"), alone():
            pass
        with alone():
            pass
    finally:
        module.settings.cache_clear()
