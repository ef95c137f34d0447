"""What a step must wait for: the sources that its models are made from, and no others."""

from datetime import date
from pathlib import Path

import dagster as dg

from lakehouse.dbt.manifest import manifest
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.land import Refusal
from orchestration.assets.bronze import refused_of
from orchestration.assets.dbt import _read_behind
from orchestration.requirements import sources_read

# No gate checks it: `require` leaves it out.
LEDGER = {"bronze.deliveries"}


def key(name: str) -> dg.AssetKey:
    return dg.AssetKey.from_user_string(name)


def test_a_model_needs_the_sources_that_it_is_made_from() -> None:
    models = ["model.lakehouse.int_flights"]
    needed = sources_read(manifest(), models)
    assert "bronze.flight_schedule" in needed
    assert "bronze.weather_observations" not in needed
    assert sources_read(manifest(), ["model.lakehouse.stg_airlines"]) - LEDGER == {"bronze.airlines"}


def test_a_selection_needs_what_its_models_read_and_the_whole_stretch_all() -> None:
    of_airlines = _read_behind("bronze", {key("staging/stg_airlines")})
    assert of_airlines is not None and of_airlines - LEDGER == {"bronze.airlines"}
    of_features = _read_behind("bronze", {key("features/flight_features")})
    assert of_features is not None
    assert {"bronze.flight_schedule", "bronze.flight_actuals", "bronze.weather_observations"} <= of_features
    assert "bronze.airlines" not in of_features
    assert _read_behind("features", {key("training/flight_training_set")}) is None


def test_a_refused_file_is_told_by_source_and_day() -> None:
    source = load_sources()["flight_actuals"]
    inside = Refusal(f"flight_actuals/flight_actuals_{date(2013, 8, 5)}.jsonl", "cut")
    unnamed = Refusal("flight_actuals/flights.jsonl", "its name says no day")
    other = Refusal(str(Path(load_sources()["flight_schedule"].files).parent / "x.csv"), "cut")
    assert refused_of(source, [inside, unnamed, other]) == {inside: date(2013, 8, 5), unnamed: None}
