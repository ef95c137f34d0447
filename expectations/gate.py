"""Gates: check the tables of a stage, release what passed, override by name, and stop what follows a failure.

A gate's state lies in `lakehouse.gate_results`. Each check writes one row for each table and day that it
looked at and one for the check as a whole (day NULL); the latest row of a day counts. A gate has passed when
none of these rows fails without an override.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from expectations.quarantine import Quarantined, quarantine
from expectations.suite import GATES, DayOf, Gate, Suite
from expectations.suites import suites_of
from expectations.validate import Failure, Validation, profile_by_day, validate
from lakehouse.delta import gate_results
from lakehouse.delta.gate_results import GateRow, TableState
from lakehouse.delta.publications import publish
from lakehouse.delta.table import TableVersion, current_version, file_names
from lakehouse.errors import LakehouseError

if TYPE_CHECKING:
    from great_expectations.data_context.data_context.abstract_data_context import AbstractDataContext

# Tables looked at side by side.
AT_ONCE = 4


@dataclass(frozen=True)
class SuiteResult:
    """What a check found in one table.

    Args:
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
class _Checked:
    suite: Suite
    version: TableVersion
    wanted: Sequence[date] | None
    divided: Quarantined | None
    found: Validation


def as_gate(name: str) -> Gate:
    """A gate by its name.

    Raises:
        LakehouseError: there is no such gate.
    """
    for gate in GATES:
        if gate == name:
            return gate
    raise LakehouseError(f"there is no gate {name!r}", f"the gates are {', '.join(GATES)}")


def check(
    spark: SparkSession, gate: Gate, days: Sequence[date] | None = None, run_id: str = "by hand"
) -> GateOutcome:
    """Validate the newest versions of a gate's tables, and write down the result.

    A check looks at the days asked for and at all days whose rows changed since the table's last check, so
    that what a release publishes was looked at. All results of a check are one commit.

    Args:
        days: None looks at every row.

    Raises:
        LakehouseError: a table is missing, or a suite does not fit its table.
    """
    from expectations import docs

    context = docs.context()
    suites = suites_of(gate)
    before = gate_results.states(spark, [suite.table for suite in suites])
    # Small statements that mostly wait for each other's planning: side by side they take half the time.
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="gate") as pool:
        waiting = [
            pool.submit(_look, context, spark, suite, before.get(suite.table), days) for suite in suites
        ]
        checked = [each.result() for each in waiting]
    urls = docs.write_pages(
        context, [docs.Page(each.suite, each.version, each.found) for each in checked], run_id
    )
    rows: list[GateRow] = []
    results: list[SuiteResult] = []
    for each, url in zip(checked, urls, strict=True):
        settled = _days_settled(each, before.get(each.suite.table))
        rows += _rows(each, settled, run_id, url)
        results.append(_result(each, settled, url))
    gate_results.append(spark, rows)
    return GateOutcome(gate, all(result.passed for result in results), tuple(results))


def _look(
    context: "AbstractDataContext",
    spark: SparkSession,
    suite: Suite,
    state: TableState | None,
    days: Sequence[date] | None,
) -> _Checked:
    version = current_version(spark, suite.table)
    wanted = _days_to_check(spark, suite, version, state, days)
    by_day = profile_by_day(spark, suite, version, wanted) if suite.day is not None else None
    divided = None
    if suite.quarantines and by_day is not None:
        rows_in, accepted = int(by_day["row_count"].sum()), int(by_day["accepted_rows"].sum())
        divided = quarantine(spark, suite, version, wanted, rows_in, accepted)
    found = validate(context, spark, suite, version, wanted, by_day)
    return _Checked(suite, version, wanted, divided, found)


def release(spark: SparkSession, gate: Gate, run_id: str = "by hand") -> list[TableVersion]:
    """Publish the last checked version of each table of a gate, all in one commit.

    Raises:
        LakehouseError: a table was never checked, or its last check failed and nobody overrode it.
    """
    states = require_passed(spark, gate)
    versions = [_checked(state).table for state in states.values()]
    publish(spark, versions, gate, run_id)
    return versions


def require_passed(
    spark: SparkSession, gate: Gate, tables: Collection[str] | None = None
) -> dict[str, TableState]:
    """Stop here unless every table of the gate was checked and passed, or was overridden by name.

    Args:
        tables: only these of the gate's tables.

    Returns:
        where each table stands, by name.

    Raises:
        LakehouseError: naming table, expectation, how many rows, which ones, and their page in Data Docs.
    """
    wanted = [suite.table for suite in suites_of(gate) if tables is None or suite.table in tables]
    states = gate_results.states(spark, wanted)
    unchecked = [table for table in wanted if table not in states]
    if unchecked:
        raise LakehouseError(
            f"gate {gate}: {', '.join(unchecked)} was never checked", f"run `lakehouse check {gate}` first"
        )
    stopped = {table: state for table, state in states.items() if not state.passed}
    if stopped:
        lines = [_describe(table, state) for table, state in stopped.items()]
        first = _checked(next(iter(stopped.values()))).table
        raise LakehouseError(
            f"gate {gate} failed:\n" + "\n".join(lines),
            f"correct the data and run `lakehouse check {gate}`, or let it through by name: "
            f"`lakehouse override {first.name} --version {first.version} --by NAME --reason WHY`",
        )
    return states


