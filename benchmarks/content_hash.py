"""The content hash of a table against a bare write of all its columns to nowhere.

    python -m benchmarks.content_hash [--rows 1000000] [--repeat 5]

Both read the same Delta table and touch every value. Of each the fastest of some runs counts, taken in turns.
"""

import argparse
import uuid

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

from benchmarks.timing import fastest
from lakehouse.delta.content_hash import content_hash
from lakehouse.engine.session import spark_session

GOAL = 2.0
COLUMNS = 100


def wide_table(spark: SparkSession, name: str, rows: int) -> DataFrame:
    """As many columns as a training set has, of its types."""
    kinds = [
        lambda at: F.hash("id", F.lit(at)),
        lambda at: F.xxhash64("id", F.lit(at)),
        lambda at: (F.hash("id", F.lit(at)) % 1000 / 10).cast("decimal(5,1)"),
        lambda at: F.hash("id", F.lit(at)).cast("string"),
        lambda at: F.hash("id", F.lit(at)) % 2 == 0,
        lambda at: F.hash("id", F.lit(at)) / 7,
    ]
    columns = [kinds[at % len(kinds)](at).alias(f"c{at}") for at in range(COLUMNS)]
    spark.range(rows).select("id", *columns).write.format("delta").saveAsTable(name)
    return spark.table(name)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    spark, schema = spark_session(), f"bench_{uuid.uuid4().hex[:8]}"
    spark.sql(f"create schema {schema}")
    try:
        rows = wide_table(spark, f"{schema}.wide", arguments.rows)
        assert content_hash(rows, ["id"]).row_count == arguments.rows
        bare, hashed, keyed = fastest(
            [
                lambda: rows.write.format("noop").mode("overwrite").save(),
                lambda: content_hash(rows),
                lambda: content_hash(rows, ["id"]),
            ],
            arguments.repeat,
        )
    finally:
        spark.sql(f"drop schema {schema} cascade")
    shown = Table(
        "",
        f"times a write to nowhere (goal ≤ {GOAL:g})",
        title=f"{arguments.rows:,} rows, {COLUMNS + 1} columns",
    )
    shown.add_row("content hash", f"{hashed / bare:.2f}")
    shown.add_row("content hash, columns keyed", f"{keyed / bare:.2f}")
    Console().print(shown)


if __name__ == "__main__":
    main()
