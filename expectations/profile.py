"""A table's aggregates by day, also of days that have lost their rows, in pandas."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession

from expectations.counts import count_columns, is_countable
from expectations.days import DaysToCheck
from expectations.fitting import fitting
from expectations.suite import MISSING_ROWS, SURPLUS_ROWS, DayOf, Profile, Suite, within_days
from lakehouse.delta.table import TableVersion
from lakehouse.engine.query import query

if TYPE_CHECKING:
    import pandas as pd

SHARE = "quarantined_share"
# The metric that is compared with what upstream expects.
_COUNTED = "counted_rows"


def rows_of(suite: Suite, days: Sequence[date] | None) -> str:
    """The condition that a row counts: it falls on one of the days, and no later delivery superseded it."""
    where = "true" if days is None or suite.day is None else within_days(suite.day, days)
    return where if suite.superseded is None else f"{where} and _batch_id not in ({suite.superseded})"


def profile_sql(
    suite: Suite,
    profile: Profile,
    version: TableVersion,
    group: DayOf | None,
    where: str,
    *,
    counts: bool = False,
) -> str:
    """The select of a profile: a row per day, or one.

    Args:
        counts: also how many rows break each row expectation, see `expectations.counts`.
    """
    metrics = {"row_count": "count(*)", **profile.metrics}
    if suite.quarantines:
        accepted = f"count_if({suite.accepted})"
        metrics |= {"accepted_rows": accepted, SHARE: f"1 - {accepted} / count(*)"}
    if group is not None and suite.expected_rows is not None:
        metrics[_COUNTED] = suite.expected_rows.rows
    source = f"from {version.name} version as of {version.version} where {where}"
    if counts:
        metrics |= count_columns(suite, source)
    columns = [f"{sql} as {name}" for name, sql in metrics.items()]
    if group is not None:
        columns.insert(0, f"{group.sql} as day")
    return f"select {', '.join(columns)} {source}{' group by 1 order by 1' if group is not None else ''}"


def profile_by_day(
    spark: SparkSession, suite: Suite, version: TableVersion, days: Sequence[date] | None
) -> "pd.DataFrame":
    """One row a day that has rows, in order: `day`, `row_count`, the suite's daily metrics, and its counts.

    Of a suite that quarantines, also `accepted_rows` and `quarantined_share`: the share of rows that break a
    rule, of the latest rows of each key. What was delivered again, correctly, no longer counts.
    """
    where = rows_of(suite, days)
    sql = profile_sql(suite, suite.daily or Profile(), version, suite.day, where, counts=is_countable(suite))
    with fitting(suite.table):
        found = to_pandas(query(spark, sql))
    if suite.quarantines and suite.day is not None:
        broken = found[(found["accepted_rows"] < found["row_count"]) & found["day"].notna()]
        if len(broken):
            shares = _latest_shares(spark, suite, suite.day, version, list(broken["day"]))
            found[SHARE] = [
                shares.get(day, share) for day, share in zip(found["day"], found[SHARE], strict=True)
            ]
    return found


def _latest_shares(
    spark: SparkSession, suite: Suite, day: DayOf, version: TableVersion, days: Sequence[date]
) -> dict[date, float]:
    """By day, the share of rows that break a rule, of the rows that no later batch of the day says again."""
    key = ", ".join(column for column in suite.key if column != "_batch_id")
    rows = query(
        spark,
        f"""
        with ranked as (
            select
                {day.sql} as day,
                {suite.accepted} as is_accepted,
                rank() over (partition by {day.sql}, {key} order by _batch_id desc) as nth
            from {version.name} version as of {version.version}
            where {rows_of(suite, days)}
        )
        select day, 1 - count_if(is_accepted) / count(*) as share from ranked where nth = 1 group by day
        """,
    ).collect()
    return {row["day"]: float(row["share"]) for row in rows}


def to_pandas(frame: DataFrame) -> "pd.DataFrame":
    """A profile in pandas, where NULL and NaN would be one: a metric of NaN becomes infinity, which no bound
    lets pass."""
    table = frame.toArrow()
    for position, name in enumerate(table.column_names):
        column = table.column(position)
        if pa.types.is_floating(column.type):
            is_nan = pc.call_function("is_nan", [column])
            infinity = pa.scalar(float("inf"), column.type)
            numbers = pc.call_function("if_else", [is_nan, infinity, column])
            table = table.set_column(position, name, numbers)
    return table.to_pandas()


def with_due_days(suite: Suite, by_day: "pd.DataFrame", asked: DaysToCheck) -> "pd.DataFrame":
    """A profile with a row of zero rows for each day that is due and has none, and how many rows lack."""
    import pandas as pd

    lost = sorted(asked.due - set(by_day["day"]))
    if lost:
        zeros = {"row_count": 0, "accepted_rows": 0, _COUNTED: 0}
        known = {name: value for name, value in zeros.items() if name in by_day.columns}
        added = pd.DataFrame([{"day": day, **known} for day in lost]).reindex(columns=by_day.columns)
        by_day = pd.concat([by_day, added], ignore_index=True) if len(by_day) else added
        by_day = by_day.sort_values("day", ignore_index=True)
    counted = by_day[_COUNTED] if suite.expected_rows is not None else by_day["row_count"]
    dated = list(zip(by_day["day"], counted, strict=True))
    return by_day.assign(
        **{
            MISSING_ROWS: [asked.missing(day, int(rows)) for day, rows in dated],
            SURPLUS_ROWS: [asked.surplus(day, int(rows)) for day, rows in dated],
        }
    )
