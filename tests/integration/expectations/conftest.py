"""Small tables with a key, a day and a delay, and a gate whose suites are the test's own."""

from collections.abc import Callable, Sequence
from datetime import date

import pytest

from expectations import gate
from expectations.suite import Profile, Suite, at_most, between, day_column, not_null, unique

Row = tuple[str, str, int | None]
Write = Callable[[str, Sequence[Row]], None]


@pytest.fixture
def write(spark, schema) -> Write:
    """Append rows (flight_id, day, delay_minutes) to a table of this test, in one commit and file."""

    def append(name: str, rows: Sequence[Row]) -> None:
        typed = [(key, date.fromisoformat(day), delay) for key, day, delay in rows]
        frame = spark.createDataFrame(typed, "flight_id string, flight_date date, delay_minutes int")
        frame.coalesce(1).write.format("delta").mode("append").saveAsTable(f"{schema}.{name}_{schema}")

    return append


@pytest.fixture
def gated(schema, monkeypatch) -> Callable[..., tuple[Suite, ...]]:
    """Make the gate `features` consist of these tables of this test's schema."""

    def declare(*names: str) -> tuple[Suite, ...]:
        suites = tuple(
            Suite(
                table=f"{schema}.{name}_{schema}",
                gate="features",
                key=("flight_id", "flight_date"),
                day=day_column("flight_date"),
                rows=(*not_null("delay_minutes"), unique("flight_id"), between("delay_minutes", -120, 2880)),
                rules={"has_long_id": "length(flight_id) > 1"},
                daily=Profile(expectations=(at_most("row_count", 3),)),
            )
            for name in names
        )
        monkeypatch.setattr(gate, "suites_of", lambda _: suites)
        return suites

    return declare
