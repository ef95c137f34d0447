"""From a day of a model's table to days of the sources, by the notes of builds."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest

from lakehouse.dbt.notes import Commit
from lakehouse.dbt.origins import SourceDays, is_held, source_days, writer

DAY = date(2013, 3, 10)
FIRST, SECOND, THIRD = (datetime(2025, 1, hour, tzinfo=UTC) for hour in (1, 2, 3))


def model(name: str, *inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "resource_type": "model", "name": name, "schema": "s", "alias": name,
        "config": {"inputs": list(inputs)},
    }  # fmt: skip


MANIFEST = {
    "sources": {
        name: {"source_name": "bronze", "name": name, "schema": "bronze", "identifier": name}
        for name in ("events", "plan", "airports")
    },
    "nodes": {
        "events": model("int_events", {"source": "events", "day": "told_on", "lookback": 1}),
        "flights": model(
            "int_flights",
            {"source": "plan", "day": "planned_on"},
            {"source": "airports", "day": "published_on", "lookback": "all"},
        ),
        "history": model(
            "feat_history",
            {"model": "int_events", "lookback": 7},
            {"model": "int_flights"},
            {"source": "plan", "day": "planned_on"},
        ),
    },
}  # fmt: skip


def note(days: Any, **read: tuple[int, datetime]) -> dict[str, Any]:
    named = {
        name.replace("__", "."): {"version": version, "at": str(at)} for name, (version, at) in read.items()
    }
    return {"days": days, "read": named}


def noted(version: int, at: datetime, metadata: Mapping[str, Any]) -> Commit:
    return Commit(version, at, metadata=metadata)


ELEVENTH = [["2013-03-11", "2013-03-11"]]
LOGS = {
    "s.feat_history": [
        noted(2, THIRD, note(ELEVENTH, int_events=(1, SECOND), int_flights=(0, FIRST))),
        Commit(1, SECOND),
        noted(0, FIRST, note("all", int_events=(0, FIRST), int_flights=(0, FIRST), bronze__plan=(1, FIRST))),
    ],
    "s.int_events": [
        noted(1, SECOND, note([["2013-03-11", "2013-03-12"]], bronze__events=(6, SECOND))),
        noted(0, FIRST, note("all", bronze__events=(5, FIRST))),
    ],
    "s.int_flights": [noted(0, FIRST, note("all", bronze__plan=(2, FIRST), bronze__airports=(0, FIRST)))],
    "bronze.events": [Commit(6, SECOND), Commit(5, FIRST)],
    "bronze.plan": [Commit(2, FIRST), Commit(1, FIRST)],
    "bronze.airports": [Commit(0, FIRST)],
}  # fmt: skip


def test_a_day_goes_back_to_days_of_sources_at_the_versions_that_its_own_build_read() -> None:
    assert source_days(MANIFEST, LOGS.__getitem__, "feat_history", 2, DAY, DAY) == (
        SourceDays("bronze.airports", 0, "published_on", None, DAY),
        SourceDays("bronze.events", 5, "told_on", date(2013, 3, 2), DAY),
        SourceDays("bronze.plan", 2, "planned_on", DAY, DAY),
    )
    later = source_days(MANIFEST, LOGS.__getitem__, "feat_history", 2, date(2013, 3, 11), date(2013, 3, 11))
    assert SourceDays("bronze.events", 6, "told_on", date(2013, 3, 3), date(2013, 3, 11)) in later


def test_only_the_sources_that_a_model_reads_itself() -> None:
    assert source_days(MANIFEST, LOGS.__getitem__, "feat_history", 2, DAY, DAY, through_tables=False) == (
        SourceDays("bronze.plan", 1, "planned_on", DAY, DAY),
    )


def test_the_way_ends_at_a_table_that_was_made_anew() -> None:
    anew = LOGS | {"s.int_flights": [noted(0, THIRD, note("all", bronze__plan=(9, THIRD)))]}
    found = source_days(MANIFEST, anew.__getitem__, "feat_history", 2, DAY, DAY)
    assert [(each.table, each.is_held) for each in found] == [
        ("bronze.events", True), ("bronze.plan", True), ("s.int_flights", False),
    ]  # fmt: skip
    assert is_held(LOGS.__getitem__, "bronze.events", {"version": 5, "at": str(FIRST)})
    assert not is_held(LOGS.__getitem__, "bronze.events", {"version": 5, "at": str(SECOND)})


def test_a_table_that_dbt_did_not_write_goes_back_to_nothing() -> None:
    assert source_days(MANIFEST, lambda _: [Commit(4, FIRST)], "feat_history", 4, DAY, DAY) == ()


@pytest.mark.parametrize(
    ("version", "first", "last", "written_by"),
    [
        (2, date(2013, 3, 11), date(2013, 3, 11), 2),
        (1, date(2013, 3, 11), date(2013, 3, 11), 0),
        (2, date(2013, 3, 12), date(2013, 3, 12), 0),
        (2, None, date(2013, 3, 11), 2),
        (2, date(2013, 3, 12), None, 0),
    ],
)
def test_the_newest_commit_up_to_a_version_that_computed_a_day(
    version: int, first: date | None, last: date | None, written_by: int
) -> None:
    found = writer(LOGS.__getitem__, "s.feat_history", version, first, last)
    assert found is not None
    assert found.version == written_by
