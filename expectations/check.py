"""A check of one table: what it looks at, what it finds, and the rows of the gate's state that say so."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from expectations.days import Bounds, DaysToCheck, days_to_check
from expectations.failures import Failure
from expectations.profile import SHARE, profile_by_day
from expectations.quarantine import Quarantined, broken_rows, quarantine
from expectations.report import as_json
from expectations.suite import Gate, Suite
from expectations.validate import Validation, validate
from lakehouse.delta.gate_results import GateRow, TableState
from lakehouse.delta.table import TableVersion

if TYPE_CHECKING:
    from great_expectations.data_context.data_context.abstract_data_context import AbstractDataContext


@dataclass(frozen=True)
class SuiteResult:
    """What a check found in one table.

    Args:
        passed: whether nothing failed, or all that did is overridden.
        days: the days looked at; empty for a table that is checked as a whole.
        rows: how many rows were looked at; of bronze, the accepted ones.
        quarantined: how bronze's rows were divided; None for other tables.
        docs_url: the page in Data Docs.
    """

    table: TableVersion
    suite: str
    passed: bool
    days: tuple[date, ...]
    rows: int
    expectations: int
    failures: tuple[Failure, ...]
    quarantined: Quarantined | None
    docs_url: str


@dataclass(frozen=True)
class GateOutcome:
    """What a check found in all tables of a gate."""

    gate: Gate
    passed: bool
    results: tuple[SuiteResult, ...]


@dataclass(frozen=True)
class Checked:
    suite: Suite
    version: TableVersion
    asked: DaysToCheck
    divided: Quarantined | None
    found: Validation


def look(
    context: "AbstractDataContext",
    spark: SparkSession,
    suite: Suite,
    version: TableVersion,
    state: TableState | None,
    days: Sequence[date] | None,
    bounds: Mapping[date, Bounds],
) -> Checked:
    asked = days_to_check(spark, suite, version, state, days, bounds)
    by_day = profile_by_day(spark, suite, version, asked.wanted) if suite.day is not None else None
    divided = None
    if suite.quarantines and by_day is not None:
        rows_in, accepted = int(by_day["row_count"].sum()), int(by_day["accepted_rows"].sum())
        divided = quarantine(spark, suite, version, asked.wanted, rows_in, accepted)
    found = validate(context, spark, suite, version, asked, by_day)
    if divided is not None:
        failures = tuple(_with_broken_rules(spark, suite, failure) for failure in found.failures)
        found = replace(found, failures=failures)
    return Checked(suite, version, asked, divided, found)


def _with_broken_rules(spark: SparkSession, suite: Suite, failure: Failure) -> Failure:
    """A failed share of quarantined rows, with the rules that they break and where they lie."""
    if not failure.expectation.startswith(SHARE) or not failure.days:
        return failure
    causes, see = broken_rows(spark, suite, failure.days)
    return replace(failure, causes=causes, see=see)


def days_settled(checked: Checked, state: TableState | None) -> list[date]:
    """The days whose result this check settles; a look at every row settles days that have gone, too."""
    if checked.suite.day is None:
        return []
    if checked.asked.wanted is not None:
        return sorted(checked.asked.wanted)
    failing = [row.day for row in state.stopping if row.day is not None] if state is not None else []
    return sorted({*checked.found.days, *failing})


def gate_rows(checked: Checked, days: Iterable[date], run_id: str, docs_url: str) -> list[GateRow]:
    return [_row(checked, day, run_id, docs_url) for day in (None, *days)]


def _row(checked: Checked, day: date | None, run_id: str, docs_url: str) -> GateRow:
    """The result of a day, or of all that was looked at."""
    failures = [failure for failure in checked.found.failures if day is None or failure.is_on(day)]
    described = [as_json(failure) for failure in failures]
    return GateRow(
        table=checked.version,
        day=day,
        suite=checked.suite.name,
        passed=not failures,
        failed_expectations=len(failures),
        failing_rows=json.dumps(described, default=str) if described else None,
        run_id=run_id,
        docs_url=docs_url,
        row_count=checked.found.rows if day is None else checked.found.days.get(day, 0),
    )


def suite_result(checked: Checked, days: Iterable[date], docs_url: str, *, holds: bool) -> SuiteResult:
    return SuiteResult(
        table=checked.version,
        suite=checked.suite.name,
        passed=holds,
        days=tuple(days),
        rows=checked.found.rows,
        expectations=checked.found.evaluated,
        failures=checked.found.failures,
        quarantined=checked.divided,
        docs_url=docs_url,
    )
