"""The suites, one module a gate: what is expected of each table of this project's data."""

import importlib

from expectations.suite import Gate, Suite


def suites_of(gate: Gate) -> tuple[Suite, ...]:
    """The suites of a gate, one a table, in the order in which they are checked."""
    # The module of a gate has its name, so that a new gate is one more file here and one more name in `Gate`.
    return importlib.import_module(f"expectations.suites.{gate}").suites()
