"""How long an override lasts: until the rows that it was given for are others."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from pyspark.sql import SparkSession

from expectations.suite import Suite, within_days
from lakehouse.delta.gate_results import GateRow
from lakehouse.delta.table import TableVersion

# What stands for the rows of a day that has none.
_NO_ROWS = "no rows"


def with_hashes(spark: SparkSession, suite: Suite, rows: Sequence[GateRow]) -> list[GateRow]:
    """Results with a hash of the rows that they are about, by which a later check tells whether they changed.

    Args:
        rows: of one version.
    """
    asked = [row.day for row in rows if _is_about_rows(row)]
    hashes = _hashes(spark, suite, rows[0].table, asked)
    return [replace(row, rows_hash=hashes.get(row.day)) for row in rows]


def carried(
    spark: SparkSession, suite: Suite, before: Mapping[date | None, GateRow], rows: Sequence[GateRow]
) -> list[GateRow]:
    """New results, those overridden that fail as before on the rows for which an override is in force.

    Args:
        before: the latest result of each day before the check.
        rows: what one check found, of all its days and as a whole.
    """
    candidates = {
        row.day: before[row.day]
        for row in rows
        if not row.passed and row.day in before and _is_about_rows(row) and _covers(before[row.day], row)
    }
    if not candidates:
        return list(rows)
    hashes = _hashes(spark, suite, rows[0].table, list(candidates))
    kept = {day: known for day, known in candidates.items() if known.rows_hash == hashes[day]}
    found = [_overridden(row, kept[row.day]) if row.day in kept else row for row in rows]
    days_hold = all(row.holds for row in found if row.day is not None)
    return [_whole(row, before.get(None), kept, days_hold) if row.day is None else row for row in found]


def _whole(
    row: GateRow, before: GateRow | None, kept: Mapping[date | None, GateRow], days_hold: bool
) -> GateRow:
    """The result as a whole: let through while all its days are, and what is only about the whole."""
    if row.passed or not days_hold:
        return replace(row, override_by=None, override_reason=None, rows_hash=None)
    if _expectations(row, of_whole=True):
        return row
    last = next(iter(kept.values()), before)
    return row if last is None else _overridden(row, last)


def _overridden(row: GateRow, known: GateRow) -> GateRow:
    return replace(
        row,
        override_by=known.override_by,
        override_reason=known.override_reason,
        rows_hash=known.rows_hash,
    )


def _is_about_rows(row: GateRow) -> bool:
    """Whether a result has failures of its own: as a whole it also fails when one of its days does."""
    return row.day is not None or bool(_expectations(row, of_whole=True))


def _covers(known: GateRow, row: GateRow) -> bool:
    """Whether an override in force showed all that fails now."""
    if known.override_by is None or known.rows_hash is None:
        return False
    of_whole = row.day is None
    return _expectations(row, of_whole) <= _expectations(known, of_whole)


def _expectations(row: GateRow, of_whole: bool) -> frozenset[str]:
    failures = json.loads(row.failing_rows or "[]")
    return frozenset(each["expectation"] for each in failures if not of_whole or each.get("days") == [])


def _hashes(
    spark: SparkSession, suite: Suite, version: TableVersion, days: Sequence[date | None]
) -> dict[date | None, str]:
    """A hash of a version's rows on each day, whatever their order and files; None is the whole table."""
    row_hash = "cast(xxhash64(to_json(struct(*), map('ignoreNullFields', 'false'))) as decimal(38, 0))"
    source = f"{version.name} version as of {version.version}"
    found: dict[date | None, str] = dict.fromkeys(days, _NO_ROWS)
    dated = [day for day in days if day is not None]
    if dated and suite.day is not None:
        rows = spark.sql(
            f"select {suite.day.sql} as day, count(*) as row_count, sum({row_hash}) as row_hashes "
            f"from {source} where {within_days(suite.day, dated)} group by {suite.day.sql}"
        ).collect()
        found |= {row["day"]: f"{row['row_count']} {row['row_hashes']}" for row in rows}
    if None in found:
        (row,) = spark.sql(
            f"select count(*) as row_count, sum({row_hash}) as row_hashes from {source}"
        ).collect()
        found[None] = f"{row['row_count']} {row['row_hashes']}"
    return found
