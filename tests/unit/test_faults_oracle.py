"""The campaign's oracle, by hand."""

from collections import Counter
from datetime import date

from tests.faults.campaign.oracle import Oracle


def _row(day: int, amount: int, told: int | None = None) -> dict[str, object]:
    return {
        "station": "north",
        "measured_at": f"2024-01-0{day}T06:00:00Z",
        "amount": amount,
        "reported_at": f"2024-01-0{told or day}T07:00:00Z",
    }


def test_a_reading_counts_from_the_day_it_is_known_and_the_last_report_is_the_label() -> None:
    oracle = Oracle({"one": [_row(1, 5)], "two": [_row(2, 7), _row(1, 50, told=2)]}, days=2)
    assert oracle.totals() == Counter(
        {("north", date(2024, 1, 1), 5, 1): 1, ("north", date(2024, 1, 2), 62, 3): 1}
    )
    assert oracle.training_set() == Counter(
        {("north", date(2024, 1, 1), 5, 1, 50): 1, ("north", date(2024, 1, 2), 62, 3, 7): 1}
    )
    assert oracle.bronze()["north", "2024-01-01T06:00:00Z", 50, "two"] == 1
