"""What the ledger says of a file, and what lies in the landing zone that it does not know."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from lakehouse.ingest.ledger import Entry, Kind, Ledger, pending
from lakehouse.ingest.periods import Period, covering, parse_periods
from lakehouse.ingest.source import Source

NOW = datetime(2013, 7, 20, tzinfo=UTC)
DAY = "readings_2013-07-10"


def _source(name: str = "readings", **changes: object) -> Source:
    declared = {
        "name": name,
        "description": "Readings.",
        "owner": "weather",
        "format": "csv",
        "files": f"shared/{name}_{{delivery}}.csv",
        "arrives": "live",
        "time_zone": "UTC",
        "reported_time": "read_at",
        "delivery_delay_minutes": 0,
        "keys": ["read_at"],
        "columns": [{"name": "read_at", "type": "timestamp", "description": "When."}],
    }
    return Source.model_validate(declared | changes)


def _entry(batch_id: str, kind: Kind = "delivery", supersedes: str | None = None) -> Entry:
    return Entry(
        source="readings",
        batch_id=batch_id,
        day=date.fromisoformat(batch_id[9:19]),
        kind=kind,
        digest="d",
        ingested_at=NOW,
        supersedes=supersedes,
        delivered_until=None if kind == "supersede" or "corrections" in batch_id else NOW,
    )


def _publish(landing: Path, *periods: str, name: str = "readings") -> None:
    (landing / "shared").mkdir(exist_ok=True)
    for period in periods:
        (landing / "shared" / f"{name}_{period}.csv").write_text("read_at\n")


def _pending(landing: Path, *entries: Entry, settle_seconds: float = 0, **sources: Source) -> list[str]:
    declared = sources or {"readings": _source()}
    found = pending(landing, entries, declared=declared, settle_seconds=settle_seconds, now=NOW)
    return [delivery.batch_id for delivery in found]


def test_pending_is_what_lies_there_and_is_not_in_the_ledger(tmp_path):
    _publish(tmp_path, "2013-07-09", "2013-07-10", "2013-07-10_corrections", "2013-07-11T05", "2031-07-10")
    _publish(tmp_path, "yesterday", "9999-12-31")
    _publish(tmp_path, "2013-07-10", name="others")

    assert _pending(tmp_path, _entry(DAY)) == [
        "readings_2013-07-09",
        "readings_2013-07-10_corrections",
        "readings_2013-07-11T05",
    ]
    assert _pending(tmp_path, _entry(DAY), settle_seconds=3600) == []
    both = {"readings": _source(), "others": _source("others")}
    assert _pending(tmp_path, _entry(DAY), **both)[:1] == ["others_2013-07-10"]


def test_a_file_of_a_period_that_never_comes_is_not_pending(tmp_path):
    _publish(tmp_path, "2013-07-10", "2013-07-11T05", "2013-07-12T05", "2013-07-12T06")
    missing = [
        _entry(f"readings_{period}", "missing") for period in ("2013-07-10T03", "2013-07-11", "2013-07-12T05")
    ]

    assert _pending(tmp_path, *missing) == ["readings_2013-07-12T06"]


def test_a_decided_replacement_is_pending_until_it_landed(tmp_path):
    _publish(tmp_path, "2013-07-10")
    decided = [_entry(DAY), _entry(f"{DAY}_r2", "supersede", DAY)]

    assert _pending(tmp_path, *decided) == [DAY]
    assert _pending(tmp_path, *decided, _entry(f"{DAY}_r2", supersedes=DAY)) == []


def test_the_newest_of_many_revisions_is_the_one_that_counts():
    ids = [DAY, *(f"{DAY}_r{number}" for number in range(2, 12))]
    ledger = Ledger([_entry(batch_id) for batch_id in sorted(ids)])

    newest = ledger.landed(DAY)

    assert newest is not None and newest.batch_id == f"{DAY}_r11"
    assert [entry.batch_id for entry in ledger.of_file(f"{DAY}_r3")] == ids
    assert ledger.landed("readings_2013-07-11") is None


@pytest.mark.parametrize(
    ("one", "other", "overlaps"),
    [
        (Period(date(2013, 7, 10)), Period(date(2013, 7, 10), 5), True),
        (Period(date(2013, 7, 10), 5), Period(date(2013, 7, 10), 5), True),
        (Period(date(2013, 7, 10), 5), Period(date(2013, 7, 10), 6), False),
        (Period(date(2013, 7, 10)), Period(date(2013, 7, 11)), False),
    ],
)
def test_a_day_overlaps_its_hours(one, other, overlaps):
    assert one.overlaps(other) is overlaps
    assert other.overlaps(one) is overlaps


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2013-07", "is not of the form"),
        ("2013-02-30", "there is no day"),
        ("2013-07-10T24", "there is no hour 24"),
        ("2013-07-10..2013-07-10T05", "mixes a day with an hour"),
        ("2013-07-11..2013-07-10", "is after"),
        ("9999-12-31", "is outside"),
    ],
)
def test_a_period_that_is_none_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_periods(text)


@pytest.mark.parametrize(
    "text",
    [
        "2013-07-10",
        "2013-07-10T05",
        "2013-07-10..2013-07-12",
        "2013-07-10T22..2013-07-12T03",
        "2013-03-10T01",
        "2013-11-03T01",
        "2013-11-03",
    ],
)
def test_a_gap_is_named_as_the_decision_takes_it(text):
    periods = parse_periods(text)
    zone = "America/New_York"

    assert covering(periods[0].start(zone), periods[-1].end(zone), zone) == text


def test_a_decision_to_release_rows_is_no_content_of_a_file():
    decision = _entry(f"{DAY}_released", "release")
    ledger = Ledger([_entry(DAY), decision])
    assert ledger.released(DAY) == decision
    assert ledger.of_file(f"{DAY}_released") == []
    assert ledger.landed(f"{DAY}_released") is None
    landed = Ledger([decision, _entry(f"{DAY}_released")])
    assert landed.landed(f"{DAY}_released") == _entry(f"{DAY}_released")
