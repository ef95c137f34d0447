"""What our own engine makes of a few days on a disk: the figures that every other place has to reach."""

from typing import Any

import pytest

from lakehouse.engine import server
from lakehouse.settings import Settings
from tests.faults.engine_helpers import environment
from tests.integration.deploy.flights_helpers import DAYS, own, printed


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Hashes of tables, weights and scores."""
    folder = tmp_path_factory.mktemp("embedded")
    warehouse = folder / "warehouse"
    try:
        return printed(
            [*DAYS, "build,model"], environment(warehouse, LAKEHOUSE_HEAP_MB="2048", **own(folder))
        )
    finally:
        server.stop_engine(Settings(warehouse=warehouse), force=True)