def override(spark: SparkSession, table: str, version: int, by: str, reason: str) -> TableVersion:
    """Let a table through although its check failed; who did so and why is written down.

    It holds for the days that fail now, until they are checked again.

    Args:
        version: the version that was checked last, so that nobody overrides what they have not seen.

    Raises:
        LakehouseError: name or reason is missing, or this version has no failed check.
    """
    if not by.strip() or not reason.strip():
        raise LakehouseError("an override needs a name and a reason", "give --by NAME and --reason WHY")
    state = gate_results.states(spark, [table]).get(table)
    if state is None:
        raise LakehouseError(f"{table} was never checked", "run `lakehouse check` of its gate first")
    last = _checked(state).table
    if last.version != version:
        raise LakehouseError(
            f"{table} was last checked at version {last.version}, not {version}",
            "look at that check's page in Data Docs before you override it",
        )
    if state.passed:
        raise LakehouseError(f"{table} version {version} has passed: there is nothing to override")
    gate_results.append(spark, gate_results.overridden(state.stopping, by.strip(), reason.strip()))
    return last


def _checked(state: TableState) -> GateRow:
    if state.last is None:
        raise LakehouseError("no check of the table has ended", "run `lakehouse check` of its gate")
    return state.last


def _days_to_check(
    spark: SparkSession,
    suite: Suite,
    version: TableVersion,
    state: TableState | None,
    days: Sequence[date] | None,
) -> list[date] | None:
    """The days asked for, and those whose files changed since the last check; None for all."""
    if days is None or suite.day is None or state is None or state.last is None:
        return None
    if state.last.table.table_id != version.table_id:
        return None
    changed = _changed_days(spark, suite.day, state.last.table, version)
    return None if changed is None else sorted({*days, *changed})


def _changed_days(spark: SparkSession, day: DayOf, last: TableVersion, now: TableVersion) -> set[date] | None:
    """The days of rows in files that came between two versions; None where they can't be told.

    That is where the older version is beyond the log's retention, or a row falls on no day.
    """
    if last.version == now.version:
        return set()
    try:
        known = file_names(spark, last)
    except LookupError:
        return None
    added = sorted(file_names(spark, now) - known)
    if not added:
        return set()
    names = ", ".join(f"'{name}'" for name in added)
    rows = spark.sql(
        f"select distinct {day.sql} as day from {now.name} version as of {now.version} "
        f"where _metadata.file_name in ({names})"
    ).collect()
    days = {row["day"] for row in rows}
    return None if None in days else days


def _days_settled(checked: _Checked, state: TableState | None) -> list[date]:
    """The days whose result this check settles; a look at every row settles days that have gone, too."""
    if checked.suite.day is None:
        return []
    if checked.wanted is not None:
        return sorted(checked.wanted)
    failing = [row.day for row in state.stopping if row.day is not None] if state is not None else []
    return sorted({*checked.found.days, *failing})


def _rows(checked: _Checked, days: Iterable[date], run_id: str, docs_url: str) -> list[GateRow]:
    failures = checked.found.failures
    described = json.dumps([_as_json(failure) for failure in failures], default=str) if failures else None
    return [
        GateRow(
            table=checked.version,
            day=day,
            suite=checked.suite.name,
            passed=not failures,
            failed_expectations=len(failures),
            failing_rows=described,
            run_id=run_id,
            docs_url=docs_url,
        )
        for day in (None, *days)
    ]


def _result(checked: _Checked, days: Iterable[date], docs_url: str) -> SuiteResult:
    return SuiteResult(
        table=checked.version,
        suite=checked.suite.name,
        passed=not checked.found.failures,
        days=tuple(days),
        rows=checked.found.rows,
        expectations=checked.found.evaluated,
        failures=checked.found.failures,
        quarantined=checked.divided,
        docs_url=docs_url,
    )


def _as_json(failure: Failure) -> Mapping[str, object]:
    return {
        "expectation": failure.expectation,
        "unexpected": failure.unexpected,
        "observed": failure.observed,
        "samples": [dict(sample) for sample in failure.samples],
    }


def _describe(table: str, state: TableState) -> str:
    days = [row.day for row in state.stopping if row.day is not None]
    on = f" on {_day_span(days)}" if days else ""
    told = state.stopping[-1]
    failures = [
        Failure(each["expectation"], each["unexpected"], each["observed"], tuple(each["samples"]))
        for each in json.loads(told.failing_rows or "[]")
    ]
    lines = [f"  {table} version {told.table.version}{on}"]
    lines += [f"    {failure}" for failure in failures]
    return "\n".join([*lines, f"    {told.docs_url}"])


def _day_span(days: Sequence[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{len(days)} days, {min(days)} to {max(days)}"
