"""One day's increment after 3, 30 and 300 days of history: it costs what the day holds.

    python -m benchmarks.increment [--history 3 30 300] [--days 3]

Each history is built in schemas of its own from the real flights; then some days arrive one by one, and the
time that dbt takes to build each is compared with that after the shortest history (the median of the days).
dbt's own start and parsing are left out. First it is checked that the days' rows are the same after every
history, in the tables whose windows are shorter than the shortest.
"""

import argparse
import json
import statistics
import tempfile
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from pyspark.sql import SparkSession
from rich.console import Console
from rich.table import Table

from demo.publish import publish
from lakehouse.dbt.project import run_dbt
from lakehouse.delta.content_hash import content_hash
from lakehouse.engine.session import spark_session
from lakehouse.ingest.land import ingest

LAST_DAY = date(2013, 10, 31)
# Table → its day; what they look back on is a day or two.
SAME_ROWS = {
    "int_flights": "flight_date",
    "feat_origin_departures": "as_of_date",
    "feat_region_arrivals": "as_of_date",
    "feat_origin_weather": "known_date",
}


@dataclass(frozen=True)
class Warehouse:
    """One history: its landing zone and schemas."""

    folder: Path
    schema: str

    def arrive(self, spark: SparkSession, first: date, last: date) -> None:
        """Days are published and land in bronze."""
        publish(first, last, landing=self.folder / "landing")
        report = ingest(spark, landing=self.folder / "landing", schema=f"{self.schema}_bronze")
        assert not report.refused, report.refused

    def build(self) -> float:
        """dbt builds what is new; seconds, without dbt's start."""
        target = self.folder / "target"
        run_dbt(
            ["build", "--exclude-resource-type", "test", "unit_test"],
            variables={
                "bronze_schema": f"{self.schema}_bronze",
                "predictions_schema": f"{self.schema}_predictions",
            },
            target_path=target,
            environment={"LAKEHOUSE_DBT_SCHEMA": self.schema},
        )
        return float(json.loads((target / "run_results.json").read_text())["elapsed_time"])

    def days_hash(self, spark: SparkSession, days: int) -> dict[str, str]:
        """The content of the last days, by table."""
        first = LAST_DAY - timedelta(days=days - 1)
        return {
            table: content_hash(
                spark.table(f"{self.schema}.{table}").where(
                    f"{day} between date'{first}' and date'{LAST_DAY}'"
                )
            ).rows
            for table, day in SAME_ROWS.items()
        }

    def drop(self, spark: SparkSession) -> None:
        """Remove all of it."""
        for schema in (self.schema, f"{self.schema}_bronze", f"{self.schema}_predictions"):
            spark.sql(f"drop schema if exists {schema} cascade")


def measure(spark: SparkSession, history: int, days: int, folder: Path) -> tuple[float, dict[str, str]]:
    """Median seconds of a day's increment after so many days, and what the days hold."""
    warehouse = Warehouse(folder / str(history), f"bench_increment_{history}")
    warehouse.drop(spark)
    try:
        first = LAST_DAY - timedelta(days=days - 1)
        warehouse.arrive(spark, first - timedelta(days=history), first - timedelta(days=1))
        warehouse.build()
        seconds: list[float] = []
        for day in (first + timedelta(days=offset) for offset in range(days)):
            warehouse.arrive(spark, day, day)
            seconds.append(warehouse.build())
        return statistics.median(seconds), warehouse.days_hash(spark, days)
    finally:
        warehouse.drop(spark)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--history", type=int, nargs="+", default=[3, 30, 300])
    parser.add_argument("--days", type=int, default=3)
    arguments = parser.parse_args()
    spark = spark_session()
    console = Console()
    found: dict[int, float] = {}
    hashes: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for history in arguments.history:
            console.print(f"{history} days of history, then {arguments.days} days one by one …", style="dim")
            found[history], content = measure(spark, history, arguments.days, Path(folder))
            hashes.append(content)
    assert all(content == hashes[0] for content in hashes), "equal answers"
    shown = Table("days of history", "a day's increment (times the first)", title="Increment")
    for history, seconds in found.items():
        shown.add_row(str(history), f"{seconds / found[arguments.history[0]]:.2f}")
    console.print(shown)


if __name__ == "__main__":
    main()
