"""Run a suite with Great Expectations against a version of a table, on our Spark Connect session."""

import json
import threading
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from expectations.suite import DayOf, Expectation, Profile, Suite, within_days
from lakehouse.delta.table import TableVersion
from lakehouse.errors import LakehouseError

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.data_context.data_context.abstract_data_context import AbstractDataContext

SAMPLES = 10
ROW_KEY = "row_key"

# Great Expectations validates in several threads, but declares in one: its context is one dictionary.
_DECLARING = threading.Lock()


@dataclass(frozen=True)
class Failure:
    """A failed expectation.

    Args:
        expectation: the claim, in words.
        unexpected: how many rows (or days) break it; None where it is not about rows.
        observed: the value seen, where it is not about rows.
        samples: keys of some that break it, with the value seen.
    """

    expectation: str
    unexpected: int | None
    observed: str | None
    samples: tuple[Mapping[str, object], ...]

    def __str__(self) -> str:
        seen = f"{self.unexpected} rows" if self.unexpected is not None else f"observed {self.observed}"
        shown = "; ".join(json.dumps(sample, default=str) for sample in self.samples[:3])
        return f"{self.expectation}: {seen}{f', such as {shown}' if shown else ''}"


@dataclass(frozen=True)
class Validation:
    """What a suite found.

    Args:
        rows: how many rows were looked at.
        evaluated: how many expectations were.
        days: rows by day, for suites with days.
        raw: Great Expectations' own results, for Data Docs.
    """

    rows: int
    evaluated: int
    days: Mapping[date, int]
    failures: tuple[Failure, ...]
    raw: "tuple[ExpectationValidationResult, ...]"


def checked_rows(
    spark: SparkSession, suite: Suite, version: TableVersion, days: Sequence[date] | None
) -> DataFrame:
    """The rows a check looks at: of a version, on the days asked for (all when None).

    Adds a boolean column for each rule that is not quarantined, and `row_key`, the row's key as JSON.

    Raises:
        LakehouseError: the table lacks a column that the suite names.
    """
    where = "true" if days is None or suite.day is None else within_days(suite.day, days)
    if suite.quarantines:
        where += f" and {suite.accepted}"
    rules = [
        f"coalesce({sql}, false) as {name}" for name, sql in suite.rules.items() if not suite.quarantines
    ]
    key = f"to_json(struct({', '.join(suite.key)}), map('ignoreNullFields', 'false')) as {ROW_KEY}"
    columns = ", ".join(["*", *rules, key])
    frame = spark.sql(f"select {columns} from {version.name} version as of {version.version} where {where}")
    with _fitting(suite):
        _ = frame.schema  # Spark Connect looks at the columns only now
    return frame


@contextmanager
def _fitting(suite: Suite) -> Generator[None]:
    """Tell what a suite expects that its table has not."""
    try:
        yield
    except AnalysisException as error:
        raise LakehouseError(
            f"the suite of {suite.table} does not fit the table: {str(error).splitlines()[0]}",
            "compare the columns it names with the table's",
        ) from error


def _profile_sql(
    suite: Suite, profile: Profile, version: TableVersion, group: DayOf | None, where: str
) -> str:
    metrics = {"row_count": "count(*)", **profile.metrics}
    if suite.quarantines:
        metrics |= {
            "accepted_rows": f"count_if({suite.accepted})",
            "quarantined_share": f"1 - count_if({suite.accepted}) / count(*)",
        }
    columns = [f"{sql} as {name}" for name, sql in metrics.items()]
    if group is not None:
        columns.insert(0, f"{group.sql} as day")
    source = f"from {version.name} version as of {version.version} where {where}"
    return f"select {', '.join(columns)} {source}{' group by 1 order by 1' if group is not None else ''}"


def profile_by_day(
    spark: SparkSession, suite: Suite, version: TableVersion, days: Sequence[date] | None
) -> "pd.DataFrame":
    """One row a day that has rows, in order: `day`, `row_count` and the suite's daily metrics.

    Of a suite that quarantines, also `accepted_rows` and `quarantined_share`.
    """
    where = "true" if days is None or suite.day is None else within_days(suite.day, days)
    with _fitting(suite):
        return spark.sql(_profile_sql(suite, suite.daily or Profile(), version, suite.day, where)).toPandas()


