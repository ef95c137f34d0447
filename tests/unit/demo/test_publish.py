"""What is published is what became known in the period, in the same bytes each time, and never twice."""

from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from demo.deliveries import flight_events
from demo.flights import NEW_YORK
from demo.publish import publish, publish_corrections
from lakehouse.errors import LakehouseError

AUTUMN_CHANGE = date(2013, 11, 3)
JULY = date(2013, 7, 10)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _events(*paths: Path) -> pd.DataFrame:
    return pd.concat([pd.read_json(path, lines=True, convert_dates=False) for path in paths])


def test_the_same_days_give_the_same_bytes_and_nothing_is_written_again(tmp_path):
    publish(JULY, date(2013, 7, 12), landing=tmp_path / "a")
    publish(date(2013, 7, 12), date(2013, 7, 12), landing=tmp_path / "b")
    publish(JULY, date(2013, 7, 11), landing=tmp_path / "b")

    assert _bytes(tmp_path / "a") == _bytes(tmp_path / "b")
    assert len(_bytes(tmp_path / "a")) == 3 * 3 + 3
    assert publish(JULY, date(2013, 7, 12), landing=tmp_path / "a") == []


def test_a_damaged_file_is_repaired(tmp_path):
    publish(JULY, JULY, landing=tmp_path)
    before = _bytes(tmp_path)
    damaged = tmp_path / "weather_observations" / f"weather_observations_{JULY}.parquet"
    damaged.write_bytes(damaged.read_bytes()[:100])

    written = publish(JULY, JULY, landing=tmp_path)

    assert written == [damaged]
    assert _bytes(tmp_path) == before


@pytest.mark.parametrize("day", [JULY, AUTUMN_CHANGE, date(2013, 3, 10)])
def test_a_day_delivers_what_became_known_on_it(tmp_path, day):
    publish(day, day, landing=tmp_path)
    events = flight_events()
    known_on = events["known_at"].dt.tz_convert(NEW_YORK).dt.date == day

    delivered = _events(tmp_path / "flight_actuals" / f"flight_actuals_{day}.jsonl")
    weather = pd.read_parquet(tmp_path / "weather_observations" / f"weather_observations_{day}.parquet")

    assert delivered["event_at"].tolist() == events.loc[known_on, "event_at"].tolist()
    known = (weather["observed_at"] + pd.Timedelta(minutes=75)).dt.tz_convert(NEW_YORK)
    assert len(weather) > 60
    assert set(known.dt.date) == {day}


def test_a_day_without_weather_delivers_the_same_columns(tmp_path):
    publish(date(2013, 12, 30), date(2013, 12, 31), landing=tmp_path, sources=["weather_observations"])
    with_rows, empty = sorted((tmp_path / "weather_observations").glob("*.parquet"))
    assert pq.read_table(empty).num_rows == 0 < pq.read_table(with_rows).num_rows
    assert pq.read_schema(empty) == pq.read_schema(with_rows)


def test_the_schedule_of_a_day_was_published_the_day_before(tmp_path):
    publish(JULY, JULY, landing=tmp_path)

    rows = pd.read_csv(tmp_path / "flight_schedule" / f"flight_schedule_{JULY}.csv", dtype="string")

    assert set(rows["flight_date"]) == {"2013-07-10"}
    assert set(rows["published_at"]) == {"2013-07-09T12:00:00Z"}
    assert rows["sched_arr_local_time"].str.fullmatch(r"\d{4}").all()


@pytest.mark.parametrize("day", [JULY, AUTUMN_CHANGE])
def test_the_hours_of_a_day_hold_together_what_the_whole_day_holds(tmp_path, day):
    publish(day, day, landing=tmp_path / "whole")
    publish(day, day, landing=tmp_path / "live", through_hour=23)

    hours = sorted((tmp_path / "live" / "flight_actuals").iterdir())

    assert [path.stem[-3:] for path in hours] == [f"T{hour:02}" for hour in range(24)]
    whole = tmp_path / "whole" / "flight_actuals" / f"flight_actuals_{day}.jsonl"
    assert b"".join(path.read_bytes() for path in hours) == whole.read_bytes()


def test_a_day_begun_by_the_hour_goes_on_by_the_hour(tmp_path):
    publish(JULY, JULY, landing=tmp_path, through_hour=5)
    begun = set(_bytes(tmp_path))

    publish(JULY, JULY, landing=tmp_path)

    files = set(_bytes(tmp_path))
    assert begun < files
    assert f"flight_actuals/flight_actuals_{JULY}T23.jsonl" in files
    assert f"flight_actuals/flight_actuals_{JULY}.jsonl" not in files


def test_a_day_delivered_whole_is_not_delivered_by_the_hour(tmp_path):
    publish(JULY, JULY, landing=tmp_path)

    with pytest.raises(LakehouseError, match=rf"flight_actuals_{JULY}.jsonl was delivered whole"):
        publish(JULY, JULY, landing=tmp_path, through_hour=5)


def test_each_correction_moves_a_september_flight_over_the_limit(tmp_path):
    [path] = publish_corrections(landing=tmp_path)
    keys = ["carrier_code", "flight_number", "origin_code", "sched_dep_at"]
    events = flight_events()
    arrived = events[events["event_type"] == "arrived"]

    corrections = _events(path).merge(arrived, on=keys, suffixes=("", "_before"), validate="one_to_one")

    assert path.name == "flight_actuals_2013-11-02_corrections.jsonl"
    assert 200 <= len(corrections) == len(_events(path)) <= 999
    assert ((corrections["delay_minutes"] >= 15) != (corrections["delay_minutes_before"] >= 15)).all()
    assert corrections["sched_dep_at"].between("2013-09-01", "2013-10-01T12").all()
    assert set(corrections["reported_at"]) == {"2013-11-02T14:00:00Z"}
    assert publish_corrections(landing=tmp_path) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda to: publish(date(2012, 12, 31), JULY, landing=to), "no flights for 2012-12-31"),
        (lambda to: publish(JULY, date(2014, 1, 2), landing=to), "to 2014-01-02"),
        (lambda to: publish(date(2013, 7, 11), JULY, landing=to), "2013-07-11 is after 2013-07-10"),
        (lambda to: publish(JULY, JULY, landing=to, through_hour=24), "no hour 24"),
        (lambda to: publish(JULY, JULY, landing=to, sources=["hotels"]), "unknown sources: hotels"),
        (lambda to: publish_corrections(date(2013, 9, 30), landing=to), "cannot be reported on 2013-09-30"),
    ],
)
def test_what_cannot_be_published_is_refused_by_name(tmp_path, call, message):
    with pytest.raises(LakehouseError, match=message):
        call(tmp_path)

    assert _bytes(tmp_path) == {}
