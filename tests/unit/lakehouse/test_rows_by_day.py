"""How many rows a table has of each day, from its files alone."""

from datetime import date, timedelta

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakehouse.delta.files import rows_by_day
from lakehouse.settings import settings

FIRST = date(2013, 10, 1)


@pytest.fixture
def table() -> str:
    """Three days of 1, 2 and 3 rows, in two files, and a row without a day."""
    name = "rows_by_day.flights"
    folder = settings().tables_dir / "rows_by_day.db" / "flights"
    days = [FIRST + timedelta(days=n) for n in range(3) for _ in range(n + 1)]
    for held in (days[:4], [*days[4:], None]):
        write_deltalake(folder, pa.table({"flight_date": pa.array(held, pa.date32())}), mode="append")
    return name


def test_rows_are_counted_by_day_within_the_range(table: str) -> None:
    second, third = FIRST + timedelta(days=1), FIRST + timedelta(days=2)
    assert rows_by_day(table, "flight_date", second, date(2013, 12, 31)) == {second: 2, third: 3}
    assert rows_by_day(table, "flight_date", FIRST, FIRST) == {FIRST: 1}


def test_a_table_that_is_not_here_has_no_counts() -> None:
    assert rows_by_day("rows_by_day.nowhere", "flight_date", FIRST, FIRST) is None
