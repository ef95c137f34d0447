"""What each of the six sources delivers, and when the platform can know it (`known_at`)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from demo.flights import read_aircraft, read_airlines, read_airports, read_flights, read_weather

# The sources' declared delivery delays (sources/*.yml).
EVENT_DELAY = pd.Timedelta(minutes=15)
WEATHER_DELAY = pd.Timedelta(minutes=75)

# Schedules arrive at noon UTC of the day before; the snapshots arrived on the last noon of 2012.
_PUBLISHED_BEFORE_MIDNIGHT = pd.Timedelta(hours=12)
_SNAPSHOT_PUBLISHED_AT = "2012-12-31T12:00:00Z"

EVENT_COLUMNS = [
    "carrier_code",
    "flight_number",
    "origin_code",
    "sched_dep_at",
    "event_type",
    "event_at",
    "delay_minutes",
    "air_time_minutes",
    "reported_at",
]


@dataclass(frozen=True)
class LiveSource:
    """A source whose rows arrive through the day.

    Args:
        name: as in sources/NAME.yml.
        suffix: ending of its files, which says their format.
        rows: the columns of its files, and `known_at` (UTC); sorted by it, then by the key.
    """

    name: str
    suffix: str
    rows: Callable[[], pd.DataFrame]


@cache
def schedule() -> pd.DataFrame:
    """Scheduled flights, all of them known by `published_at`; `flight_date` is the day of the delivery."""
    flights = read_flights()
    published = pd.to_datetime(flights["flight_date"]) - _PUBLISHED_BEFORE_MIDNIGHT
    rows = pd.DataFrame(
        {
            "carrier_code": flights["carrier"],
            "flight_number": flights["flight"],
            "tail_number": flights["tailnum"],
            "origin_code": flights["origin"],
            "dest_code": flights["dest"],
            "flight_date": flights["flight_date"],
            "sched_dep_at": iso_utc(flights["sched_dep_at"]),
            "sched_arr_local_time": flights["sched_arr_time"].astype("string").str.zfill(4),
            "distance_miles": flights["distance"],
            "published_at": iso_utc(published),
        }
    )
    return rows.sort_values(
        ["sched_dep_at", "carrier_code", "flight_number", "origin_code"], ignore_index=True
    )


def event_rows(
    flights: pd.DataFrame,
    event_type: str,
    event_at: pd.Series,
    delay: pd.Series,
    air_time: pd.Series,
    reported_at: pd.Series,
) -> pd.DataFrame:
    """Rows of `flight_actuals`, one a flight, with `known_at`.

    Args:
        flights: rows of `read_flights`.
        event_type: departed, arrived or cancelled.
        event_at, reported_at: UTC.
        delay, air_time: minutes, missing where the event has none.
    """
    return pd.DataFrame(
        {
            "carrier_code": flights["carrier"],
            "flight_number": flights["flight"],
            "origin_code": flights["origin"],
            "sched_dep_at": iso_utc(flights["sched_dep_at"]),
            "event_type": event_type,
            "event_at": iso_utc(event_at),
            "delay_minutes": delay.astype("Int64"),
            "air_time_minutes": air_time.astype("Int64"),
            "reported_at": iso_utc(reported_at),
            "known_at": reported_at + EVENT_DELAY,
        }
    )


def in_order(events: pd.DataFrame) -> pd.DataFrame:
    """Events in the order in which they became known, ties by key, so that a delivery has one form."""
    keys = ["known_at", "sched_dep_at", "carrier_code", "flight_number", "origin_code", "event_type"]
    return events.sort_values(keys, ignore_index=True)


@cache
def flight_events() -> pd.DataFrame:
    """Departures, arrivals and cancellations, each reported when it happened.

    A cancellation happens at the scheduled departure. A diverted flight departs and never arrives.
    """
    flights = read_flights()
    departed = flights[flights["dep_at"].notna()]
    arrived = flights[flights["arr_at"].notna()]
    cancelled = flights[flights["dep_at"].isna()]
    unknown = pd.Series(np.nan, index=flights.index)
    return in_order(
        pd.concat(
            [
                event_rows(
                    departed,
                    "departed",
                    departed["dep_at"],
                    departed["dep_delay"],
                    unknown[departed.index],
                    departed["dep_at"],
                ),
                event_rows(
                    arrived,
                    "arrived",
                    arrived["arr_at"],
                    arrived["arr_delay"],
                    arrived["air_time"],
                    arrived["arr_at"],
                ),
                event_rows(
                    cancelled,
                    "cancelled",
                    cancelled["sched_dep_at"],
                    unknown[cancelled.index],
                    unknown[cancelled.index],
                    cancelled["sched_dep_at"],
                ),
            ]
        )
    )


@cache
def weather_observations() -> pd.DataFrame:
    """Hourly weather; every hour is known 75 minutes after it."""
    weather = read_weather()
    rows = pd.DataFrame(
        {
            "origin_code": weather["origin"],
            "observed_at": weather["observed_at"],
            "temperature_f": weather["temp"],
            "dew_point_f": weather["dewp"],
            "humidity_percent": weather["humid"],
            "wind_direction_degrees": weather["wind_dir"],
            "wind_speed_mph": weather["wind_speed"],
            "wind_gust_mph": weather["wind_gust"],
            "precipitation_inches": weather["precip"],
            "pressure_millibars": weather["pressure"],
            "visibility_miles": weather["visib"],
            "known_at": weather["observed_at"] + WEATHER_DELAY,
        }
    )
    return rows.sort_values(["known_at", "origin_code"], ignore_index=True)


def aircraft() -> pd.DataFrame:
    """Every aircraft, by tail number."""
    planes = read_aircraft()
    return pd.DataFrame(
        {
            "tail_number": planes["tailnum"],
            "manufacture_year": planes["year"].astype("Int64"),
            "aircraft_type": planes["type"],
            "manufacturer": planes["manufacturer"],
            "model": planes["model"],
            "engine_count": planes["engines"],
            "seat_count": planes["seats"],
            "engine_type": planes["engine"],
            "published_at": _SNAPSHOT_PUBLISHED_AT,
        }
    )


def airports() -> pd.DataFrame:
    """Every airport that the package lists; four destinations are not among them."""
    rows = read_airports()
    return pd.DataFrame(
        {
            "airport_code": rows["faa"],
            "airport_name": rows["name"],
            "latitude": rows["lat"],
            "longitude": rows["lon"],
            "altitude_feet": rows["alt"],
            "time_zone": rows["tzone"],
            "published_at": _SNAPSHOT_PUBLISHED_AT,
        }
    )


def airlines() -> pd.DataFrame:
    """Every airline."""
    rows = read_airlines()
    return pd.DataFrame(
        {
            "carrier_code": rows["carrier"],
            "airline_name": rows["name"],
            "published_at": _SNAPSHOT_PUBLISHED_AT,
        }
    )


LIVE_SOURCES = (
    LiveSource("flight_actuals", ".jsonl", flight_events),
    LiveSource("weather_observations", ".parquet", weather_observations),
)
SNAPSHOTS: dict[str, Callable[[], pd.DataFrame]] = {
    "aircraft": aircraft,
    "airports": airports,
    "airlines": airlines,
}


def iso_utc(times: pd.Series) -> pd.Series:
    """UTC times as text to the second, `2013-01-01T10:15:00Z`; none may be missing."""
    naive = times.dt.tz_localize(None) if times.dt.tz is not None else times
    text = np.datetime_as_string(naive.to_numpy().astype("datetime64[s]"))
    return pd.Series(np.char.add(text, "Z"), index=times.index, dtype="object")
