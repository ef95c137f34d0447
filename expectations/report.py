"""What a gate says when it stops: which tables, versions and days, which expectations, which rows."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any

from expectations.failures import Failure
from lakehouse.delta.gate_results import GateRow, TableState


def as_json(failure: Failure) -> Mapping[str, object]:
    """A failure as the gate's state keeps it."""
    return {
        "expectation": failure.expectation,
        "unexpected": failure.unexpected,
        "observed": failure.observed,
        "samples": [dict(sample) for sample in failure.samples],
        "days": None if failure.days is None else [str(day) for day in failure.days],
        "unit": failure.unit,
        "causes": list(failure.causes),
        "see": failure.see,
    }


def failures_of(row: GateRow) -> list[Failure]:
    """The failures that a result keeps."""
    return [_failure(each) for each in json.loads(row.failing_rows or "[]")]


def describe(table: str, state: TableState) -> str:
    """All that stops a table: for each version checked, the failed expectations with their days and rows."""
    lines: list[str] = []
    for _, of_version in groupby(state.stopping, key=lambda row: row.table.version):
        rows = list(of_version)
        lines += _describe_version(table, rows)
    return "\n".join(lines)


def _describe_version(table: str, rows: Sequence[GateRow]) -> list[str]:
    version = rows[0].table.version
    if any(row.status == "started" for row in rows):
        unfinished = next(row for row in rows if row.status == "started")
        lines = [f"  {table} version {version}: its check has not ended, or died (run: {unfinished.run_id})"]
        rows = [row for row in rows if row.status != "started"]
        return lines + (_describe_version(table, rows) if rows else [])
    days: dict[str, set[date]] = {}
    told: dict[str, Failure] = {}
    for row in rows:
        for failure in failures_of(row):
            told.setdefault(failure.expectation, failure)
            if row.day is not None:
                days.setdefault(failure.expectation, set()).add(row.day)
    stopped = {row.day for row in rows if row.day is not None}
    lines = [f"  {table} version {version}{f' on {day_span(stopped)}' if stopped else ''}"]
    for expectation, failure in told.items():
        on = days.get(expectation, set())
        is_all = on == stopped or not on
        told_lines = str(failure).splitlines()
        lines += [f"    {told_lines[0]}", *([] if is_all else [f"      on {day_span(on)}"])]
        lines += [f"    {line}" for line in told_lines[1:]]
    pages = dict.fromkeys(row.docs_url for row in rows if row.docs_url)
    return lines + [f"    {page}" for page in pages]


def override_commands(states: Iterable[tuple[str, TableState]]) -> list[str]:
    """The commands that let through what is described, by version."""
    found = dict.fromkeys(
        (table, row.table.version)
        for table, state in states
        for row in state.stopping
        if row.status == "checked"
    )
    return [
        f"`lakehouse override {table} --version {version} --by NAME --reason WHY`" for table, version in found
    ]


def day_span(days: Iterable[date]) -> str:
    """Days in words: one, or how many between which.

    >>> day_span([date(2013, 1, 3)]), day_span([date(2013, 1, 3), date(2013, 1, 1)])
    ('2013-01-03', '2 days, 2013-01-01 to 2013-01-03')
    """
    found = sorted(days)
    return str(found[0]) if len(found) == 1 else f"{len(found)} days, {found[0]} to {found[-1]}"


def _failure(each: Mapping[str, Any]) -> Failure:
    days = each.get("days")
    return Failure(
        expectation=each["expectation"],
        unexpected=each["unexpected"],
        observed=each["observed"],
        samples=tuple(each["samples"]),
        days=None if days is None else tuple(date.fromisoformat(day) for day in days),
        unit=each.get("unit", "row"),
        causes=tuple(each.get("causes", ())),
        see=each.get("see"),
    )
