"""The point-in-time join against the bare sort of the same rows, and against a range join.

    python -m benchmarks.point_in_time [--rows 100000 300000 1000000] [--per-key 1000]

Prints one table of ratios; both sides of each run in turn on one warm engine, the best of three counts, and
equal answers are checked first. Nothing here is an absolute time: machines differ.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from rich.console import Console
from rich.table import Table

from lakehouse.dbt.project import run_dbt
from lakehouse.delta.content_hash import content_hash
from lakehouse.engine.session import spark_session

JOIN = """
{{ point_in_time_join(
    spine='bench_spine', spine_time='at', keys=['entity'],
    features=[{
        'from': 'bench_features', 'time': 'known_at', 'time_as': 'feature_known_at', 'columns': ['value'],
    }],
) }}
"""
# As feature stores generate it: pair each row with every earlier one of its key, keep the latest.
RANGE_JOIN = """
select spine.*, found.last.known_at as feature_known_at, found.last.value as value
from bench_spine as spine
left join (
    select row_id, max_by(struct(known_at, value), struct(known_at, value)) as last
    from (
        select spine.row_id, features.known_at, features.value
        from bench_spine as spine
        inner join bench_features as features
            on spine.entity = features.entity and features.known_at <= spine.at
    )
    group by row_id
) as found on spine.row_id = found.row_id
"""
# The same rows through one shuffle by key and one sort by time, and nothing else.
BARE_SORT = """
select entity, at, row_id, value from (
    select entity, at, row_id, cast(null as int) as value from bench_spine
    union all
    select entity, known_at, null, value from bench_features
)
distribute by entity sort by entity, at
"""


def compiled_join() -> str:
    """The macro's SQL, as dbt compiles it."""
    with tempfile.TemporaryDirectory() as target:
        printed = run_dbt(
            ["--quiet", "compile", "--inline", JOIN, "--output", "json"], target_path=Path(target)
        ).output
    compiled: str = json.loads(printed[printed.index("{") :])["compiled"]
    return compiled


def make_rows(spark: SparkSession, rows: int, per_key: int, folder: str) -> None:
    """`rows` feature rows and as many spine rows, `per_key` of each a key, in Parquet; views on them."""
    keys = max(1, rows // per_key)
    instant = "timestamp_seconds(pmod(xxhash64(id, {salt}), 31536000))"
    for name, salt, columns in (
        ("bench_spine", 1, "id as row_id, pmod(id, {keys}) as entity, {at} as at"),
        (
            "bench_features",
            2,
            "pmod(id, {keys}) as entity, {at} as known_at, cast(pmod(id, 97) as int) as value",
        ),
    ):
        sql = columns.format(keys=keys, at=instant.format(salt=salt))
        spark.sql(f"select {sql} from range({rows})").write.mode("overwrite").parquet(f"{folder}/{name}")
        spark.read.parquet(f"{folder}/{name}").createOrReplaceTempView(name)


def seconds(frame: Callable[[], DataFrame], times: int = 3) -> float:
    """The best of several runs, written to nowhere."""
    best = float("inf")
    for _ in range(times):
        started = time.monotonic()
        frame().write.format("noop").mode("overwrite").save()
        best = min(best, time.monotonic() - started)
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--per-key", type=int, default=1000)
    arguments = parser.parse_args()
    spark, join = spark_session(), compiled_join()
    shown = Table(
        "feature rows", "join / bare sort (times)", "range join / join (times)", title="Point-in-time join"
    )
    with tempfile.TemporaryDirectory() as folder:
        for rows in arguments.rows:
            make_rows(spark, rows, arguments.per_key, folder)
            assert content_hash(spark.sql(join)) == content_hash(spark.sql(RANGE_JOIN)), "equal answers"
            ours = seconds(lambda: spark.sql(join))
            sort = seconds(lambda: spark.sql(BARE_SORT))
            pairs = seconds(lambda: spark.sql(RANGE_JOIN), times=1)
            shown.add_row(f"{rows:,}", f"{ours / sort:.2f}", f"{pairs / ours:.1f}")
    Console().print(shown)


if __name__ == "__main__":
    main()
