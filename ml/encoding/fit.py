"""The statistics of an encoding, learned from training rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.tree import DecisionTreeClassifier

from lakehouse.errors import LakehouseError
from ml.encoding.arrow import ArrowTable
from ml.encoding.encode import Codes, Cross, Encoding, Floats, category_codes, column_of, numbers, pair_codes


@dataclass(frozen=True)
class ByDay:
    """Features that mostly tell days apart get fewer pieces: they have as many values as days, not as rows.

    Args:
        day: the column with the day of a row.
        bins: at most so many pieces for each of them.
    """

    day: str
    bins: int


def fit_encoding(
    rows: ArrowTable,
    numeric: Sequence[str],
    categorical: Sequence[str],
    labels: Floats,
    *,
    crosses: Sequence[tuple[str, str]] = (),
    bins: int,
    min_bin_rows: int,
    rare_below: int,
    by_day: ByDay | None = None,
) -> Encoding:
    """Learn the statistics of training rows.

    Args:
        rows: one row each; NULL and NaN are both missing.
        labels: `(rows,)`, 0 or 1; pieces end where their rate changes most.
        bins: at most so many pieces a numeric feature, with `min_bin_rows` or more rows in each.
        rare_below: categories and pairs with fewer rows count as unseen.
        by_day: what is different for features that mostly tell days apart; None: nothing.

    Raises:
        LakehouseError: a column is missing or can't be encoded, or a cross names an unknown feature.

    >>> rows = pa.table({"delay": [0, 1, 2, 3, None], "origin": ["JFK", "JFK", "EWR", None, "LGA"]})
    >>> late = np.array([0, 0, 0, 1, 1], np.float32)
    >>> fit_encoding(rows, ["delay"], ["origin"], late, bins=2, min_bin_rows=1, rare_below=2)
    Encoding(edges={'delay': (0.0, 2.49609375, 3.0)}, categories={'origin': ('JFK',)}, crosses=())
    """
    days = _numbered(rows, by_day.day) if by_day else None
    day_bins = by_day.bins if by_day else bins

    def edges_of(name: str) -> tuple[float, ...]:
        groups = _groups(numbers(rows, name))
        if groups is None:
            return _NOTHING_LEARNED
        tells_days = days is not None and _share_within(groups, days) < _TELLS_DAYS_BELOW
        return _edges(groups, labels, day_bins if tells_days else bins, min_bin_rows)

    edges = {name: edges_of(name) for name in numeric}
    categories = {name: _frequent(rows, name, rare_below) for name in categorical}
    single = Encoding(edges, categories)
    codes = {name: category_codes(single, rows, name) for name in categorical}
    return Encoding(edges, categories, tuple(_fit_cross(single, codes, pair, rare_below) for pair in crosses))


# One piece, for a feature that is always missing or always the same in the training rows.
_NOTHING_LEARNED = (0.0, 1.0)
# A piece may end between so many groups of about as many rows: a tree on groups takes no time, one on all
# rows has to sort them.
_GROUPS = 256


# Where less than this share of a feature's variance lies within days, it mostly tells days apart.
_TELLS_DAYS_BELOW = 1 / 3


@dataclass(frozen=True)
class _Groups:
    """The values of a feature in groups of about as many rows.

    Args:
        ends: of the groups, ascending, one more than there are groups.
        is_there: which rows have a value; `group`: the number of the group of each of these.
    """

    ends: Floats
    is_there: npt.NDArray[np.bool_]
    group: npt.NDArray[np.int64]


def _groups(values: Floats) -> _Groups | None:
    """None if nothing is to be learned: no value, or always the same."""
    is_there = np.isfinite(values)
    present = values[is_there].astype(np.float64)
    if present.size == 0 or present.min() == present.max():
        return None
    ends = np.unique(np.quantile(present, np.linspace(0, 1, _GROUPS + 1)).astype(np.float32))
    group = np.clip(np.searchsorted(ends, present, side="right") - 1, 0, len(ends) - 2)
    return _Groups(ends, is_there, group)


def _numbered(rows: ArrowTable, day: str) -> npt.NDArray[np.int64]:
    numbers_of_days = column_of(rows, day).cast(pa.date32()).cast(pa.int32()).to_numpy()
    return np.unique(numbers_of_days, return_inverse=True)[1]


def _share_within(groups: _Groups, days: npt.NDArray[np.int64]) -> float:
    """The share of the variance of a feature's ranks that lies within days: 0 if each day has one value."""
    day = days[groups.is_there]
    rows = np.bincount(day)
    of_day = np.bincount(day, groups.group) / np.maximum(rows, 1)
    spread = groups.group.var()
    return float(np.mean((groups.group - of_day[day]) ** 2) / spread) if spread else 0.0


def _edges(groups: _Groups, labels: Floats, bins: int, min_bin_rows: int) -> tuple[float, ...]:
    """Ends of pieces, where a decision tree on this feature alone would split."""
    ends, count = groups.ends, len(groups.ends) - 1
    rows = np.bincount(groups.group, minlength=count)
    positives = np.bincount(groups.group, labels[groups.is_there], count)
    # Each group twice: once for either label, weighted by its rows.
    numbered = np.tile(np.arange(count, dtype=np.float64), 2)
    weights = np.concatenate([rows - positives, positives])
    tree: Any = DecisionTreeClassifier(
        max_leaf_nodes=bins,
        min_weight_fraction_leaf=min(0.5, min_bin_rows / groups.group.size),
        random_state=0,
    ).fit(numbered[:, None], np.repeat([0, 1], count), sample_weight=weights)
    splits = tree.tree_.threshold[tree.tree_.feature >= 0]
    inner = ends[np.ceil(splits).astype(np.int64)]
    return tuple(float(edge) for edge in np.unique(np.concatenate([ends[:1], inner, ends[-1:]])))


def _frequent(rows: ArrowTable, name: str, rare_below: int) -> tuple[str, ...]:
    counts = column_of(rows, name).cast(pa.string()).drop_null().value_counts()
    frequent = counts.field("counts").to_numpy() >= rare_below
    return tuple(sorted(counts.field("values").filter(pa.array(frequent)).to_pylist()))


def _fit_cross(encoding: Encoding, codes: dict[str, Codes], names: tuple[str, str], rare_below: int) -> Cross:
    left, right = names
    unknown = [name for name in names if name not in codes]
    if unknown:
        raise LakehouseError(f"cross {left}, {right}: {', '.join(unknown)} is not a categorical feature")
    pairs, counts = np.unique(pair_codes(encoding, codes, left, right), return_counts=True)
    return Cross(left, right, tuple(int(pair) for pair in pairs[counts >= rare_below]))
