"""A warm `dbt build` of one day against the bare Spark statements that it gave.

    python -m benchmarks.warm_build [--days 7] [--times 3]

Some days of real flights are built in schemas of their own. Then the last of them is computed again and
again: by dbt, and by the statements of dbt's log, given one by one by a plain client. dbt's time is that of
its nodes: its start and parsing are left out, as run_results.json has it. Each time it is checked that the
repeated statements left the rows that dbt had left. With one thread both sides wait for one statement after
the other; four, as in profiles.yml, is what a person sees.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.warehouse import Warehouse
from lakehouse.delta.content_hash import content_hash
from lakehouse.engine.session import spark_session

GOAL = 1.3
THREADS = (1, 4)
DAY = date(2013, 9, 15)


def build_day(warehouse: Warehouse, threads: int) -> tuple[float, list[str]]:
    """dbt computes the day once more; seconds of its nodes, and the statements that it gave."""
    log = warehouse.folder / "dbt.log"
    log.unlink(missing_ok=True)
    seconds = warehouse.build(
        *("--threads", str(threads), "--log-format-file", "json", "--log-level-file", "debug"),
        variables={"start_date": str(DAY), "end_date": str(DAY)},
    )
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return seconds, [str(event["data"]["sql"]) for event in events if event["info"]["name"] == "SQLQuery"]


def give(warehouse: Warehouse, statements: Sequence[str]) -> float:
    """The statements one after the other, by a plain client; seconds."""
    started = time.monotonic()
    for statement in statements:
        warehouse.spark.sql(statement).collect()
    return time.monotonic() - started


def rows(warehouse: Warehouse) -> str:
    """What the widest table holds, where all others come together."""
    return content_hash(warehouse.spark.table(f"{warehouse.schema}.flight_features")).rows


def measure(warehouse: Warehouse, threads: int, times: int) -> float:
    """dbt's time in times of its bare statements', the median of several; a first one warms both up."""
    ratios: list[float] = []
    for _ in range(times + 1):
        by_dbt, statements = build_day(warehouse, threads)
        before = rows(warehouse)
        ratios.append(by_dbt / give(warehouse, statements))
        assert rows(warehouse) == before, "the repeated statements left other rows than dbt"
    return statistics.median(ratios[1:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--days", type=int, default=7, help="of flights, up to the one that is computed again"
    )
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args()
    spark = spark_session()
    # As dbt's own sessions have it.
    spark.conf.set("spark.sql.ansi.enabled", "false")
    shown = Table(
        "dbt's threads", f"dbt build of a day / its bare statements (goal ≤ {GOAL})", title="Warm build"
    )
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Warehouse(spark, Path(folder), "bench_warm_build")
        warehouse.drop()
        try:
            warehouse.arrive(DAY - timedelta(days=arguments.days - 1), DAY)
            warehouse.build()
            for threads in THREADS:
                shown.add_row(str(threads), f"{measure(warehouse, threads, arguments.times):.2f}")
        finally:
            warehouse.drop()
    Console().print(shown)


if __name__ == "__main__":
    main()
