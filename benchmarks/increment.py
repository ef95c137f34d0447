"""One day's increment after 3, 30 and 300 days of history: it costs what the day holds.

    python -m benchmarks.increment [--history 3 30 300] [--days 3]

Each history is built in schemas of its own from the real flights; then some days arrive one by one, and the
time that dbt takes to build each is compared with that after the shortest history (the median of the days).
dbt's own start and parsing are left out. First it is checked that the days' rows are the same after every
history, in the tables whose windows are shorter than the shortest.
"""

import argparse
import statistics
import tempfile
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.warehouse import Warehouse
from lakehouse.delta.content_hash import content_hash
from lakehouse.engine.session import spark_session

GOAL = 1.2
LAST_DAY = date(2013, 10, 31)
# Table → its day; what they look back on is a day or two.
SAME_ROWS = {
    "int_flights": "flight_date",
    "feat_origin_departures": "as_of_date",
    "feat_region_arrivals": "as_of_date",
    "feat_origin_weather": "known_date",
}


def measure(warehouse: Warehouse, history: int, days: int) -> tuple[float, dict[str, str]]:
    """Median seconds of a day's increment after so many days, and what the days hold, by table."""
    warehouse.drop()
    try:
        first = LAST_DAY - timedelta(days=days - 1)
        warehouse.arrive(first - timedelta(days=history), first - timedelta(days=1))
        warehouse.build()
        seconds: list[float] = []
        for day in (first + timedelta(days=offset) for offset in range(days)):
            warehouse.arrive(day, day)
            seconds.append(warehouse.build())
        rows = {
            table: content_hash(
                warehouse.spark.table(f"{warehouse.schema}.{table}").where(
                    f"{day} between date'{first}' and date'{LAST_DAY}'"
                )
            ).rows
            for table, day in SAME_ROWS.items()
        }
        return statistics.median(seconds), rows
    finally:
        warehouse.drop()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--history", type=int, nargs="+", default=[3, 30, 300])
    parser.add_argument("--days", type=int, default=3)
    arguments = parser.parse_args()
    console = Console()
    seconds: list[float] = []
    rows: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for history in arguments.history:
            console.print(f"{history} days of history, then {arguments.days} days one by one …", style="dim")
            warehouse = Warehouse(spark_session(), Path(folder) / str(history), f"bench_increment_{history}")
            taken, held = measure(warehouse, history, arguments.days)
            assert held == (rows or [held])[0], f"the days after {history} days of history hold other rows"
            seconds.append(taken)
            rows.append(held)
    shown = Table(
        "days of history",
        f"a day's increment, in times of that after {arguments.history[0]} (goal ≤ {GOAL})",
        title="Increment",
    )
    for history, taken in zip(arguments.history, seconds, strict=True):
        shown.add_row(str(history), f"{taken / seconds[0]:.2f}")
    console.print(shown)


if __name__ == "__main__":
    main()
