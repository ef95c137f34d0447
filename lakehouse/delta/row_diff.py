"""What differs between two tables of the same entities: rows, columns, and a few keys of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

SAMPLES = 3


@dataclass(frozen=True)
class RowDiff:
    """How the second table differs from the first, matched by key.

    Args:
        rows_a, rows_b: rows of the first, of the second.
        rows_added, rows_removed: keys only in the second, only in the first.
        rows_changed: in both, with another value in at least one column that both have.
        changed_columns: how many rows changed in each column that changed.
        samples: a few keys for each changed column, and for `(added)` and `(removed)`.
        columns_added, columns_removed: columns only in the second, only in the first.
    """

    rows_a: int
    rows_b: int
    rows_added: int
    rows_removed: int
    rows_changed: int
    changed_columns: dict[str, int]
    samples: dict[str, tuple[str, ...]]
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]


def row_diff(before: DataFrame, after: DataFrame, key: Sequence[str]) -> RowDiff:
    """Compare two tables in one join.

    Args:
        key: the columns that name a row in both.
    """
    both = [name for name in before.columns if name in after.columns and name not in key]
    joined = _matched(before, after, key, both)
    added, removed = F.col("_before").isNull(), F.col("_after").isNull()
    changed = {name: F.col(f"_changed_{name}") for name in both}
    sums = joined.agg(
        F.count_if(F.col("_before").isNotNull()).alias("rows_a"),
        F.count_if(F.col("_after").isNotNull()).alias("rows_b"),
        F.count_if(added).alias("added"),
        F.count_if(removed).alias("removed"),
        F.count_if(F.greatest(F.lit(False), F.lit(False), *changed.values())).alias("changed"),
        *[F.count_if(is_changed).alias(f"_changed_{name}") for name, is_changed in changed.items()],
    ).collect()[0]
    changed_columns = {name: int(sums[f"_changed_{name}"]) for name in both if sums[f"_changed_{name}"]}
    wanted = {name: changed[name] for name in changed_columns}
    wanted |= {"(added)": added} if sums["added"] else {}
    wanted |= {"(removed)": removed} if sums["removed"] else {}
    return RowDiff(
        rows_a=int(sums["rows_a"]),
        rows_b=int(sums["rows_b"]),
        rows_added=int(sums["added"]),
        rows_removed=int(sums["removed"]),
        rows_changed=int(sums["changed"]),
        changed_columns=changed_columns,
        samples=_samples(joined, key, wanted),
        columns_added=tuple(sorted(set(after.columns) - set(before.columns))),
        columns_removed=tuple(sorted(set(before.columns) - set(after.columns))),
    )


def _matched(before: DataFrame, after: DataFrame, key: Sequence[str], both: list[str]) -> DataFrame:
    """One row per entity: the key, which sides have it, and which columns differ."""
    left = before.select(*key, F.lit(1).alias("_before"), *[F.col(name).alias(f"_a_{name}") for name in both])
    right = after.select(*key, F.lit(1).alias("_after"), *[F.col(name).alias(f"_b_{name}") for name in both])
    in_both = F.col("_before").isNotNull() & F.col("_after").isNotNull()
    return left.join(right, list(key), "full_outer").select(
        *key,
        "_before",
        "_after",
        *[
            (in_both & ~F.col(f"_a_{name}").eqNullSafe(F.col(f"_b_{name}"))).alias(f"_changed_{name}")
            for name in both
        ],
    )


def _samples(joined: DataFrame, key: Sequence[str], wanted: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """The first few entities of each condition, as text."""
    if not wanted:
        return {}
    entity = F.concat_ws(" ", *[F.col(name).cast("string") for name in key])
    first = [
        F.slice(F.array_sort(F.collect_set(F.when(condition, entity))), 1, SAMPLES).alias(name)
        for name, condition in wanted.items()
    ]
    row = joined.agg(*first).collect()[0]
    return {name: tuple(row[name]) for name in wanted}
