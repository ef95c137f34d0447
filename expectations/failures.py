"""Failed expectations: how many rows or days break them, which ones, and how to see them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations.suite import Expectation, Suite
from lakehouse.delta.table import TableVersion

# The column of checked rows that holds a row's key as JSON.
ROW_KEY = "row_key"


@dataclass(frozen=True)
class Failure:
    """A failed expectation.

    Args:
        expectation: the claim, in words.
        unexpected: how many rows (or days) break it; None where it is not about rows.
        observed: the value seen, where it is not about rows.
        samples: keys of some that break it, with the value seen.
        days: the days on which it fails; none where it is about the table as a whole, None where all days
            looked at count as failed.
        unit: what `unexpected` counts.
        causes: what made it fail, in lines: rules, keys.
        see: a statement that shows the rows.
    """

    expectation: str
    unexpected: int | None
    observed: str | None
    samples: tuple[Mapping[str, object], ...]
    days: tuple[date, ...] | None = None
    unit: str = "row"
    causes: tuple[str, ...] = ()
    see: str | None = None

    def __str__(self) -> str:
        if self.unexpected is None:
            seen = f"observed {self.observed}"
        else:
            seen = f"{self.unexpected:,} {self.unit}{'' if self.unexpected == 1 else 's'}"
        shown = "; ".join(json.dumps(sample, default=str) for sample in self.samples[:3])
        told = f"{self.expectation}: {seen}{f', such as {shown}' if shown else ''}"
        more = [*self.causes, *([f"see: {self.see}"] if self.see else [])]
        return "\n".join([told, *(f"  {line}" for line in more)])

    def is_on(self, day: date | None) -> bool:
        """Whether it fails a day; None asks whether it fails the table as a whole."""
        if day is None:
            return self.days == ()
        return self.days is None or day in self.days


def failed_results(results: Iterable[Any]) -> list[Any]:
    return [result for result in results if not result.success]


def daily_failure(result: Any) -> Failure:
    """A failure of a profile by day: each sample is a day."""
    named = (result.result or {}).get("unexpected_index_list") or ()
    days = tuple(sorted({date.fromisoformat(str(each["day"])) for each in named if each["day"] != "None"}))
    return replace(failure_of(result), days=days or None, unit="day")


def row_failures(
    suite: Suite,
    version: TableVersion,
    expectations: Sequence[Expectation],
    rows: DataFrame,
    results: Sequence[Any],
) -> list[Failure]:
    """The failures among the rows, each with its days, which one statement finds for all of them."""
    failed = [position for position, result in enumerate(results) if not result.success]
    found = [replace(failure_of(results[position]), days=None) for position in failed]
    conditions = {number: _broken(expectations[position]) for number, position in enumerate(failed)}
    known = {number: sql for number, sql in conditions.items() if sql is not None}
    if suite.day is None or not known:
        return [replace(failure, days=()) for failure in found] if suite.day is None else found
    flags = [f"coalesce({sql}, false) as broken_{number}" for number, sql in known.items()]
    flagged = rows.selectExpr(f"{suite.day.sql} as day", *flags)
    sums = [F.max(f"broken_{number}").alias(f"broken_{number}") for number in known]
    by_day = flagged.groupBy("day").agg(*sums).collect()
    for number in known:
        days = {row["day"] for row in by_day if row[f"broken_{number}"]}
        # A row that falls on no day fails them all.
        attributed = tuple(sorted(days)) if days and None not in days else None
        found[number] = replace(found[number], days=attributed)
    return [
        replace(failure, see=_see(suite, version, expectations[position], failure))
        for failure, position in zip(found, failed, strict=True)
    ]


def _broken(expectation: Expectation) -> str | None:
    """The condition under which a row breaks an expectation, where it is known."""
    if not expectation.partition:
        return expectation.broken
    columns = ", ".join(expectation.partition)
    repeated = f"count(*) over (partition by {columns}) > 1"
    # Great Expectations looks at no NULL of a single column.
    return repeated if len(expectation.partition) > 1 else f"{columns} is not null and {repeated}"


def _see(suite: Suite, version: TableVersion, expectation: Expectation, failure: Failure) -> str | None:
    """A statement that shows the rows that break an expectation."""
    if suite.day is None or failure.days is None:
        return None
    source = f"{version.name} version as of {version.version}"
    where = f"{suite.day.sql} between date'{failure.days[0]}' and date'{failure.days[-1]}'"
    if expectation.partition:
        columns = ", ".join(expectation.partition)
        return f"select {columns} from {source} where {where} group by {columns} having count(*) > 1"
    if expectation.broken is None:
        return None
    rule = expectation.broken.removeprefix("not ")
    broken = f"not coalesce({suite.rules[rule]}, false)" if rule in suite.rules else expectation.broken
    return f"select * from {source} where {where} and ({broken})"


def failure_of(result: Any) -> Failure:
    config, details = result.expectation_config, result.result or {}
    # Without index columns (a profile of one row) GX gives positions, which name nothing.
    named = [
        index for index in details.get("partial_unexpected_index_list") or () if isinstance(index, Mapping)
    ]
    samples = tuple(_sample(index) for index in named)
    observed = details.get("observed_value")
    if not samples:
        values = details.get("partial_unexpected_list") or []
        observed = observed if observed is not None else ", ".join(map(str, values[:3])) or None
    return Failure(
        expectation=str(config.description or config.type),
        unexpected=details.get("unexpected_count") if samples else None,
        observed=None if observed is None else str(observed),
        samples=samples,
    )


def _sample(index: Mapping[str, object]) -> dict[str, object]:
    """A failing row's key and the value that was looked at, from GX's index entry."""
    values = dict(index)
    key = values.pop(ROW_KEY, None)
    return {**(json.loads(str(key)) if key is not None else {}), **values}
