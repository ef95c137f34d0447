"""How many rows break each row expectation, counted by the statement that makes the profile.

Great Expectations asks Spark several times for each table. A table whose counts are all zero, as almost every
day, needs no such question; where rows break an expectation, Great Expectations is asked for their keys.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from expectations.suite import BETWEEN, NOT_NULL, Expectation, Suite, at_most

if TYPE_CHECKING:
    import pandas as pd


def is_countable(suite: Suite) -> bool:
    """Whether SQL can say of each row expectation which rows break it, and none may be broken by some."""
    return all(map(_is_countable, suite.row_expectations))


def count_columns(suite: Suite, source: str) -> dict[str, str]:
    """The counts as columns of a grouped select: name to SQL.

    A broken row is counted in its group. Whether values are unique is about all the rows, in whatever group:
    these counts say the same in each.

    Args:
        source: all the rows, as `from … where …`.
    """
    return {
        _name(position): _count(suite, each, source) for position, each in enumerate(suite.row_expectations)
    }


def counted(suite: Suite, profile: "pd.DataFrame") -> "pd.DataFrame":
    """One row: for each row expectation, how many rows break it, in the order of the suite."""
    import pandas as pd

    totals: dict[str, int] = {}
    for position, each in enumerate(suite.row_expectations):
        column = profile[_name(position)]
        totals[_name(position)] = int(
            (column.max() if each.partition else column.sum()) if len(column) else 0
        )
    return pd.DataFrame([totals])


def without_counts(suite: Suite, profile: "pd.DataFrame") -> "pd.DataFrame":
    """A profile's other columns."""
    names = [_name(position) for position in range(len(suite.row_expectations))]
    return profile.drop(columns=names, errors="ignore")


def of_counts(expectations: Sequence[Expectation]) -> tuple[Expectation, ...]:
    """Row expectations as expectations of their counts: no row breaks them."""
    return tuple(
        replace(at_most(_name(position), 0), says=each.says) for position, each in enumerate(expectations)
    )


def _is_countable(expectation: Expectation) -> bool:
    if "mostly" in expectation.kwargs:
        return False
    return bool(expectation.partition) or (expectation.broken is not None and "column" in expectation.kwargs)


def _name(position: int) -> str:
    return f"broken_{position}"


def _count(suite: Suite, expectation: Expectation, source: str) -> str:
    accepted = suite.accepted if suite.quarantines else "true"
    if expectation.partition:
        values = [_value(suite, column) for column in expectation.partition]
        # Great Expectations looks at no NULL of a single column; of several, NULL is a value like others.
        wanted = accepted if len(values) > 1 else f"{accepted} and {values[0]} is not null"
        distinct = f"count(distinct if({wanted}, struct({', '.join(values)}), null))"
        return f"(select count_if({wanted}) - {distinct} {source})"
    return f"count_if({accepted} and coalesce({_broken(suite, expectation)}, false))"


def _broken(suite: Suite, expectation: Expectation) -> str:
    """The condition over the table's own columns that a row breaks an expectation."""
    column = str(expectation.kwargs["column"])
    if expectation.broken == f"not {column}" and column in suite.rules:
        return f"not coalesce({suite.rules[column]}, false)"
    if expectation.type == NOT_NULL:
        return f"{_value(suite, column)} is null"
    if expectation.type == BETWEEN:
        # Great Expectations knows no order of texts, and says so when it is asked.
        return (
            f"typeof({column}) = 'string' or ({_value(suite, column)} is not null and ({expectation.broken}))"
        )
    return str(expectation.broken)


def _value(suite: Suite, column: str) -> str:
    """A column; NaN is a value to Spark, and none where there has to be one. Other types have no NaN."""
    has_to_be_there = any(
        each.type == NOT_NULL and each.kwargs["column"] == column for each in suite.row_expectations
    )
    if not has_to_be_there or column in suite.nan_allowed:
        return column
    is_nan = f"typeof({column}) in ('double', 'float') and cast({column} as string) = 'NaN'"
    return f"if({is_nan}, null, {column})"
