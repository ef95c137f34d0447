"""The history of airlines and aircraft takes its first change, its second, and no commit without one."""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest

from tests.integration.dbt.conftest import SNAPSHOTS, Lakehouse

# A dbt build each: minutes, not seconds.
pytestmark = pytest.mark.slow

AIRCRAFT_COLUMNS = (
    "tail_number,manufacture_year,aircraft_type,manufacturer,model,"
    "engine_count,seat_count,engine_type,published_at"
)


@pytest.fixture
def lakehouse(_engine: None, tmp_path: Path) -> Iterator[Lakehouse]:
    made = Lakehouse(tmp_path)
    yield made
    made.drop()


def test_each_change_is_a_row_and_no_change_is_no_commit(lakehouse: Lakehouse) -> None:
    deliver(lakehouse, 1, {"AA": "American", "UA": "United"}, {"N101": 150, "N102": 50})
    snapshot(lakehouse)
    deliver(lakehouse, 2, {"AA": "American Inc.", "UA": "United"}, {"N101": 150, "N102": 55})
    snapshot(lakehouse)
    deliver(lakehouse, 3, {"AA": "American", "UA": "United", "DL": "Delta"}, {"N101": 150, "N102": 55})
    snapshot(lakehouse)

    airlines = lakehouse.table("airline_history").orderBy("carrier_code", "dbt_valid_from")
    assert [
        (row["carrier_code"], row["airline_name"], row["dbt_valid_from"], row["dbt_valid_to"])
        for row in airlines.collect()
    ] == [
        ("AA", "American", at(1), at(2)),
        ("AA", "American Inc.", at(2), at(3)),
        ("AA", "American", at(3), None),
        ("DL", "Delta", at(3), None),
        ("UA", "United", at(1), None),
    ]
    aircraft = lakehouse.table("aircraft_history").orderBy("tail_number", "dbt_valid_from")
    assert [
        (row["tail_number"], row["seat_count"], row["dbt_valid_from"], row["dbt_valid_to"])
        for row in aircraft.collect()
    ] == [("N101", 150, at(1), None), ("N102", 50, at(1), at(2)), ("N102", 55, at(2), None)]

    before = lakehouse.versions(SNAPSHOTS)
    assert before == {"airline_history": 2, "aircraft_history": 1}
    snapshot(lakehouse)
    deliver(lakehouse, 4, {"AA": "American", "UA": "United", "DL": "Delta"}, {"N101": 150, "N102": 55})
    snapshot(lakehouse)
    assert lakehouse.versions(SNAPSHOTS) == before


def at(day: int) -> datetime:
    return datetime(2013, 9, day, 8)  # noqa: DTZ001 - as the session, in UTC, shows it


def deliver(lakehouse: Lakehouse, day: int, airlines: dict[str, str], seats: dict[str, int]) -> None:
    """A publication of both lists, of a day in September, ingested."""
    published = f"{at(day).isoformat()}Z"
    lists = {
        "airlines": ["carrier_code,airline_name,published_at"]
        + [f"{code},{name},{published}" for code, name in airlines.items()],
        "aircraft": [AIRCRAFT_COLUMNS]
        + [f"{tail},2001,Fixed wing,BOEING,737,2,{count},Turbo,{published}" for tail, count in seats.items()],
    }
    for name, lines in lists.items():
        folder = lakehouse.landing / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}_{date(2013, 9, day)}.csv").write_text("\n".join(lines) + "\n")
    lakehouse.ingest()


def snapshot(lakehouse: Lakehouse) -> None:
    """As `dbt build` makes them, with the views that they read."""
    built = lakehouse.dbt("build", "--select", *(f"+{name}" for name in SNAPSHOTS))
    assert set(built.results.values()) <= {"success", "pass"}, built.output
