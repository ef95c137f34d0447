"""What a source's asset shows as numbers over time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.report import Frontier, IngestReport, LandedBatch, StreamLag
from orchestration.assets import bronze

SOURCE = load_sources()["flight_actuals"]
# The end of 2 October in New York.
UNTIL = datetime(2013, 10, 3, 4, tzinfo=UTC)


def report(**more: Any) -> IngestReport:
    batches = [
        LandedBatch(SOURCE.name, "flight_actuals_2013-10-01", "a.csv", 900, 2),
        LandedBatch(SOURCE.name, "flight_actuals_2013-10-02", "b.csv", 800),
        LandedBatch("airports", "airports_2013-10-02", "c.csv", 7),
    ]
    return IngestReport(landed=batches, **more)


def test_volume_and_lag_are_numbers_that_dagster_plots() -> None:
    # Until 4 in the morning of 2 October in New York: the day ends 20 hours later.
    told = datetime(2013, 10, 2, 8, tzinfo=UTC)
    found = bronze.measured(SOURCE.name, report(frontiers=[Frontier(SOURCE.name, told, None, None)]), UNTIL)
    assert found == {"batches_landed": 2, "rows_landed": 1700, "rows_set_aside": 2, "hours_behind": 20.0}
    shown = dg.MaterializeResult(metadata=found).metadata
    assert {type(each) for each in (shown or {}).values()} <= {int, float}


@pytest.mark.parametrize("told", [datetime(2013, 10, 3, 4, tzinfo=UTC), datetime(2013, 10, 9, tzinfo=UTC)])
def test_a_source_that_has_told_the_day_is_not_behind(told: datetime) -> None:
    found = bronze.measured(SOURCE.name, report(frontiers=[Frontier(SOURCE.name, told, None, None)]), UNTIL)
    assert found["hours_behind"] == 0.0


def test_a_day_to_come_is_not_awaited() -> None:
    told = datetime.now(UTC) - timedelta(hours=3)
    lag = Frontier(SOURCE.name, told, None, None)
    ahead = datetime.now(UTC) + timedelta(days=2)
    assert bronze.measured(SOURCE.name, report(frontiers=[lag]), ahead)["hours_behind"] == pytest.approx(
        3, abs=0.01
    )


def test_a_topic_that_was_read_to_its_end_is_zero_behind() -> None:
    lags = [StreamLag(SOURCE.name, "flight_events", 0, None), StreamLag("other", "o", 5, 1.5)]
    found = bronze.measured(SOURCE.name, report(lags=lags), UNTIL)
    assert (found["rows_behind"], found["minutes_behind"]) == (0, 0.0)
