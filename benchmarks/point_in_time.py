"""The point-in-time join against the bare sort of the same rows, and against a range join.

    python -m benchmarks.point_in_time [--rows 100000 300000 1000000] [--per-key 1000] [--pairs-up-to 100000]

Prints one table of ratios; both sides run in turn on one warm engine, the best of three counts, and equal
answers are checked first. The range join pairs every row of a key with every other, so it runs once, and is
left out past `--pairs-up-to` rows. Nothing here is an absolute time: machines differ.
"""

import argparse
import json
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

SORT_GOAL, RANGE_GOAL = 1.3, 15
# Beside key and time, as many columns as a feature table here has.
VALUES = [f"value_{number}" for number in range(10)]
PLANS = [f"plan_{number}" for number in range(10)]
JOIN = f"""
{{{{ point_in_time_join(
    spine='bench_spine', spine_key=['row_id'], spine_time='at',
    joins=[{{'keys': ['entity'], 'features': [{{
        'from': 'bench_features', 'time': 'known_at', 'time_as': 'feature_known_at', 'columns': {VALUES},
    }}]}}],
) }}}}
"""
# As feature stores generate it: pair each row with every earlier one of its key, number the pairs from the
# latest, keep the first. (Feast then joins what it found back to the pairs, which is left out here.)
RANGE_JOIN = f"""
select spine.*, found.known_at as feature_known_at, {", ".join(f"found.{value}" for value in VALUES)}
from bench_spine as spine
left join (
    select
        spine.row_id,
        features.*,
        row_number() over (
            partition by spine.row_id
            order by features.known_at desc, {", ".join(f"features.{value} desc" for value in VALUES)}
        ) as nth_latest
    from bench_spine as spine
    inner join bench_features as features
        on spine.entity = features.entity and features.known_at <= spine.at
) as found on spine.row_id = found.row_id and found.nth_latest = 1
"""
# The same rows through one shuffle by key and one sort by time, and nothing else.
BARE_SORT = f"""
select * from (
    select entity, at, row_id, {", ".join(PLANS)}, {", ".join(f"null as {value}" for value in VALUES)}
    from bench_spine
    union all
    select entity, known_at, null, {", ".join("null" for _ in PLANS)}, {", ".join(VALUES)} from bench_features
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
    for name, columns, time_column in (
        ("bench_spine", ["id as row_id", *_numbers(PLANS)], "at"),
        ("bench_features", _numbers(VALUES), "known_at"),
    ):
        entity = f"concat('E', pmod(id, {max(1, rows // per_key)})) as entity"
        instant = f"timestamp_seconds(pmod(xxhash64(id, '{name}'), 31536000)) as {time_column}"
        sql = f"select {', '.join([entity, instant, *columns])} from range({rows})"
        spark.sql(sql).write.mode("overwrite").parquet(f"{folder}/{name}")
        spark.read.parquet(f"{folder}/{name}").createOrReplaceTempView(name)


def _numbers(names: Sequence[str]) -> list[str]:
    return [f"cast(pmod(xxhash64(id, '{name}'), 1000) as int) as {name}" for name in names]


def best_seconds(spark: SparkSession, *queries: str, times: int = 3) -> list[float]:
    """The best of several runs of each query, in turn, written to nowhere."""
    best = [float("inf")] * len(queries)
    for _ in range(times):
        for number, query in enumerate(queries):
            started = time.monotonic()
            spark.sql(query).write.format("noop").mode("overwrite").save()
            best[number] = min(best[number], time.monotonic() - started)
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--per-key", type=int, default=1000)
    parser.add_argument("--pairs-up-to", type=int, default=100_000)
    arguments = parser.parse_args()
    spark, join = spark_session(), compiled_join()
    shown = Table(
        "feature rows",
        f"join / bare sort (goal ≤ {SORT_GOAL})",
        f"range join / join (goal ≥ {RANGE_GOAL})",
        title="Point-in-time join",
    )
    with tempfile.TemporaryDirectory() as folder:
        for rows in arguments.rows:
            make_rows(spark, rows, arguments.per_key, folder)
            is_paired = rows <= arguments.pairs_up_to
            if is_paired:
                assert content_hash(spark.sql(join)) == content_hash(spark.sql(RANGE_JOIN)), "unequal answers"
            ours, sort = best_seconds(spark, join, BARE_SORT)
            pairs = best_seconds(spark, RANGE_JOIN, times=1)[0] / ours if is_paired else None
            shown.add_row(f"{rows:,}", f"{ours / sort:.2f}", f"{pairs:.1f}" if pairs else "left out")
    Console().print(shown)


if __name__ == "__main__":
    main()
