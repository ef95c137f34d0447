"""What is expected of deliveries in bronze. Broken rows are quarantined; a broken delivery fails the gate."""

from expectations.row_rules import row_rules
from expectations.suite import ExpectedRows, Profile, Suite, at_most, delivery_day, unique
from lakehouse.ingest.frontier import superseded_sql
from lakehouse.ingest.source import load_sources

# One row in twenty of a day may be bad data; more is a broken delivery.
MOST_QUARANTINED = 0.05

# The least and most rows of one day's deliveries, from 2013: 634 to 1,014 flights a day, two events a flight
# that flew, one of a cancelled one, 57 to 72 hours of weather. A day without deliveries is late, not wrong.
_FLIGHTS = (500, 1200)
_EVENTS = (600, 2600)
_HOURS = (45, 80)

_LEDGER = "bronze.deliveries"
# What a row of the ledger is; a ledger from before kinds has only deliveries.
_KIND = "coalesce(get_json_object(to_json(struct(*)), '$.kind'), 'delivery')"


def superseded(source: str) -> str:
    """A select of a source's batches that a later delivery superseded by name."""
    return f"select batch_id from ({superseded_sql(_LEDGER)}) where source = '{source}'"


def _source(name: str, key: tuple[str, ...], expected: ExpectedRows) -> Suite:
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
        daily=Profile(expectations=(at_most("quarantined_share", MOST_QUARANTINED),)),
        expected_rows=expected,
        superseded=superseded(name),
    )


def _live(name: str, key: tuple[str, ...], bounds: tuple[int, int]) -> Suite:
    """A source that delivers through the day; corrections come on top.

    The bounds hold for a day when the ledger has its last hour: until then it is not whole.
    """
    zone = load_sources()[name].time_zone
    midnight = f"to_utc_timestamp(timestamp(date_add(day, 1)), '{zone}')"
    is_whole = f"max(_delivered_until) >= {midnight}"
    least, most = bounds
    # What was declared as never coming is not missed.
    sql = f"""
    select
        day,
        if({is_whole} and not bool_or(kind = 'missing'), {least}, null) as least_rows,
        if({is_whole}, {most}, null) as most_rows
    from (select source, day, _delivered_until, {_KIND} as kind from {_LEDGER})
    where source = '{name}'
    group by day
    """
    says = f"a whole day of {name} has {least:,} to {most:,} rows without corrections"
    return _source(name, key, ExpectedRows(sql, says, "count_if(not endswith(_batch_id, '_corrections'))"))


def _snapshot(name: str, key: tuple[str, ...], bounds: tuple[int, int]) -> Suite:
    """A source that delivers all it knows each time."""
    least, most = bounds
    sql = f"""
    select distinct
        day,
        {least} as least_rows,
        {most} as most_rows
    from {_LEDGER}
    where source = '{name}' and {_KIND} = 'delivery'
    """
    return _source(
        name, key, ExpectedRows(sql, f"a day's deliveries of {name} have {least:,} to {most:,} rows")
    )


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
