"""Run a suite with Great Expectations against a version of a table, on our Spark Connect session."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.counts import counted, is_countable, of_counts, without_counts
from expectations.days import DaysToCheck
from expectations.failures import (
    ROW_KEY,
    Failure,
    daily_failure,
    failed_results,
    failure_of,
    row_failures,
)
from expectations.fitting import fitting
from expectations.profile import profile_by_day, profile_sql, rows_of, to_pandas, with_due_days
from expectations.suite import NOT_NULL, Expectation, Profile, Suite
from lakehouse.delta.table import TableVersion
from lakehouse.engine.query import query
from lakehouse.errors import LakehouseError

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.data_context.data_context.abstract_data_context import AbstractDataContext

SAMPLES = 10

# Great Expectations validates in several threads, but declares in one: its context is one dictionary.
_DECLARING = threading.Lock()


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
    where = rows_of(suite, days)
    if suite.quarantines:
        where += f" and {suite.accepted}"
    rules = [
        f"coalesce({sql}, false) as {name}" for name, sql in suite.rules.items() if not suite.quarantines
    ]
    key = f"to_json(struct({', '.join(suite.key)}), map('ignoreNullFields', 'false')) as {ROW_KEY}"
    columns = ", ".join(["*", *rules, key])
    frame = spark.sql(f"select {columns} from {version.name} version as of {version.version} where {where}")
    with fitting(suite.table):
        schema = frame.schema  # Spark Connect looks at the columns only now
    asked = {str(each.kwargs["column"]) for each in suite.rows if each.type == NOT_NULL}
    numbers = {field.name for field in schema.fields if field.dataType.simpleString() in ("double", "float")}
    # To Spark, NaN is a value.
    for column in sorted((asked & numbers) - set(suite.nan_allowed)):
        frame = frame.withColumn(column, F.when(~F.isnan(column), F.col(column)))
    return frame


def validate(
    context: "AbstractDataContext",
    spark: SparkSession,
    suite: Suite,
    version: TableVersion,
    asked: DaysToCheck | None = None,
    by_day: "pd.DataFrame | None" = None,
) -> Validation:
    """Run a suite against the rows of a version of its table.

    One statement counts, by day, the rows and those that break an expectation; Great Expectations judges the
    counts. Only where rows break one it is run on the rows, for their keys, which costs jobs of its own.

    Args:
        context: see `expectations.docs.context`; several threads may validate different suites with one.
        version: what the table's name stands for now, so that its id need not be checked again.
        asked: the days to look at; None looks at all rows.
        by_day: `profile_by_day` of the same days, where the caller has it already.

    Raises:
        LakehouseError: the table lacks a column, or an expectation cannot be computed.
    """
    asked = asked or DaysToCheck(None)
    failures: list[Failure] = []
    results: list[ExpectationValidationResult] = []
    counts: dict[date, int] = {}
    total = 0
    found: pd.DataFrame | None = None
    if suite.day is not None:
        found = profile_by_day(spark, suite, version, asked.wanted) if by_day is None else by_day
        frame = with_due_days(suite, without_counts(suite, found), asked)
        total = int(frame["row_count"].sum())
        by_date = zip(frame["day"], frame["row_count"], strict=True)
        counts = {day: int(count) for day, count in by_date if isinstance(day, date)}
        if suite.daily_expectations and len(frame):
            named = frame.assign(day=frame["day"].astype(str))
            daily = _run_on_profile(context, suite, "daily", suite.daily_expectations, named, ["day"])
            failures += map(daily_failure, failed_results(daily))
            results += daily
    if suite.row_expectations and (total or suite.day is None):
        by_row, named = _rows(context, spark, suite, version, asked, found)
        failures += named
        results += by_row
    if suite.whole is not None:
        with fitting(suite.table):
            sql = profile_sql(suite, suite.whole, version, None, rows_of(suite, None))
            whole = to_pandas(query(spark, sql))
        of_whole = _run_on_profile(context, suite, "whole", suite.whole.expectations, whole, [])
        failures += [replace(failure_of(result), days=()) for result in failed_results(of_whole)]
        results += of_whole
        total = total if suite.day is not None else int(whole["row_count"].iloc[0])
    return Validation(total, len(results), counts, tuple(failures), tuple(results))


def _rows(
    context: "AbstractDataContext",
    spark: SparkSession,
    suite: Suite,
    version: TableVersion,
    asked: DaysToCheck,
    profile: "pd.DataFrame | None",
) -> "tuple[list[ExpectationValidationResult], list[Failure]]":
    """The results of the row expectations: by their counts, and by the rows where a count is not zero."""
    expectations = suite.row_expectations
    if not is_countable(suite):
        rows = checked_rows(spark, suite, version, asked.wanted)
        results = _run_on_rows(context, suite, expectations, rows)
        return results, row_failures(suite, version, expectations, rows, results)
    if profile is None:
        sql = profile_sql(suite, Profile(), version, None, rows_of(suite, asked.wanted), counts=True)
        with fitting(suite.table):
            profile = to_pandas(query(spark, sql))
    by_count = _run_on_profile(context, suite, "rows", of_counts(expectations), counted(suite, profile), [])
    broken = [position for position, result in enumerate(by_count) if not result.success]
    for position, result in enumerate(by_count):
        # Data Docs show what was expected of the rows, not of their counts.
        result.expectation_config = _declared(expectations[position])
    if not broken:
        return by_count, []
    rows = checked_rows(spark, suite, version, asked.wanted)
    chosen = [expectations[position] for position in broken]
    in_detail = _run_on_rows(context, suite, chosen, rows)
    for each, result in zip(chosen, in_detail, strict=True):
        if result.success:
            raise LakehouseError(
                f"{suite.table}: rows break “{each.says}”, and Great Expectations finds none",
                "check again, as a delivery may have been superseded meanwhile; if it says the same, compare "
                "the expectation's `broken` in its suite with what it checks",
            )
    failures = row_failures(suite, version, chosen, rows, in_detail)
    named = dict(zip(broken, in_detail, strict=True))
    return [named.get(position, result) for position, result in enumerate(by_count)], failures


def _declared(expectation: Expectation) -> Any:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    return ExpectationConfiguration(
        type=expectation.type, kwargs=dict(expectation.kwargs), description=expectation.says
    )


def _run_on_rows(
    context: "AbstractDataContext", suite: Suite, expectations: Sequence[Expectation], rows: DataFrame
) -> "list[ExpectationValidationResult]":
    with _DECLARING:
        # No spark_config, persist=False: GX takes the process's session as it is and caches nothing in it. A
        # source has one engine, which holds the batch: each suite has its own.
        source = context.data_sources.add_or_update_spark(f"spark {suite.name}", persist=False)
        asset = source.add_dataframe_asset(suite.name)
        batch = asset.add_batch_definition_whole_dataframe("rows").get_batch({"dataframe": rows})
    return _run(batch, suite, expectations, [ROW_KEY])


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
        # Of a profile, all days that fail are named; of rows, some.
        "result_format": "COMPLETE" if key == ["day"] else "SUMMARY",
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
