"""What is expected of deliveries in bronze. Broken rows are quarantined; a broken delivery fails the gate."""

from collections.abc import Mapping

from expectations.row_rules import row_rules
from expectations.suite import Expectation, Profile, Suite, at_most, between, delivery_day, unique

# One row in twenty of a day may be bad data; more is a broken delivery.
MOST_QUARANTINED = 0.05

# The least and most rows of one day's deliveries, from 2013: 634 to 1,014 flights a day, two events a flight
# that flew, one of a cancelled one, 57 to 72 hours of weather. A day without deliveries is late, not wrong.
_FLIGHTS = (500, 1200)
_EVENTS = (600, 2600)
_HOURS = (45, 80)


def _while_whole(source: str, rows: str) -> str:
    """`rows`, or NULL (which no bound looks at) while the day's last hour has not been delivered."""
    day = f"max({delivery_day(source).sql})"
    midnight = f"to_utc_timestamp(timestamp(date_add({day}, 1)), 'America/New_York')"
    return f"if(max(_delivered_until) >= {midnight}, {rows}, null)"


def _source(name: str, key: tuple[str, ...], metrics: Mapping[str, str], bounds: Expectation) -> Suite:
    """A delivery may repeat what an earlier one said, but says nothing twice itself."""
    table = f"bronze.{name}"
    return Suite(
        table=table,
        gate="bronze",
        key=(*key, "_batch_id"),
        day=delivery_day(name),
        rows=(unique(*key, "_batch_id"),),
        rules=row_rules(table),
        quarantines=True,
        daily=Profile(metrics, (at_most("quarantined_share", MOST_QUARANTINED), bounds)),
    )


def _live(name: str, key: tuple[str, ...], bounds: tuple[int, int]) -> Suite:
    """A source that delivers through the day; corrections come on top."""
    rows = _while_whole(name, "count_if(not endswith(_batch_id, '_corrections'))")
    return _source(name, key, {"rows_of_the_whole_day": rows}, between("rows_of_the_whole_day", *bounds))


def _snapshot(name: str, key: tuple[str, ...], bounds: tuple[int, int]) -> Suite:
    """A source that delivers all it knows each time."""
    return _source(name, key, {"delivered_rows": "count(*)"}, between("delivered_rows", *bounds))


def suites() -> tuple[Suite, ...]:
    """One suite a source."""
    flight = ("carrier_code", "flight_number", "origin_code", "sched_dep_at")
    return (
        _live("flight_schedule", flight, _FLIGHTS),
        _live("flight_actuals", (*flight, "event_type", "reported_at"), _EVENTS),
        _live("weather_observations", ("origin_code", "observed_at"), _HOURS),
        _snapshot("aircraft", ("tail_number",), (1000, 20_000)),
        _snapshot("airports", ("airport_code",), (500, 20_000)),
        _snapshot("airlines", ("carrier_code",), (10, 1000)),
    )
