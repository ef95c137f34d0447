"""Declarations: what is wrong is named by file and field, and file names tell what they deliver."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml

from lakehouse.errors import LakehouseError
from lakehouse.ingest.declarations import load_source, load_sources
from lakehouse.ingest.source import Source

DECLARED = {
    "name": "readings",
    "description": "Readings of stations.",
    "owner": "weather",
    "format": "csv",
    "files": "readings/readings_{delivery}.csv",
    "arrives": "live",
    "time_zone": "America/New_York",
    "reported_time": "read_at",
    "delivery_delay_minutes": 15,
    "keys": ["station", "read_at"],
    "columns": [
        {"name": "station", "type": "string", "description": "Station."},
        {"name": "reading", "type": "int", "description": "Reading."},
        {"name": "read_at", "type": "timestamp", "description": "When."},
    ],
}


def _source(**changes) -> Source:
    return Source.model_validate(DECLARED | changes)


def test_the_shipped_declarations_are_whole():
    assert list(load_sources()) == [
        "aircraft",
        "airlines",
        "airports",
        "flight_actuals",
        "flight_schedule",
        "weather_observations",
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"format": "xlsx"}, "format"),
        ({"owner": None}, "owner"),
        ({"colums": []}, "colums"),
        ({"columns": []}, "columns"),
        ({"columns": [{"name": "Station", "type": "string", "description": "Station."}]}, "columns.0.name"),
        ({"columns": [{"name": "station", "type": "text", "description": "Station."}]}, "columns.0.type"),
        ({"columns": [DECLARED["columns"][0], *DECLARED["columns"]]}, "columns: station declared twice"),
        ({"time_zone": "New York"}, "time_zone"),
        ({"delivery_delay_minutes": -1}, "delivery_delay_minutes"),
        ({"keys": ["station", "sensor"]}, "keys: sensor"),
        ({"reported_time": "reading"}, "reported_time: reading"),
        ({"event_time": "happened_at"}, "event_time: happened_at"),
        ({"files": "readings/{delivery}.csv"}, "files"),
        ({"files": "../readings_{delivery}.csv"}, "files"),
        ({"files": "readings/readings_{delivery}.parquet"}, "files"),
        ({"name": "deliveries", "files": "deliveries_{delivery}.csv"}, "name: deliveries is reserved"),
        ({"name": "x_unreadable", "files": "x_unreadable_{delivery}.csv"}, "name: x_unreadable is reserved"),
        ({"complete_when": "soon"}, "complete_when"),
        ({"min_rows": -1}, "min_rows"),
        ({"min_rows": {"week": 1}}, "min_rows.week"),
        ({"max_bad_share": 5}, "max_bad_share"),
        (
            {
                "columns": [
                    *DECLARED["columns"],
                    DECLARED["columns"][1] | {"name": "b", "name_in_file": "reading"},
                ]
            },
            "columns: reading declared twice",
        ),
    ],
)
def test_a_wrong_field_is_named_with_its_file(tmp_path, changes, field):
    path = tmp_path / "readings.yml"
    path.write_text(yaml.safe_dump(DECLARED | changes))

    with pytest.raises(LakehouseError) as refused:
        load_source(path)

    assert str(path) in refused.value.what
    assert field in refused.value.what


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "is not YAML"),
        ("- name", "holds no declaration"),
        (yaml.safe_dump(DECLARED | {"name": "others", "files": "others_{delivery}.csv"}), "name: others"),
    ],
)
def test_a_file_that_is_no_declaration_is_named(tmp_path, text, message):
    path = tmp_path / "readings.yml"
    path.write_text(text)

    with pytest.raises(LakehouseError, match=message) as refused:
        load_source(path)

    assert str(path) in refused.value.what


@pytest.mark.parametrize(
    ("period", "until"),
    [
        ("2013-07-10", datetime(2013, 7, 11, 4, tzinfo=UTC)),
        ("2013-07-10T00", datetime(2013, 7, 10, 5, tzinfo=UTC)),
        ("2013-07-10T23", datetime(2013, 7, 11, 4, tzinfo=UTC)),
        ("2013-11-03T00", datetime(2013, 11, 3, 5, tzinfo=UTC)),
        ("2013-11-03T01", datetime(2013, 11, 3, 7, tzinfo=UTC)),
        ("2013-11-03", datetime(2013, 11, 4, 5, tzinfo=UTC)),
        ("2013-03-10T01", datetime(2013, 3, 10, 7, tzinfo=UTC)),
        ("2013-07-10_corrections", None),
    ],
)
def test_a_file_name_says_until_when_the_source_has_told_everything(period, until):
    delivery = _source().delivery(Path(f"readings_{period}.csv"))

    assert delivery is not None
    assert delivery.batch_id == f"readings_{period}"
    assert delivery.delivered_until == until


@pytest.mark.parametrize(
    "name",
    [
        "readings.csv",
        "readings_2013-7-10.csv",
        "readings_2013-02-30.csv",
        "readings_2013-07-10T24.csv",
        "readings_2013-07-10.jsonl",
        "other_readings_2013-07-10.csv",
        "readings_9999-12-31.csv",
        "readings_9999-12-31T23.csv",
        "readings_0001-01-01.csv",
        "readings_2013-07-10_r2.csv",
        "readings_2013-07-10_corrections_r3.csv",
    ],
)
def test_a_name_that_tells_no_period_is_misnamed(tmp_path, name):
    (tmp_path / "readings").mkdir()
    misnamed = tmp_path / "readings" / name
    misnamed.touch()
    (tmp_path / "readings" / ".readings_2013-07-10.csv.partial").touch()

    assert _source().misnamed(tmp_path) == [misnamed]
    assert _source().deliveries(tmp_path) == []


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/New_York", "Etc/GMT+12"])
@pytest.mark.parametrize("name", ["readings_9999-12-31.csv", "readings_0001-01-01.csv"])
def test_a_day_at_an_end_of_the_calendar_is_refused_by_name(zone, name):
    source = _source(time_zone=zone)

    assert source.delivery(Path(name)) is None
    assert "is outside 1900-01-01 to 9998-12-31" in source.why_misnamed(Path(name))


def test_the_name_of_a_revision_is_refused_with_the_way_to_have_one():
    assert "supersede" in _source().why_misnamed(Path("readings_2013-07-10_r2.csv"))


@pytest.mark.parametrize(
    ("changes", "period", "least"),
    [
        ({}, "2013-07-10", 1),
        ({}, "2013-07-10T05", 1),
        ({"min_rows": 10}, "2013-07-10T05", 10),
        ({"min_rows": {"day": 600, "hour": 0}}, "2013-07-10", 600),
        ({"min_rows": {"day": 600, "hour": 0}}, "2013-07-10T05", 0),
        ({"min_rows": {"day": 600, "hour": 0}}, "2013-07-10_corrections", 1),
    ],
)
def test_the_least_rows_depend_on_what_is_delivered(changes, period, least):
    source = _source(**changes)
    delivery = source.delivery(Path(f"readings_{period}.csv"))

    assert delivery is not None
    assert source.least_rows(delivery) == least


@pytest.mark.parametrize(
    ("changes", "period", "is_of_the_future"),
    [
        ({}, "2013-07-10", False),
        ({}, "2013-07-11T03", False),
        ({}, "2013-07-11", True),
        ({}, "2031-07-10", True),
        ({"arrives": "ahead"}, "2013-07-11", False),
        ({"arrives": "ahead"}, "2013-08-11", True),
        ({"arrives": "snapshot"}, "2031-07-10", True),
        ({"days_ahead": 400}, "2014-07-10", False),
    ],
)
def test_a_period_that_is_still_to_come_is_known_by_its_end(changes, period, is_of_the_future):
    source = _source(**changes)
    delivery = source.delivery(Path(f"readings_{period}.csv"))

    assert delivery is not None
    assert source.is_of_the_future(delivery, datetime(2013, 7, 10, 12, tzinfo=UTC)) is is_of_the_future


def test_a_marker_or_manifest_is_no_delivery(tmp_path):
    (tmp_path / "readings").mkdir()
    for kind in ("", ".done", ".manifest"):
        (tmp_path / "readings" / f"readings_2013-07-10.csv{kind}").touch()

    assert _source().misnamed(tmp_path) == []
    assert [delivery.path.name for delivery in _source().deliveries(tmp_path)] == ["readings_2013-07-10.csv"]


@pytest.mark.parametrize(
    ("arrives", "expected"),
    [("live", ["2013-07-10", "2013-07-10T05"]), ("snapshot", ["2013-07-04", "2013-07-10", "2013-07-10T05"])],
)
def test_days_select_their_files_and_the_snapshot_in_force(tmp_path, arrives, expected):
    (tmp_path / "readings").mkdir()
    for period in ("2013-07-01", "2013-07-04", "2013-07-10", "2013-07-10T05", "2013-07-12"):
        (tmp_path / "readings" / f"readings_{period}.csv").touch()

    found = _source(arrives=arrives).deliveries(tmp_path, (date(2013, 7, 9), date(2013, 7, 11)))

    assert [delivery.batch_id for delivery in found] == [f"readings_{period}" for period in expected]
