"""A warm `dbt build` of one day against the bare Spark statements that it gave.

    python -m benchmarks.warm_build [--day 2013-09-15]

Needs bronze with the day (`make demo`); builds into a schema of its own. It computes one day of every
model once more; its statements are taken from dbt's log and given again, one by one, by a plain client.
dbt's time is that of its nodes: its start and parsing are left out, as run_results.json has it. First
it is checked that the repeated statements left the rows that dbt had left.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import SparkSession
from rich.console import Console
from rich.table import Table

from lakehouse.dbt.project import run_dbt
from lakehouse.delta.content_hash import content_hash
from lakehouse.engine.session import spark_session

SCHEMA = "bench_warm_build"
BUILD = ("build", "--exclude-resource-type", "test", "unit_test", "snapshot")


def build(folder: Path, day: str | None) -> float:
    """Build what is new, or a day once more; seconds of its nodes."""
    days = {"LAKEHOUSE_START_DATE": day, "LAKEHOUSE_END_DATE": day} if day else {}
    log = ("--log-path", str(folder), "--log-format-file", "json", "--log-level-file", "debug")
    run_dbt(
        [*log, *BUILD], target_path=folder / "target", environment={"LAKEHOUSE_DBT_SCHEMA": SCHEMA, **days}
    )
    return float(json.loads((folder / "target" / "run_results.json").read_text())["elapsed_time"])


def statements(log: Path) -> list[str]:
    """The statements that dbt gave to Spark, in their order."""
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return [str(event["data"]["sql"]) for event in events if event["info"]["name"] == "SQLQuery"]


def repeat(spark: SparkSession, sql: Sequence[str]) -> float:
    """Give the statements one after the other; seconds."""
    started = time.monotonic()
    for statement in sql:
        spark.sql(statement).collect()
    return time.monotonic() - started


def content(spark: SparkSession) -> str:
    """What the widest table holds."""
    return content_hash(spark.table(f"{SCHEMA}.flight_features")).rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--day", default="2013-09-15")
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args()
    spark = spark_session()
    spark.sql(f"drop schema if exists {SCHEMA} cascade")
    by_dbt: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder), None)
        for _ in range(arguments.times):
            (Path(folder) / "dbt.log").unlink(missing_ok=True)
            by_dbt.append(build(Path(folder), arguments.day))
            before = content(spark)
            bare.append(repeat(spark, statements(Path(folder) / "dbt.log")))
            assert content(spark) == before, "equal answers"
    spark.sql(f"drop schema {SCHEMA} cascade")
    shown = Table("dbt build of a day / its bare statements (times)", title="Warm build")
    shown.add_row(f"{statistics.median(by_dbt) / statistics.median(bare):.2f}")
    Console().print(shown)


if __name__ == "__main__":
    main()
