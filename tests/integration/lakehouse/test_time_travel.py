"""Which versions a build from the past reads, and which sources it has to ask for."""

from datetime import UTC, datetime, timedelta

import pytest

from lakehouse.dbt import time_travel
from lakehouse.delta.table import create_table
from lakehouse.errors import LakehouseError

LONG_AGO = datetime(2013, 10, 5, 12, tzinfo=UTC)


def test_a_selection_reads_its_own_sources_and_no_others() -> None:
    assert time_travel.sources_read(["stg_airlines"]) >= {"airlines"}
    assert "weather_observations" not in time_travel.sources_read(["stg_airlines"])
    read = time_travel.sources_read(["+flight_features"])
    assert read >= {"flight_schedule", "flight_actuals", "weather_observations"}
    with pytest.raises(LakehouseError, match="no_such_model selects no model"):
        time_travel.sources_read(["no_such_model"])


def test_only_what_is_read_must_have_existed_then(spark, schema: str) -> None:
    for name in ("read", "unread"):
        create_table(spark, f"{schema}.{name}", [("id", "int")])
    now = datetime.now(UTC) + timedelta(minutes=1)
    pins = time_travel.complete_pins(spark, [], now, schema, needed=["read"])
    assert {(pin.name, pin.version) for pin in pins} == {(f"{schema}.read", 0), (f"{schema}.unread", 0)}
    assert time_travel.complete_pins(spark, [], LONG_AGO, schema, needed=[]) == ()
    with pytest.raises(
        LakehouseError, match=rf"(?s){schema}\.read has no version of 2013.*its first one is of 20"
    ) as said:
        time_travel.complete_pins(spark, [], LONG_AGO, schema, needed=["read"])
    assert "when this warehouse committed, not the day of the data" in said.value.hint
    with pytest.raises(LakehouseError, match="has no version of 2013"):
        time_travel.complete_pins(spark, [], LONG_AGO, schema)


def test_a_pinned_table_is_not_asked_for(spark, schema: str) -> None:
    create_table(spark, f"{schema}.read", [("id", "int")])
    (pin,) = time_travel.complete_pins(spark, [], bronze=schema)
    assert time_travel.complete_pins(spark, [pin], LONG_AGO, schema) == (pin,)
