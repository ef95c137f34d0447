"""The times derived for the flights are the true ones, by every clock that the raw data shows."""

import pandas as pd
import pytest

from demo.deliveries import flight_events, schedule
from demo.flights import (
    NEW_YORK,
    actual_arrival,
    read_airports,
    read_flights,
    read_weather,
    scheduled_arrival,
)


def _clock(times: pd.Series, zone: str) -> pd.Series:
    """Local clock as HHMM, a number."""
    local = times.dt.tz_convert(zone)
    return local.dt.hour * 100 + local.dt.minute


def _at(text: str) -> pd.Series:
    return pd.Series([pd.Timestamp(text)])


def test_every_departure_shows_its_clock_time_in_new_york():
    flown = read_flights().dropna(subset=["dep_time"])

    assert (_clock(flown["dep_at"], NEW_YORK) == flown["dep_time"] % 2400).all()


def test_every_arrival_shows_its_clock_time_at_the_destination():
    zones = read_airports().set_index("faa")["tzone"]
    arrived = read_flights().dropna(subset=["arr_delay"])
    zone = arrived["dest"].map(zones).fillna("America/Puerto_Rico")

    shown = pd.concat([_clock(group, name) for name, group in arrived["arr_at"].groupby(zone)])

    differs = shown.loc[arrived.index] != arrived["arr_time"] % 2400
    # The airline's clock did not spring forward in the night of 10 March for one flight.
    assert arrived.loc[differs, ["flight_date", "dest"]].to_numpy().tolist() == [["2013-03-09", "PBI"]]


def test_a_delay_past_midnight_leads_to_the_next_day():
    flights = read_flights()
    over = flights[(flights["dep_delay"] > 0) & (flights["dep_time"] < flights["sched_dep_time"])]

    days = over["dep_at"].dt.tz_convert(NEW_YORK).dt.strftime("%Y-%m-%d")

    assert len(over) > 1000
    assert (days > over["flight_date"]).all()


def test_every_trip_takes_a_plausible_time_on_the_days_of_the_clock_changes_too():
    flights = read_flights()

    minutes = (flights["sched_arr_at"] - flights["sched_dep_at"]).dt.total_seconds() / 60

    assert ((minutes - flights["distance"] / 7.6 - 50).abs() < 100).all()


@pytest.mark.parametrize(
    ("date", "clock", "near", "expected"),
    [
        ("2013-07-01", 1530, "2013-07-01T19:00Z", "2013-07-01T19:30Z"),
        ("2013-07-01", 30, "2013-07-02T04:00Z", "2013-07-02T04:30Z"),
        ("2013-11-03", 130, "2013-11-03T05:20Z", "2013-11-03T05:30Z"),
        ("2013-11-03", 130, "2013-11-03T06:20Z", "2013-11-03T06:30Z"),
        ("2013-11-02", 130, "2013-11-03T06:20Z", "2013-11-03T06:30Z"),
        ("2013-03-10", 230, "2013-03-10T07:00Z", "2013-03-10T07:30Z"),
    ],
    ids=["same day", "next day", "repeated, first", "repeated, second", "repeated, next day", "skipped"],
)
def test_a_scheduled_arrival_is_the_instant_that_makes_the_trip_plausible(date, clock, near, expected):
    found = scheduled_arrival(_at(date), pd.Series([clock]), pd.Series([NEW_YORK]), _at(near))

    assert found[0] == pd.Timestamp(expected)


@pytest.mark.parametrize(
    ("delay", "air_time", "expected"),
    [
        (-5.0, 60.0, "2013-07-01T11:55Z"),
        (-30.0, 100.0, "2013-07-01T11:40Z"),
        (float("nan"), float("nan"), None),
    ],
    ids=["by its delay", "not before departure + air time", "unknown"],
)
def test_an_arrival_is_never_before_departure_plus_air_time(delay, air_time, expected):
    found = actual_arrival(
        _at("2013-07-01T12:00Z"), _at("2013-07-01T10:00Z"), pd.Series([delay]), pd.Series([air_time])
    )

    assert pd.isna(found[0]) if expected is None else found[0] == pd.Timestamp(expected)


def test_a_cancelled_flight_has_one_event_at_its_scheduled_departure():
    events = flight_events()
    keys = ["carrier_code", "flight_number", "origin_code", "sched_dep_at"]
    cancelled = events[events["event_type"] == "cancelled"]

    of_cancelled = events.merge(cancelled[keys], on=keys)

    assert len(cancelled) == len(of_cancelled) == 8255
    assert (cancelled["event_at"] == cancelled["sched_dep_at"]).all()
    assert cancelled[["delay_minutes", "air_time_minutes"]].isna().all(axis=None)


def test_a_diverted_flight_departs_and_never_arrives():
    counts = flight_events()["event_type"].value_counts()

    assert counts["departed"] - counts["arrived"] == 1175
    assert counts["departed"] + counts["cancelled"] == len(schedule())


def test_every_event_is_known_fifteen_minutes_after_its_report():
    events = flight_events()

    assert (events["known_at"] - pd.to_datetime(events["reported_at"]) == pd.Timedelta(minutes=15)).all()


def test_weather_has_one_row_an_origin_and_hour_though_the_clock_repeats_one():
    weather = read_weather()

    assert weather.duplicated(["origin", "year", "month", "day", "hour"]).sum() == 3
    assert not weather.duplicated(["origin", "observed_at"]).any()
