"""What is expected of the feature tables: each key once, nothing known too late, values that can be."""

import yaml

from expectations.row_rules import row_rules
from expectations.suite import (
    Expectation,
    ExpectedRows,
    Profile,
    Suite,
    at_least,
    at_most,
    between,
    day_column,
    not_null,
    one_of,
    unique,
)
from lakehouse.settings import PROJECT_ROOT

ORIGINS = ("EWR", "JFK", "LGA")

_VARS = yaml.safe_load((PROJECT_ROOT / "dbt_project.yml").read_text())["vars"]
# A day has 24 hours, and 23 when the clock goes forward.
_INSTANTS = 23 * 60 // int(_VARS["grid_minutes"])


def _local_date(instant: str) -> str:
    return f"to_date(from_utc_timestamp({instant}, '{_VARS['time_zone']}'))"


WEATHER = (
    between("temperature_f", -30, 120),
    between("humidity_percent", 0, 100),
    between("wind_speed_mph", 0, 150),
    between("pressure_millibars", 940, 1070),
    between("visibility_miles", 0, 20),
)

# Each feature's own time, as flight_features keeps it.
FEATURE_TIMES = (
    "schedule_known_at",
    "weather_known_at",
    "origin_departures_as_of",
    "origin_history_as_of",
    "origin_arrivals_as_of",
    "carrier_departures_as_of",
    "carrier_arrivals_as_of",
    "origin_carrier_departures_as_of",
    "carrier_history_as_of",
    "dest_arrivals_as_of",
    "carrier_dest_arrivals_as_of",
    "region_arrivals_as_of",
    "dest_history_as_of",
    "route_history_as_of",
    "flight_history_as_of",
    "previous_leg_known_at",
    "aircraft_known_at",
)

# A flight's feature is known when it is asked for, two hours before departure; NULL where nothing was.
NO_LEAK = {f"{time}_before_prediction": f"{time} is null or {time} <= predict_at" for time in FEATURE_TIMES}


def _rows_of_flights(keys: tuple[str, ...], instants: int) -> ExpectedRows:
    """At least so many rows for each entity that has flights on a complete day."""
    sql = f"""
    select
        flight_date as day,
        {instants} * count(distinct {", ".join(keys)}) as least_rows,
        null as most_rows
    from {{intermediate.int_flights}}
    where flight_date < {{until_day}}
    group by flight_date
    """
    each = "a row" if instants == 1 else f"{instants} rows"
    return ExpectedRows(sql, f"{each} for each ({', '.join(keys)}) with flights on that day")


def _rows_of_arrivals(keys: tuple[str, ...]) -> ExpectedRows:
    """At least a row for each entity of which an arrival became known on a day, but in its last hour.

    It counts from the next instant of the grid on, which may lie on the day after.
    """
    there = " and ".join(f"{key} is not null" for key in keys)
    sql = f"""
    select
        {_local_date("known_at")} as day,
        count(distinct {", ".join(keys)}) as least_rows,
        null as most_rows
    from {{intermediate.int_flight_outcomes}}
    where
        {there}
        and en_route_delay_minutes is not null
        and air_time_excess_minutes is not null
        and {_local_date("known_at")} = {_local_date("known_at + interval 1 hour")}
        and known_at + interval 1 hour < {{until}}
    group by 1
    """
    return ExpectedRows(sql, f"a row for each ({', '.join(keys)}) with arrivals known on that day")


def _departures(entity: str, prefixes: tuple[str, ...], most_rows: int) -> Suite:
    expectations: list[Expectation] = []
    for prefix in prefixes:
        expectations += (
            between(f"{prefix}_late_15_share_1h", 0, 1),
            between(f"{prefix}_clipped_delay_minutes_1h", 0, 30),
            at_least(f"{prefix}_waiting", 0),
        )
    rules = {
        f"{prefix}_late_among_waiting": f"{prefix}_waiting_15 <= {prefix}_waiting" for prefix in prefixes
    }
    return Suite(
        table=f"features.feat_{prefixes[0]}_departures",
        gate="features",
        key=(entity, "as_of"),
        day=day_column("as_of_date"),
        rows=(*not_null(entity, "as_of", "as_of_date"), unique(entity, "as_of"), *expectations),
        rules=rules,
        daily=Profile(expectations=(at_most("row_count", most_rows),)),
        expected_rows=_rows_of_flights((entity,), _INSTANTS),
    )


def _by_as_of(
    table: str,
    key: tuple[str, ...],
    expected: ExpectedRows,
    *expectations: Expectation,
    most_rows: int | None = None,
) -> Suite:
    """A suite for a table with one row an entity and instant."""
    return Suite(
        table=f"features.{table}",
        gate="features",
        key=(*key, "as_of"),
        day=day_column("as_of_date"),
        rows=(*not_null(*key, "as_of", "as_of_date"), unique(*key, "as_of"), *expectations),
        daily=Profile(expectations=(at_most("row_count", most_rows),)) if most_rows else None,
        expected_rows=expected,
    )


def _arrivals(table: str, prefix: str, entity: str, hours: int) -> Suite:
    return _by_as_of(
        table,
        (entity,),
        _rows_of_arrivals((entity,)),
        # A single flight may be hours late on its way; a mean of none is NULL.
        between(f"{prefix}_en_route_minutes_{hours}h", -200, 1000),
        between(f"{prefix}_air_time_excess_minutes_{hours}h", -120, 500),
    )


def _history(
    table: str, key: tuple[str, ...], *expectations: Expectation, most_rows: int | None = None
) -> Suite:
    return _by_as_of(table, key, _rows_of_flights(key, 1), *expectations, most_rows=most_rows)


