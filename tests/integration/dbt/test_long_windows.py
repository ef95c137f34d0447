"""200 days of a few aircraft: windows of 45 and 180 days are crossed, with corrections at their edges."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from demo import corrections, deliveries, flights
from demo.publish import publish
from lakehouse.delta.content_hash import content_hash
from tests.integration.dbt.conftest import SEEDS, SNAPSHOTS, Lakehouse

# Seven builds of everything: minutes, not seconds.
pytestmark = pytest.mark.slow

FIRST, HISTORY_ENDS, LAST = date(2013, 3, 1), date(2013, 9, 8), date(2013, 9, 16)
AIRCRAFT = 14
# Days before the report that a corrected flight took off: both sides of each window's edge.
AGES = (1, 6, 8, 29, 31, 44, 46, 179, 181)


@pytest.fixture
def few_aircraft(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The flights of the aircraft that flew most, some five to twenty a day."""
    everything = flights.read_flights()
    most = everything["tailnum"].value_counts().index[:AIRCRAFT]
    sample = everything[everything["tailnum"].isin(most)].reset_index(drop=True)
    cached = (deliveries.schedule, *(source.rows for source in deliveries.LIVE_SOURCES))

    def forget() -> None:
        for each in cached:
            getattr(each, "cache_clear", lambda: None)()

    for module in (deliveries, corrections, flights):
        if hasattr(module, "read_flights"):
            monkeypatch.setattr(module, "read_flights", lambda: sample)
    forget()
    yield
    monkeypatch.undo()
    forget()


def correct(landing: Path, reported_on: date) -> int:
    """Deliver, on one day, later arrivals of flights of several earlier ones; returns how many."""
    folder, lines = landing / "flight_actuals", list[str]()
    for age in AGES:
        path = folder / f"flight_actuals_{reported_on - timedelta(days=age)}.jsonl"
        told = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        arrived = [event for event in told if event["event_type"] == "arrived"][:2]
        for event in arrived:
            changed = {
                "delay_minutes": event["delay_minutes"] + 47,
                "reported_at": f"{reported_on}T18:00:00Z",
            }
            lines.append(json.dumps(event | changed))
    (folder / f"flight_actuals_{reported_on}_corrections.jsonl").write_text("\n".join(lines) + "\n")
    return len(lines)


@pytest.fixture
def lakehouse(_engine: None, few_aircraft: None, tmp_path: Path) -> Iterator[Lakehouse]:
    made = Lakehouse(tmp_path)
    yield made
    made.drop()


def test_increments_over_200_days_hold_what_a_full_build_holds(lakehouse: Lakehouse) -> None:
    publish(FIRST, HISTORY_ENDS, landing=lakehouse.landing)
    lakehouse.ingest()
    lakehouse.build()
    corrected, day = 0, HISTORY_ENDS
    while day < LAST:
        start, day = day + timedelta(days=1), day + timedelta(days=2)
        publish(start, day, landing=lakehouse.landing)
        corrected += correct(lakehouse.landing, day)
        lakehouse.ingest()
        lakehouse.build()
    lakehouse.build(schema=lakehouse.full)

    assert corrected > 30
    shown = lakehouse.spark.sql(f"show tables in {lakehouse.full}").collect()
    views = {row["viewName"] for row in lakehouse.spark.sql(f"show views in {lakehouse.full}").collect()}
    tables = {row["tableName"] for row in shown if not row["isTemporary"]} - {*views, *SNAPSHOTS, *SEEDS}
    assert {"feat_route_history", "feat_carrier_history", "flight_features", "flight_training_set"} <= tables
    grown = {name: content_hash(lakehouse.table(name)) for name in sorted(tables)}
    full = {name: content_hash(lakehouse.table(name, lakehouse.full)) for name in sorted(tables)}
    assert grown == full
    # The windows were crossed: routes have flights of half a year, and labels of old days changed.
    features = lakehouse.table("flight_features", lakehouse.full)
    assert features.where("route_flights_180d > 40").count() > 0
    training = lakehouse.table("flight_training_set", lakehouse.full)
    assert (
        training.where(f"label_known_at > flight_date + interval 150 days and flight_date < '{LAST}'").count()
        > 5
    )