def validate(
    context: "AbstractDataContext",
    spark: SparkSession,
    suite: Suite,
    version: TableVersion,
    days: Sequence[date] | None = None,
    by_day: "pd.DataFrame | None" = None,
) -> Validation:
    """Run a suite against the rows of a version of its table.

    Two passes over the rows: the first asks each expectation only whether it holds, in one Spark job; only
    the failed ones are asked for the keys of failing rows, as each of those costs jobs of its own.

    Args:
        context: see `expectations.docs.context`; several threads may validate different suites with one.
        version: what the table's name stands for now, so that its id need not be checked again.
        days: the days to look at; None looks at all rows.
        by_day: `profile_by_day` of the same days, where the caller has it already.

    Raises:
        LakehouseError: the table lacks a column, or an expectation cannot be computed.
    """
    results: list[ExpectationValidationResult] = []
    counts: dict[date, int] = {}
    total = 0
    if suite.day is not None:
        frame = profile_by_day(spark, suite, version, days) if by_day is None else by_day
        total = int(frame["row_count"].sum())
        by_date = zip(frame["day"], frame["row_count"], strict=True)
        counts = {day: int(count) for day, count in by_date if isinstance(day, date)}
        if suite.daily is not None and total:
            named = frame.assign(day=frame["day"].astype(str))
            results += _run_on_profile(context, suite, "daily", suite.daily.expectations, named, ["day"])
    if suite.row_expectations and (total or suite.day is None):
        rows = checked_rows(spark, suite, version, days)
        results += _run_on_rows(context, suite, rows)
    if suite.whole is not None:
        with _fitting(suite):
            whole = spark.sql(_profile_sql(suite, suite.whole, version, None, "true")).toPandas()
        results += _run_on_profile(context, suite, "whole", suite.whole.expectations, whole, [])
        total = total if suite.day is not None else int(whole["row_count"].iloc[0])
    return Validation(total, len(results), counts, tuple(_failures(results)), tuple(results))


def _run_on_rows(
    context: "AbstractDataContext", suite: Suite, rows: DataFrame
) -> "list[ExpectationValidationResult]":
    with _DECLARING:
        # No spark_config, persist=False: GX takes the process's session as it is and caches nothing in it. A
        # source has one engine, which holds the batch: each suite has its own.
        source = context.data_sources.add_or_update_spark(f"spark {suite.name}", persist=False)
        asset = source.add_dataframe_asset(suite.name)
        batch = asset.add_batch_definition_whole_dataframe("rows").get_batch({"dataframe": rows})
    return _run(batch, suite, suite.row_expectations, [ROW_KEY])


def _run_on_profile(
    context: "AbstractDataContext",
    suite: Suite,
    name: str,
    expectations: Sequence[Expectation],
    frame: "pd.DataFrame",
    key: list[str],
) -> "list[ExpectationValidationResult]":
    with _DECLARING:
        source = context.data_sources.add_or_update_pandas(f"profile {suite.name} {name}")
        asset = source.add_dataframe_asset(f"{suite.name} {name}")
        batch = asset.add_batch_definition_whole_dataframe("profile").get_batch({"dataframe": frame})
    return _run(batch, suite, expectations, key)


def _run(batch: Any, suite: Suite, expectations: Sequence[Expectation], key: list[str]) -> "list[Any]":
    from great_expectations.core.expectation_suite import ExpectationSuite

    def run(chosen: Iterable[int], result_format: object) -> dict[int, Any]:
        declared = [
            {
                "type": expectations[index].type,
                "kwargs": dict(expectations[index].kwargs),
                "description": expectations[index].says,
                "meta": {"index": index},
            }
            for index in chosen
        ]
        if not declared:
            return {}
        outcome = batch.validate(
            ExpectationSuite(suite.name, expectations=declared), result_format=result_format
        )
        return {result.expectation_config.meta["index"]: result for result in outcome.results}

    results = run(range(len(expectations)), "BOOLEAN_ONLY")
    failed = [index for index, result in results.items() if not result.success]
    detailed = {
        "result_format": "SUMMARY",
        "partial_unexpected_count": SAMPLES,
        "return_unexpected_index_query": False,
        **({"unexpected_index_column_names": key} if key else {}),
    }
    results |= run(failed, detailed)
    for index, result in results.items():
        _require_computed(suite, expectations[index], result)
    return [results[index] for index in sorted(results)]


def _require_computed(suite: Suite, expectation: Expectation, result: Any) -> None:
    info = result.exception_info or {}
    raised = [info] if "raised_exception" in info else list(info.values())
    for each in raised:
        if each.get("raised_exception"):
            raise LakehouseError(
                f"{suite.table}: “{expectation.says}” could not be computed: {each.get('exception_message')}",
                f"look at {expectation.type} in the suite, and at the column's type",
            )


def _failures(results: Iterable[Any]) -> list[Failure]:
    return [_failure(result) for result in results if not result.success]


def _failure(result: Any) -> Failure:
    config, details = result.expectation_config, result.result or {}
    # Without index columns (a profile of one row) GX gives positions, which name nothing.
    named = [
        index for index in details.get("partial_unexpected_index_list") or () if isinstance(index, Mapping)
    ]
    samples = tuple(_sample(index) for index in named)
    observed = details.get("observed_value")
    if not samples:
        values = details.get("partial_unexpected_list") or []
        observed = observed if observed is not None else ", ".join(map(str, values[:3])) or None
    return Failure(
        expectation=str(config.description or config.type),
        unexpected=details.get("unexpected_count") if samples else None,
        observed=None if observed is None else str(observed),
        samples=samples,
    )


def _sample(index: Mapping[str, object]) -> dict[str, object]:
    """A failing row's key and the value that was looked at, from GX's index entry."""
    values = dict(index)
    key = values.pop(ROW_KEY, None)
    return {**(json.loads(str(key)) if key is not None else {}), **values}
