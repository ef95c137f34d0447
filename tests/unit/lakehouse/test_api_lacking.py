"""What an API is asked for follows from what the ledger and the landing zone have."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from lakehouse.ingest.api.lacking import lacking
from lakehouse.ingest.ledger import Entry, Ledger
from lakehouse.ingest.periods import parse_period
from lakehouse.ingest.source import Source
from lakehouse.settings import settings
from tests.unit.lakehouse.test_api_declared import source

NOW = datetime(2013, 7, 12, 12, tzinfo=UTC)
BY_HOUR = {"period": "hour", "params": {"since": "{from}", "before": "{until}"}}


def entry(period: str, kind: str = "delivery", zone: str = "America/New_York", **more: object) -> Entry:
    at = parse_period(period)
    values = {"digest": "0", "ingested_at": NOW, "delivered_until": at.end(zone), "kind": kind} | more
    return Entry(source="readings", batch_id=f"readings_{period}", day=at.day, **values)


def asked(
    declared: Source, landing: Path, *entries: Entry, now: datetime = NOW, days: tuple[str, str] | None = None
) -> list[str]:
    assert declared.api is not None
    between = (date.fromisoformat(days[0]), date.fromisoformat(days[1])) if days else None
    found = lacking(declared, declared.api, landing, Ledger(entries), now, between)
    assert not found.in_part
    return [str(period) for period in found.periods]


def deliver(landing: Path, name: str, *, manifest: bool = True) -> None:
    path = landing / "readings" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    if manifest:
        path.with_name(f"{name}.manifest").write_text("{}")


def test_a_period_is_asked_for_when_it_is_over_and_the_delay_has_passed(tmp_path):
    declared = source({"first_day": "2013-07-10", "last_day": "2013-07-20"})
    # Midnight in New York is 04:00 UTC.
    assert asked(declared, tmp_path, now=datetime(2013, 7, 12, 4, 14, tzinfo=UTC)) == ["2013-07-10"]
    assert asked(declared, tmp_path, now=datetime(2013, 7, 12, 4, 15, tzinfo=UTC)) == [
        "2013-07-10",
        "2013-07-11",
    ]
    later = source({"first_day": "2013-07-10", "ask_after_minutes": 480})
    assert asked(later, tmp_path, now=datetime(2013, 7, 12, 11, 59, tzinfo=UTC)) == ["2013-07-10"]


def test_a_plan_is_asked_for_before_its_day(tmp_path):
    # From 18:00 of the day before on: 30 hours before its end.
    declared = source({"first_day": "2013-07-12", "ask_after_minutes": -1800}, arrives="ahead")
    assert asked(declared, tmp_path, now=datetime(2013, 7, 12, 21, 59, tzinfo=UTC)) == ["2013-07-12"]
    assert asked(declared, tmp_path, now=datetime(2013, 7, 12, 22, 0, tzinfo=UTC)) == [
        "2013-07-12",
        "2013-07-13",
    ]


def test_the_days_are_those_of_the_settings_unless_declared(tmp_path):
    declared = source({})
    found = asked(declared, tmp_path, now=NOW + timedelta(days=3650))
    assert (found[0], found[-1]) == (str(settings().first_day), str(settings().last_day))
    assert asked(declared, tmp_path, days=("2013-07-09", "2013-07-10")) == ["2013-07-09", "2013-07-10"]
    assert asked(declared, tmp_path, days=("2014-07-09", "2014-07-10")) == []


def test_what_landed_never_comes_or_lies_there_is_not_asked_for(tmp_path):
    declared = source({"first_day": "2013-07-06"})
    deliver(tmp_path, "readings_2013-07-08.jsonl")
    deliver(tmp_path, "readings_2013-07-09.jsonl", manifest=False)
    deliver(tmp_path, "readings_2013-07-10_corrections.jsonl")
    entries = [
        entry("2013-07-06"),
        entry("2013-07-07", "missing"),
        entry("2013-07-11", delivered_until=None),
        Entry("others", "others_2013-07-11", date(2013, 7, 11), "delivery", "0", NOW, delivered_until=NOW),
    ]
    assert asked(declared, tmp_path, *entries) == ["2013-07-09", "2013-07-10", "2013-07-11"]


def test_hours_that_lack_are_asked_for_and_those_of_whole_days_are_not(tmp_path):
    declared = source({**BY_HOUR, "first_day": "2013-07-11"})
    entries = [entry("2013-07-11"), entry("2013-07-12T01"), entry("2013-07-12T03", "missing")]
    # 12:00 UTC is 08:00 in New York: with the delay, the seventh hour is the last.
    assert asked(declared, tmp_path, *entries) == [f"2013-07-12T{hour:02}" for hour in (0, 2, 4, 5, 6)]


@pytest.mark.parametrize(("day", "hours"), [("2013-03-10", 23), ("2013-11-03", 24)])
def test_an_hour_that_the_clock_skips_is_not_asked_for(tmp_path, day, hours):
    declared = source({**BY_HOUR, "first_day": day, "last_day": day})
    found = asked(declared, tmp_path, now=NOW + timedelta(days=365))
    assert len(found) == hours
    assert (f"{day}T02" in found) == (hours == 24)


def test_a_day_that_came_by_the_hour_is_whole_or_named(tmp_path):
    declared = source({"first_day": "2013-03-10", "last_day": "2013-03-10"})
    assert declared.api is not None
    each = [entry(f"2013-03-10T{hour:02}") for hour in range(24) if hour != 2]
    assert asked(declared, tmp_path, *each) == []
    found = lacking(declared, declared.api, tmp_path, Ledger(each[1:]), NOW, None)
    assert (found.periods, [str(period) for period in found.in_part]) == ([], ["2013-03-10"])


def test_a_snapshot_is_asked_for_once_a_period(tmp_path):
    declared = source({"params": {}}, arrives="snapshot")
    late = datetime(2013, 7, 12, 2, tzinfo=UTC)
    assert asked(declared, tmp_path, now=late) == ["2013-07-11"]
    assert asked(declared, tmp_path, entry("2013-07-11", delivered_until=None), now=late) == []
    assert asked(declared, tmp_path, now=late, days=("2013-07-12", "2013-07-12")) == []
    by_hour = source({"params": {}, "period": "hour"}, arrives="snapshot")
    assert asked(by_hour, tmp_path, now=late) == ["2013-07-11T22"]
    deliver(tmp_path, "readings_2013-07-11T22.jsonl")
    assert asked(by_hour, tmp_path, now=late) == []
