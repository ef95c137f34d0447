"""How a suite is declared: as plain data, so that reading it costs no import of Great Expectations."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Literal, get_args

from lakehouse.delta.table import sql_text

Gate = Literal["bronze", "features", "training"]
GATES: tuple[Gate, ...] = get_args(Gate)
# Bronze is read as it is, at the version that passed: it has nothing to publish.
PUBLISHING: tuple[Gate, ...] = ("features", "training")

NOT_NULL = "expect_column_values_to_not_be_null"
BETWEEN = "expect_column_values_to_be_between"
# Metrics of each day: rows that it lacks, and has beyond what is expected.
MISSING_ROWS, SURPLUS_ROWS = "missing_rows", "surplus_rows"


@dataclass(frozen=True)
class Expectation:
    """One expectation of Great Expectations, by its registered type: `expect_column_values_to_not_be_null`.

    Args:
        says: the claim in a person's words; it heads the expectation in Data Docs and in messages.
        broken: SQL over the checked rows that tells whether a row breaks it; it finds the days of a failure.
            None where no such condition is known: then all days looked at count as failed.
        partition: columns whose values no two rows share, for an expectation that is about more than one row.
    """

    type: str
    kwargs: Mapping[str, object]
    says: str
    broken: str | None = None
    partition: tuple[str, ...] = ()


def not_null(*columns: str) -> tuple[Expectation, ...]:
    """A value in each of the columns; NaN is not a value, unless the suite declares it (`nan_allowed`)."""
    return tuple(
        Expectation(
            NOT_NULL,
            {"column": column},
            f"{column} is there",
            broken=f"{column} is null",
        )
        for column in columns
    )


def between(column: str, low: float, high: float) -> Expectation:
    """Each value, where there is one, lies in [low, high]; NaN does not, unless the suite declares it."""
    return _range(column, low, high, f"{column} lies between {low} and {high}")


def at_least(column: str, low: float) -> Expectation:
    """No value is below `low`; NaN and infinity are not at least anything."""
    return _range(column, low, None, f"{column} is at least {low}")


def at_most(column: str, high: float) -> Expectation:
    """No value is above `high`."""
    return _range(column, None, high, f"{column} is at most {high}")


def _range(column: str, low: float | None, high: float | None, says: str) -> Expectation:
    # To Spark, NaN is greater than every number: without an upper bound it would pass.
    most = sys.float_info.max if high is None else high
    kwargs = {"column": column, "min_value": low, "max_value": most}
    bounds = [f"{column} > {most}", *([] if low is None else [f"{column} < {low}"])]
    return Expectation(BETWEEN, kwargs, says, broken=" or ".join(bounds))


def one_of(column: str, values: Iterable[str | bool]) -> Expectation:
    """Each value, where there is one, is in a list."""
    allowed = sorted(values)
    says = f"{column} is one of {', '.join(map(str, allowed))}"
    listed = ", ".join(sql_text(each) if isinstance(each, str) else str(each).lower() for each in allowed)
    return Expectation(
        "expect_column_values_to_be_in_set",
        {"column": column, "value_set": allowed},
        says,
        broken=f"{column} not in ({listed})",
    )


def unique(*columns: str) -> Expectation:
    """No two rows share the values of all the columns."""
    if len(columns) == 1:
        kwargs: dict[str, object] = {"column": columns[0]}
        says = f"{columns[0]} occurs once"
        return Expectation("expect_column_values_to_be_unique", kwargs, says, partition=columns)
    kwargs = {"column_list": list(columns), "ignore_row_if": "never"}
    says = f"({', '.join(columns)}) occurs once"
    return Expectation("expect_compound_columns_to_be_unique", kwargs, says, partition=columns)


def holds(name: str, claim: str) -> Expectation:
    """A row rule of the suite, met by each row: the validator adds a boolean column of the rule's name.

    Args:
        claim: the rule's SQL.
    """
    kwargs = {"column": name, "value_set": [True]}
    says = f"{name}: {claim}"
    return Expectation("expect_column_values_to_be_in_set", kwargs, says, broken=f"not {name}")


@dataclass(frozen=True)
class StoredDay:
    """How a stored column tells a row's day, so that a file's least and greatest value tell its days.

    Args:
        day_of: the day of a value, never earlier for a greater one; None where it cannot be read from it.
    """

    column: str
    day_of: Callable[[object], date | None]


@dataclass(frozen=True)
class DayOf:
    """On which local day a row of a table falls.

    Args:
        sql: the day, an expression of type date.
        within: given the first and last day of a range, a condition on stored columns that every row of these
            days meets, from which Delta can skip files.
        stored: the column that tells it by itself, if there is one.
    """

    sql: str
    within: Callable[[date, date], str]
    stored: StoredDay | None = None


def day_column(column: str) -> DayOf:
    """A column holds the day."""
    return DayOf(
        column,
        lambda first, last: f"{column} between date'{first}' and date'{last}'",
        StoredDay(column, lambda value: value if isinstance(value, date) else None),
    )


def local_day(column: str, zone: str) -> DayOf:
    """The local day of a UTC timestamp in `zone`; no zone is more than a day from UTC."""
    return DayOf(
        f"to_date(from_utc_timestamp({column}, '{zone}'))",
        lambda first, last: (
            f"{column} >= timestamp'{first - timedelta(days=1)}' "
            f"and {column} < timestamp'{last + timedelta(days=2)}'"
        ),
    )


def delivery_day(source: str) -> DayOf:
    """The delivery's day: `_batch_id` is `<source>_<YYYY-MM-DD>` and perhaps an hour or a suffix."""
    return DayOf(
        f"to_date(substr(_batch_id, {len(source) + 2}, 10))",
        lambda first, last: (
            f"_batch_id >= '{source}_{first}' and _batch_id < '{source}_{last + timedelta(days=1)}'"
        ),
        StoredDay("_batch_id", lambda value: _day_in(str(value), len(source) + 1)),
    )


