"""A training set rebuilt from pinned bronze against the build that first made it.

    python -m benchmarks.rebuild [--days 60]

Both are dbt's, of the same models from nothing, on the same engine; the rows are compared first.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.warehouse import Warehouse
from lakehouse.dbt import time_travel
from lakehouse.delta.content_hash import content_hash
from lakehouse.engine.session import spark_session

TRAINING_SET = "flight_training_set"
LAST_DAY = date(2013, 9, 30)


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--days", type=int, default=60)
    days: int = parser.parse_args().days
    spark, again = spark_session(), "bench_rebuild_again"
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Warehouse(spark, Path(folder), "bench_rebuild")
        warehouse.drop()
        time_travel.drop(spark, again)
        try:
            warehouse.arrive(LAST_DAY - timedelta(days=days - 1), LAST_DAY)
            built = seconds(lambda: warehouse.build("--select", f"+{TRAINING_SET}"))
            bronze = f"{warehouse.schema}_bronze"
            pins = time_travel.complete_pins(spark, [], bronze=bronze)
            rebuilt = seconds(
                lambda: time_travel.build(spark, again, [f"+{TRAINING_SET}"], pins, bronze=bronze)
            )
            rows = [
                content_hash(spark.table(f"{schema}.{TRAINING_SET}")) for schema in (warehouse.schema, again)
            ]
            assert rows[0] == rows[1], "the rebuilt training set holds other rows"
        finally:
            warehouse.drop()
            time_travel.drop(spark, again)
    shown = Table("rows", "rebuild, in times of the build", title=f"{days} days")
    shown.add_row(f"{rows[0].row_count:,}", f"{rebuilt / built:.2f}")
    Console().print(shown)


if __name__ == "__main__":
    main()
