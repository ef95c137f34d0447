"""dbt's tests that a gate makes, too: the graph leaves them to it, as it looks at the same rows next."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from expectations.suite import GATES, Suite
from expectations.suites import suites_of
from lakehouse.dbt.manifest import times_of_rows


def left_to_gates(manifest: Mapping[str, Any]) -> list[str]:
    """The names of the data tests whose claim stands in the suite of the table that they test, in order."""
    suites = {suite.table: suite for gate in GATES for suite in suites_of(gate)}
    nodes: Mapping[str, Mapping[str, Any]] = manifest["nodes"]
    # dbt leaves out by name: one that two tests share stays.
    named = Counter(str(node["name"]) for node in nodes.values())
    found: list[str] = []
    for node in nodes.values():
        tested = nodes.get(str(node.get("attached_node")))
        if node["resource_type"] != "test" or tested is None:
            continue
        suite = suites.get(f"{tested['schema']}.{tested['alias']}")
        if suite is not None and named[str(node["name"])] == 1 and says(suite, node, times_of_rows(tested)):
            found.append(str(node["name"]))
    return sorted(found)


def says(suite: Suite, test: Mapping[str, Any], times: Sequence[str] = ()) -> bool:
    """Whether a suite claims of each row what a generic test of dbt does.

    Args:
        test: its node in the manifest.
        times: what its `known_by` looks at where it names none.
    """
    generic: Mapping[str, Any] = test.get("test_metadata") or {}
    arguments: Mapping[str, Any] = generic.get("kwargs", {})
    config: Mapping[str, Any] = test["config"]
    # Its rules set rows aside, and its expectations are about the others.
    if suite.quarantines:
        return False
    # One that looks at some rows, or only warns, says something else.
    if config.get("where") not in (None, "built_days") or config["severity"].lower() != "error":
        return False
    match generic.get("name"):
        case "unique":
            return _is_unique(suite, [arguments["column_name"]])
        case "unique_combination":
            return _is_unique(suite, arguments["columns"])
        case "known_by":
            asked_at = arguments["column_name"]
            claims = set(suite.rules.values())
            told = arguments.get("times") or times
            return bool(told) and all(f"{time} is null or {time} <= {asked_at}" in claims for time in told)
        case _:
            return False


def _is_unique(suite: Suite, columns: list[str]) -> bool:
    return any(set(each.partition) == set(columns) for each in suite.row_expectations)
