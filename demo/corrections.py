"""The one late delivery of the demo's story: September arrivals reported wrong, and corrected weeks later."""

from datetime import date, datetime
from functools import cache
from zoneinfo import ZoneInfo

import pandas as pd

from demo.deliveries import event_rows, in_order
from demo.flights import NEW_YORK, actual_arrival, read_flights

# Each corrected flight changes sides of the 15 minutes that the model is asked about.
_LATE_MINUTES = 15
_CORRECTION_MINUTES = 12
_ONE_IN = 9
_REPORTED_HOUR = 10


def corrected_arrivals(day: date) -> pd.DataFrame:
    """Rows of `flight_actuals` that repeat the arrival of some September flights with another delay.

    Args:
        day: local day on whose morning all of them are reported.
    """
    flights = _chosen()
    late = flights["arr_delay"] >= _LATE_MINUTES
    delay = flights["arr_delay"] + _CORRECTION_MINUTES - 2 * _CORRECTION_MINUTES * late
    arr_at = actual_arrival(flights["sched_arr_at"], flights["dep_at"], delay, flights["air_time"])
    reported = pd.Timestamp(datetime(day.year, day.month, day.day, _REPORTED_HOUR, tzinfo=ZoneInfo(NEW_YORK)))
    reported_at = pd.Series(reported.tz_convert("UTC"), index=flights.index)
    return in_order(event_rows(flights, "arrived", arr_at, delay, flights["air_time"], reported_at))


@cache
def _chosen() -> pd.DataFrame:
    """Every ninth September flight that arrived within 12 minutes of the limit, in the schedule's order."""
    flights = read_flights()
    near = flights["arr_delay"].between(
        _LATE_MINUTES - _CORRECTION_MINUTES, _LATE_MINUTES + _CORRECTION_MINUTES - 1
    )
    september = flights[near & flights["flight_date"].between("2013-09-01", "2013-09-30")]
    keys = ["sched_dep_at", "carrier", "flight", "origin"]
    return september.sort_values(keys, ignore_index=True).iloc[::_ONE_IN]
