"""The suites: what is expected of each table, made from the YAML of its source or its dbt model."""

from expectations.suite import Gate, Suite


def suites_of(gate: Gate) -> tuple[Suite, ...]:
    """The suites of a gate, one a table, in the order in which they are checked."""
    # dbt's manifest is parsed only where it is asked for.
    if gate == "bronze":
        from expectations.suites import bronze

        return bronze.suites()
    from expectations.suites import models

    return models.suites(gate)