def _histories() -> tuple[Suite, ...]:
    """How flights of an entity arrived on earlier days, once a morning."""
    return (
        _history(
            "feat_origin_history",
            ("origin_code",),
            one_of("origin_code", ORIGINS),
            between("origin_late_share_1d", 0, 1),
            between("all_late_share_7d", 0, 1),
            between("origin_delay_minutes_7d", -30, 120),
            most_rows=3,
        ),
        _history(
            "feat_carrier_history",
            ("carrier_code", "origin_code"),
            between("carrier_late_excess_45d", -1, 1),
            most_rows=60,
        ),
        _history(
            "feat_destination_history",
            ("dest_code", "departure_band"),
            between("departure_band", 0, 5),
            between("dest_late_excess_45d", -1, 1),
        ),
        _history(
            "feat_route_history",
            ("carrier_code", "origin_code", "dest_code", "departure_band"),
            between("departure_band", 0, 5),
            between("route_late_excess_45d", -1, 1),
            at_least("route_flights_180d", 0),
        ),
        _history(
            "feat_flight_history",
            ("flight_code", "origin_code"),
            between("flight_late_excess_30d", -1, 1),
            between("flight_delay_minutes_7d", -30, 120),
        ),
    )


def _rows_of_observations() -> ExpectedRows:
    accepted = " and ".join(
        f"coalesce({sql}, false)" for sql in row_rules("bronze.weather_observations").values()
    )
    return ExpectedRows(
        f"""
        select
            {_local_date("observed_at + interval 75 minutes")} as day,
            count(distinct origin_code, observed_at) as least_rows,
            count(distinct origin_code, observed_at) as most_rows
        from {{bronze.weather_observations}}
        where {accepted}
        group by 1
        """,
        "a row for each hour observed at an origin",
    )


def suites() -> tuple[Suite, ...]:
    """One suite a feature table; the flights last, as they stand on the others."""
    return (
        # 96 quarters of an hour, 100 when the clock goes back; 3 origins, up to 20 carriers.
        _departures("origin_code", ("origin", "all"), 300),
        _departures("carrier_code", ("carrier",), 2000),
        _by_as_of(
            "feat_origin_carrier_departures",
            ("origin_code", "carrier_code"),
            _rows_of_flights(("origin_code", "carrier_code"), _INSTANTS),
            between("origin_carrier_late_15_share_5h", 0, 1),
            between("origin_carrier_late_15_share_today", 0, 1),
            between("origin_carrier_clipped_delay_minutes_2h", 0, 30),
            at_least("origin_carrier_waiting", 0),
            most_rows=6000,
        ),
        _arrivals("feat_origin_arrivals", "origin", "origin_code", 3),
        _arrivals("feat_carrier_arrivals", "carrier", "carrier_code", 6),
        _arrivals("feat_destination_arrivals", "dest", "dest_code", 4),
        _by_as_of(
            "feat_carrier_destination_arrivals",
            ("carrier_code", "dest_code"),
            _rows_of_arrivals(("carrier_code", "dest_code")),
            between("carrier_dest_en_route_minutes_24h", -200, 1000),
        ),
        _arrivals("feat_region_arrivals", "region", "dest_region", 4),
        *_histories(),
        Suite(
            table="features.feat_origin_weather",
            gate="features",
            key=("origin_code", "known_at"),
            day=day_column("known_date"),
            rows=(
                *not_null("origin_code", "known_at", "known_date"),
                unique("origin_code", "known_at"),
                *WEATHER,
            ),
            rules={"observed_before_known": "observed_at < known_at"},
            daily=Profile(expectations=(at_most("row_count", 80),)),
            expected_rows=_rows_of_observations(),
        ),
        Suite(
            table="features.feat_aircraft_legs",
            gate="features",
            key=("flight_id", "known_at"),
            day=day_column("known_date"),
            rows=(
                *not_null("flight_id", "known_at", "known_date", "leg_status"),
                unique("flight_id", "known_at"),
                one_of("leg_status", ("airborne", "landed", "cancelled")),
                between("leg_delay_minutes", -120, 2880),
            ),
            expected_rows=ExpectedRows(
                """
                select
                    known_date as day,
                    count(distinct flight_id, known_at) as least_rows,
                    count(distinct flight_id, known_at) as most_rows
                from {intermediate.int_flight_events}
                where known_at <= sched_dep_at + interval 48 hours
                group by known_date
                """,
                "a row for each instant at which something became known of a flight",
            ),
        ),
        Suite(
            table="features.flight_features",
            gate="features",
            key=("flight_id",),
            day=day_column("flight_date"),
            rows=(
                *not_null("flight_id", "flight_date", "predict_at", "carrier_code", "dest_code"),
                unique("flight_id"),
                one_of("origin_code", ORIGINS),
                between("sched_dep_hour", 0, 23),
                between("planned_duration_minutes", 15, 1200),
                between("origin_late_15_share_1h", 0, 1),
                one_of(
                    "previous_leg_status",
                    ("no link", "not due", "waiting", "airborne", "landed", "cancelled"),
                ),
                between("aircraft_age_years", -1, 80),
                between("temperature_f", -30, 120),
            ),
            rules={"two_hours_ahead": "predict_at = sched_dep_at - interval 2 hours", **NO_LEAK},
            daily=Profile(
                {"weather_share": "avg(if(temperature_f is null, 0, 1))"},
                (at_most("row_count", 1200), at_least("weather_share", 0.5)),
            ),
            expected_rows=ExpectedRows(
                """
                select
                    flight_date as day,
                    count(*) as least_rows,
                    count(*) as most_rows
                from {intermediate.int_flights}
                where predict_at < {until}
                group by flight_date
                """,
                "a row for each scheduled flight that was due",
            ),
        ),
    )