def _day_in(text: str, position: int) -> date | None:
    """The day that stands there; None where none does, as Delta cuts long texts in its statistics."""
    try:
        return date.fromisoformat(text[position : position + 10])
    except ValueError:
        return None


@dataclass(frozen=True)
class Profile:
    """Aggregates of the checked rows, and what is expected of them.

    Args:
        metrics: name to SQL aggregate.
    """

    metrics: Mapping[str, str] = field(default_factory=dict[str, str])
    expectations: Sequence[Expectation] = ()


@dataclass(frozen=True)
class ExpectedRows:
    """How many rows a table must have on each day, by what stands upstream for the same day.

    Args:
        sql: a select of `day`, `least_rows` and `most_rows`; NULL sets no bound, and of a day without a row
            nothing is expected. `{schema.table}` stands for an upstream table at the version that the build
            of the checked version read, `{until}` for the instant up to which sources had delivered by then,
            and `{until_day}` for the local day on which that lies: days before it are complete.
        says: what is expected, in a person's words.
        rows: the aggregate over a day's rows that is compared.
    """

    sql: str
    says: str
    rows: str = "count(*)"


@dataclass(frozen=True)
class Suite:
    """What is expected of one table.

    Args:
        table: `schema.table`.
        key: the columns that name a row.
        day: on which day a row falls; None where the table is checked as a whole.
        rows: expectations about the rows.
        rules: row rules, name to SQL condition, that each row meets (NULL counts as broken). Of a suite that
            quarantines they say which rows are accepted, and `rows` looks at those only.
        quarantines: whether rows that break a rule are set aside instead of failing the gate.
        daily: aggregates by day; also there: `row_count`, and `quarantined_share` where it quarantines.
        whole: aggregates over all rows of the table, whatever days are asked for.
        expected_rows: how many rows each day must have; beside the days asked for and changed, its days are
            looked at, so that a day whose rows are gone is seen.
        may_be_empty: whether a day that was asked for, or has changed, may have no row although nothing
            upstream says how many it must have.
        nan_allowed: columns in which NaN is a value.
        superseded: a select of the `_batch_id` of batches that a later delivery superseded: their rows stay
            in bronze, and count neither as rows of a day nor in `quarantined_share`.
    """

    table: str
    gate: Gate
    key: tuple[str, ...]
    day: DayOf | None = None
    rows: tuple[Expectation, ...] = ()
    rules: Mapping[str, str] = field(default_factory=dict[str, str])
    quarantines: bool = False
    daily: Profile | None = None
    whole: Profile | None = None
    expected_rows: ExpectedRows | None = None
    may_be_empty: bool = False
    nan_allowed: tuple[str, ...] = ()
    superseded: str | None = None

    @property
    def name(self) -> str:
        """The suite's name in Data Docs: the table's."""
        return self.table

    @property
    def row_expectations(self) -> tuple[Expectation, ...]:
        """`rows`, and the rules where breaking one fails the gate."""
        held = () if self.quarantines else tuple(holds(name, sql) for name, sql in self.rules.items())
        return (*(self._with_nan(each) for each in self.rows), *held)

    def _with_nan(self, expectation: Expectation) -> Expectation:
        column = expectation.kwargs.get("column")
        if column not in self.nan_allowed or expectation.type != BETWEEN:
            return expectation
        condition = {"row_condition": f"not isnan({column})", "condition_parser": "spark"}
        broken = f"not isnan({column}) and ({expectation.broken})" if expectation.broken else None
        return replace(expectation, kwargs={**expectation.kwargs, **condition}, broken=broken)

    @property
    def daily_expectations(self) -> tuple[Expectation, ...]:
        """What is expected of each day: of its metrics, and that no row is missing."""
        if self.day is None:
            return ()
        declared = self.daily.expectations if self.daily is not None else ()
        if self.expected_rows is not None:
            says = self.expected_rows.says
            return (
                *declared,
                replace(at_most(MISSING_ROWS, 0), says=f"no row is missing: {says}"),
                replace(at_most(SURPLUS_ROWS, 0), says=f"no row is too many: {says}"),
            )
        if self.may_be_empty:
            return tuple(declared)
        return (*declared, replace(at_most(MISSING_ROWS, 0), says="the day has rows"))

    @property
    def accepted(self) -> str:
        """The condition under which a row meets every rule."""
        return " and ".join(f"coalesce({sql}, false)" for sql in self.rules.values()) or "true"


def day_ranges(days: Iterable[date]) -> list[tuple[date, date]]:
    """Days as maximal ranges without gaps, in order.

    >>> [str(last) for first, last in day_ranges([date(2013, 1, 2), date(2013, 1, 1), date(2013, 1, 5)])]
    ['2013-01-02', '2013-01-05']
    """
    ranges: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if ranges and ranges[-1][1] == day - timedelta(days=1):
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges


def within_days(day: DayOf, days: Iterable[date]) -> str:
    """The SQL condition that a row falls on one of the days, with what Delta needs to skip files."""
    ranges = day_ranges(days)
    conditions = [
        f"({day.within(first, last)} and {day.sql} between date'{first}' and date'{last}')"
        for first, last in ranges
    ]
    return "(" + " or ".join(conditions) + ")" if conditions else "false"
