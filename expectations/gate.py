"""Gates: check the tables of a stage, release what passed, override by name, and stop what follows a failure.

A gate's state lies in `lakehouse.gate_results`. Each check writes that it has started, and then one row for
each table and day that it looked at and one for the check as a whole (day NULL); the latest row of a day
counts. A gate passes a version of a table: when its rows were looked at, and none of these results fails
without an override.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import NoReturn

from pyspark.sql import SparkSession

from expectations.check import GateOutcome, SuiteResult, days_settled, gate_rows, look, suite_result
from expectations.days import upstream_bounds
from expectations.ledger import ledger_row, ledger_version, let_through
from expectations.overrides import carried, with_hashes
from expectations.report import describe, override_commands
from expectations.suite import GATES, PUBLISHING, Gate, Suite
from expectations.suites import suites_of
from lakehouse.alerts import raise_alert, resolve
from lakehouse.delta import gate_results
from lakehouse.delta.changes import rows_changed
from lakehouse.delta.gate_results import GateRow, TableState
from lakehouse.delta.publications import publish
from lakehouse.delta.table import TableVersion, check_identity, current_version
from lakehouse.errors import LakehouseError

__all__ = [
    "GateOutcome",
    "SuiteResult",
    "as_gate",
    "check",
    "gate_of",
    "override",
    "release",
    "require_passed",
]

# Tables looked at side by side.
AT_ONCE = 4


def as_gate(name: str) -> Gate:
    """A gate by its name.

    Raises:
        LakehouseError: there is no such gate.
    """
    for gate in GATES:
        if gate == name:
            return gate
    raise LakehouseError(f"there is no gate {name!r}", f"the gates are {', '.join(GATES)}")


def gate_of(table: str) -> Gate:
    """The gate that checks a table.

    Raises:
        LakehouseError: none does.
    """
    for gate in GATES:
        if table in {suite.table for suite in suites_of(gate)}:
            return gate
    raise LakehouseError(f"no gate checks {table}", "`lakehouse check` names the tables of each gate")


def check(
    spark: SparkSession,
    gate: Gate,
    days: Sequence[date] | None = None,
    run_id: str = "by hand",
    tables: Collection[str] | None = None,
) -> GateOutcome:
    """Validate the newest versions of a gate's tables, and write down the result.

    A check looks at the days asked for, at all days whose rows came, changed or went since the table's last
    check, and at those that upstream says must have rows. That it started is written down first: a check that
    dies is red. All results of a check are one commit.

    Args:
        days: None looks at every row.
        tables: only these tables of the gate; all by default.

    Raises:
        LakehouseError: a table is missing, or a suite does not fit its table.
    """
    from expectations import docs

    suites = _suites(gate, tables)
    # The ledger first: every delivery that it has then lies in the versions that are looked at.
    is_whole = len(suites) == len(suites_of(gate))
    ledger = ledger_version(spark) if gate == "bronze" and is_whole else None
    versions = {suite.table: current_version(spark, suite.table) for suite in suites}
    for version in versions.values():
        check_identity(spark, version)
    before = gate_results.states(spark, versions)
    gate_results.append(spark, [_started(suite, versions[suite.table], run_id) for suite in suites])
    bounds = upstream_bounds(spark, [(suite, versions[suite.table]) for suite in suites])
    context = docs.context()
    # Small statements that mostly wait for each other's planning: side by side they take half the time.
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="gate") as pool:
        waiting = [
            pool.submit(
                look,
                context,
                spark,
                suite,
                versions[suite.table],
                before.get(suite.table),
                days,
                bounds.get(suite.table, {}),
            )
            for suite in suites
        ]
        checked = [each.result() for each in waiting]
    urls = docs.write_pages(
        context, [docs.Page(each.suite, each.version, each.found) for each in checked], run_id
    )
    # An override may have been given meanwhile.
    now = gate_results.states(spark, versions)
    rows: list[GateRow] = []
    results: list[SuiteResult] = []
    for each, url in zip(checked, urls, strict=True):
        state = before.get(each.suite.table)
        settled = days_settled(each, state)
        known = {**(state.days if state is not None else {}), **_days(now[each.suite.table])}
        of_table = carried(spark, each.suite, known, gate_rows(each, settled, run_id, url))
        rows += of_table
        results.append(suite_result(each, settled, url, holds=all(row.holds for row in of_table)))
    if ledger is not None:
        rows.append(ledger_row(ledger, run_id, passed=all(row.holds for row in rows)))
    gate_results.append(spark, rows)
    after = gate_results.states(spark, versions)
    for result in results:
        _alert(result, holds=after[result.table.name].passed)
    return GateOutcome(gate, all(result.passed for result in results), tuple(results))


def _alert(result: SuiteResult, *, holds: bool) -> None:
    """Tell people of a table that stops what follows, or that it no longer does.

    Args:
        holds: whether the gate lets the table pass: this check may have looked at other days than a red one.
    """
    if holds:
        resolve("failed gate", result.table.name)
    elif not result.passed:
        from lakehouse.addresses import address, data_docs

        what = f"{result.table}: {'; '.join(map(str, result.failures))}"
        raise_alert("failed gate", result.table.name, what, address(data_docs(result.docs_url)))


def _suites(gate: Gate, tables: Collection[str] | None) -> list[Suite]:
    suites = suites_of(gate)
    unknown = sorted(set(tables or ()) - {suite.table for suite in suites})
    if unknown:
        raise LakehouseError(
            f"gate {gate} does not check {', '.join(unknown)}",
            f"it checks {', '.join(suite.table for suite in suites)}",
        )
    return [suite for suite in suites if tables is None or suite.table in tables]


def _days(state: TableState) -> dict[date | None, GateRow]:
    """The latest result of each day, without the check as a whole that has just started."""
    return {day: row for day, row in state.days.items() if day is not None or row.status == "checked"}


def _started(suite: Suite, version: TableVersion, run_id: str) -> GateRow:
    return GateRow(
        table=version,
        day=None,
        suite=suite.name,
        passed=False,
        failed_expectations=0,
        failing_rows=None,
        run_id=run_id,
        docs_url=None,
        status="started",
    )


def release(spark: SparkSession, gate: Gate, run_id: str = "by hand") -> list[TableVersion]:
    """Publish the last checked version of each table of a gate, all in one commit.

    Raises:
        LakehouseError: the gate publishes nothing, a table was never checked, or its last check failed or did
            not end and nobody overrode it.
    """
    if gate not in PUBLISHING:
        raise LakehouseError(
            f"gate {gate} publishes nothing: a build reads its tables at the version that passed",
            f"`lakehouse release` knows {' and '.join(PUBLISHING)}",
        )
    states = _require_states(spark, gate, None)
    _require_held(gate, states)
    versions = [state.last.table for state in states.values() if state.last is not None]
    publish(spark, versions, gate, run_id)
    return versions


def require_passed(
    spark: SparkSession,
    gate: Gate,
    tables: Collection[str] | None = None,
    reads: Iterable[TableVersion] | None = None,
) -> dict[str, TableState]:
    """Stop here unless the tables of a gate, as they are now, were checked and passed, or were overridden.

    Args:
        tables: only these tables of the gate, so that a red one stops only what reads it; all by default.
        reads: the versions that are going to be read: then these must have passed, whatever was checked, or
            came, since.

    Args:
        tables: only these of the gate's tables.

    Returns:
        where each table stands, by name.

    Raises:
        LakehouseError: a table was never checked, its check failed, died or has not ended, or it has rows
            that no check looked at. It names table, expectation, how many rows, which ones, and their page in
            Data Docs.
    """
    if reads is not None:
        versions = {version.name: version for version in reads}
        states = _require_states(spark, gate, versions)
        for name, version in versions.items():
            _require_read(spark, gate, version, states[name])
        return states
    states = _require_states(spark, gate, tables)
    _require_held(gate, states)
    newer = [
        f"{name} was checked at version {state.last.table.version}, and no check looked at what version "
        f"{now.version} has"
        for name, state in states.items()
        if state.last is not None
        and (now := current_version(spark, name)) != state.last.table
        and rows_changed(spark, state.last.table, now)
    ]
    if newer:
        raise LakehouseError(f"gate {gate}: {'; '.join(newer)}", f"run `lakehouse check {gate}`")
    return states


def _require_states(spark: SparkSession, gate: Gate, tables: Collection[str] | None) -> dict[str, TableState]:
    names = [suite.table for suite in _suites(gate, tables)]
    states = gate_results.states(spark, names)
    unchecked = [name for name in names if name not in states]
    if unchecked:
        raise LakehouseError(
            f"gate {gate}: {', '.join(unchecked)} was never checked", f"run `lakehouse check {gate}` first"
        )
    return {name: states[name] for name in names}


def _require_held(gate: Gate, states: Mapping[str, TableState]) -> None:
    stopped = {table: state for table, state in states.items() if not state.passed}
    if not stopped:
        return
    lines = [describe(table, state) for table, state in stopped.items()]
    commands = override_commands(stopped.items())
    by_name = f", or let it through by name: {'; '.join(commands)}" if commands else ""
    raise LakehouseError(
        f"gate {gate} failed:\n" + "\n".join(lines),
        f"correct the data and run `lakehouse check {gate}`{by_name}",
    )


def _require_read(spark: SparkSession, gate: Gate, version: TableVersion, state: TableState) -> None:
    """Stop unless a version passed, or has the rows of one that did."""
    earlier = [
        passed
        for passed in state.passed_versions
        if passed.table_id == version.table_id and passed.version <= version.version
    ]
    if earlier and (earlier[-1] == version or not rows_changed(spark, earlier[-1], version)):
        return
    passed = state.passed_versions[-1] if state.passed_versions else "none"
    said = f"\n{describe(version.name, state)}" if state.stopping else ""
    raise LakehouseError(
        f"gate {gate} did not pass {version}, which is going to be read (it passed: {passed}){said}",
        f"run `lakehouse check {gate}`, or read a version that passed",
    )


def override(spark: SparkSession, table: str, version: int, by: str, reason: str) -> TableVersion:
    """Let a version through although its check failed; who did so and why is written down.

    It lets through the days and expectations that this version's check showed, and stays in force until the
    rows of these days are others.

    Args:
        version: the version whose check is overridden, so that nobody overrides what they have not seen.

    Raises:
        LakehouseError: name or reason is missing, or this version has no failed check.
    """
    if not by.strip() or not reason.strip():
        raise LakehouseError("an override needs a name and a reason", "give --by NAME and --reason WHY")
    state = gate_results.states(spark, [table]).get(table)
    if state is None:
        raise LakehouseError(f"{table} was never checked", "run `lakehouse check` of its gate first")
    failed = [row for row in state.stopping if row.status == "checked" and row.table.version == version]
    if not failed:
        _refuse_override(table, version, state)
    gate = gate_of(table)
    suites = {suite.table: suite for suite in suites_of(gate)}
    rows = gate_results.overridden(with_hashes(spark, suites[table], failed), by.strip(), reason.strip())
    if gate == "bronze":
        rows += let_through(spark, suites, table, rows)
    gate_results.append(spark, rows)
    if gate_results.states(spark, [table])[table].passed:
        resolve("failed gate", table)
    return failed[0].table


def _refuse_override(table: str, version: int, state: TableState) -> NoReturn:
    versions = sorted({row.table.version for row in state.stopping if row.status == "checked"})
    if versions:
        raise LakehouseError(
            f"{table} version {version} has no failed check that stops anything",
            f"version {', '.join(map(str, versions))} has: look at its page in Data Docs first",
        )
    if state.unfinished is not None:
        raise LakehouseError(
            f"the check of {state.unfinished.table} has not ended: it shows nothing yet",
            "run `lakehouse check` of its gate again",
        )
    raise LakehouseError(f"{table} version {version} has passed: there is nothing to override")
