"""In whatever order deliveries arrive, the increments end at the rows that a full build makes of them."""

import shutil
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from demo.publish import publish
from lakehouse.delta.content_hash import content_hash
from tests.integration.dbt.conftest import Lakehouse, correct_arrivals

# Four dbt builds an example: minutes, not seconds. What fails is told as it was drawn; making it smaller
# takes hours.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

FIRST, LAST = date(2013, 9, 1), date(2013, 9, 3)
BUILDS = 3
# One table of each kind of window, and what they stand on.
TABLES = (
    "int_flights",
    "int_flight_events",
    "int_flight_outcomes",
    "feat_origin_departures",
    "feat_origin_weather",
    "feat_region_arrivals",
    "feat_destination_history",
    "feat_aircraft_legs",
)
SELECTED = [f"+{table}" for table in TABLES if table.startswith("feat_")]


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days as they would have been delivered, and corrections of the first told on a later one."""
    landing = tmp_path_factory.mktemp("deliveries")
    publish(FIRST, LAST, landing=landing)
    correct_arrivals(landing, reported_at="2013-09-03T15:00:00Z")
    return landing


@given(data=st.data())
@settings(
    max_examples=2,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_order_of_arrival_ends_at_the_full_build(
    _engine: None, deliveries: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    lakehouse = Lakehouse(tmp_path_factory.mktemp("arrivals"))
    files = sorted(path.relative_to(deliveries) for path in deliveries.rglob("*") if path.is_file())
    # Nothing is due, and nothing can be built, before each live source has delivered something.
    first = {
        min(path for path in files if path.parts[0] == source)
        for source in ("flight_actuals", "weather_observations")
    }
    arrives = {
        path: 0 if path in first else data.draw(st.integers(0, BUILDS - 1), label=str(path)) for path in files
    }
    try:
        for step in range(BUILDS):
            for path in (path for path in files if arrives[path] == step):
                (lakehouse.landing / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(deliveries / path, lakehouse.landing / path)
            lakehouse.ingest()
            _build(lakehouse, lakehouse.schema)
        _build(lakehouse, lakehouse.full)
        grown = {name: content_hash(lakehouse.table(name)) for name in TABLES}
        full = {name: content_hash(lakehouse.table(name, lakehouse.full)) for name in TABLES}
        note(str({name: (grown[name].row_count, full[name].row_count) for name in TABLES}))
        assert grown == full
        assert min(found.row_count for found in full.values()) > 0
    finally:
        lakehouse.drop()


def _build(lakehouse: Lakehouse, schema: str) -> None:
    lakehouse.dbt(
        "build", "--select", *SELECTED, "--exclude-resource-type", "test", "unit_test", schema=schema
    )
