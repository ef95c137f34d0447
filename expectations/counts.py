"""How many rows break each row expectation, counted by the statement that makes the profile.

Great Expectations asks Spark several times for each table. A table whose counts are all zero, as almost every
day, needs no such question; where rows break an expectation, Great Expectations is asked for their keys.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from expectations.suite import NOT_NULL, Expectation, Suite, at_most

if TYPE_CHECKING:
    import pandas as pd


def is_countable(suite: Suite) -> bool:
    """Whether SQL can say of each row expectation which rows break it."""
    return all(each.broken is not None or each.partition for each in suite.row_expectations)


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
        totals[_heading(each)] = int((column.max() if each.partition else column.sum()) if len(column) else 0)
    return pd.DataFrame([totals])


def without_counts(suite: Suite, profile: "pd.DataFrame") -> "pd.DataFrame":
    """A profile's other columns."""
    names = [_name(position) for position in range(len(suite.row_expectations))]
    return profile.drop(columns=names, errors="ignore")


def of_counts(expectations: Sequence[Expectation]) -> tuple[Expectation, ...]:
    """Row expectations as expectations of their counts: no row breaks them."""
    return tuple(
        Expectation(zero.type, zero.kwargs, each.says)
        for each in expectations
        for zero in [at_most(_heading(each), 0)]
    )


def _name(position: int) -> str:
    return f"broken_{position}"


def _heading(expectation: Expectation) -> str:
    return f"rows that break: {expectation.says}"


def _count(suite: Suite, expectation: Expectation, source: str) -> str:
    accepted = suite.accepted if suite.quarantines else "true"
    if expectation.partition:
        columns = ", ".join(expectation.partition)
        # Great Expectations looks at no NULL of a single column; of several, NULL is a value like others.
        wanted = accepted if len(expectation.partition) > 1 else f"{accepted} and {columns} is not null"
        distinct = f"count(distinct if({wanted}, struct({columns}), null))"
        return f"(select count_if({wanted}) - {distinct} {source})"
    return f"count_if({accepted} and coalesce({_broken(suite, expectation)}, false))"


def _broken(suite: Suite, expectation: Expectation) -> str:
    """The condition over the table's own columns that a row breaks an expectation."""
    column = str(expectation.kwargs["column"])
    if expectation.broken == f"not {column}" and column in suite.rules:
        return f"not coalesce({suite.rules[column]}, false)"
    has_to_be_there = any(
        each.type == NOT_NULL and each.kwargs["column"] == column for each in suite.row_expectations
    )
    if not has_to_be_there or column in suite.nan_allowed:
        return str(expectation.broken)
    # To Spark, NaN is a value; where there has to be one, it is none. Other types are not asked for it.
    is_nan = f"(typeof({column}) in ('double', 'float') and cast({column} as string) = 'NaN')"
    if expectation.type == NOT_NULL:
        return f"{column} is null or {is_nan}"
    return f"not {is_nan} and ({expectation.broken})"
