"""The statistics of an encoding, learned from training rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.tree import DecisionTreeClassifier

from lakehouse.errors import LakehouseError
from ml.data.arrow import ArrowTable
from ml.data.encoding import Codes, Cross, Encoding, Floats, category_codes, column_of, numbers, pair_codes


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
) -> Encoding:
    """Learn the statistics of training rows.

    Args:
        rows: one row each; NULL and NaN are both missing.
        labels: `(rows,)`, 0 or 1; pieces end where their rate changes most.
        bins: at most so many pieces a numeric feature, with `min_bin_rows` or more rows in each.
        rare_below: categories and pairs with fewer rows count as unseen.

    Raises:
        LakehouseError: a column is missing or can't be encoded, or a cross names an unknown feature.

    >>> rows = pa.table({"delay": [0, 1, 2, 3, None], "origin": ["JFK", "JFK", "EWR", None, "LGA"]})
    >>> late = np.array([0, 0, 0, 1, 1], np.float32)
    >>> fit_encoding(rows, ["delay"], ["origin"], late, bins=2, min_bin_rows=1, rare_below=2)
    Encoding(edges={'delay': (0.0, 2.49609375, 3.0)}, categories={'origin': ('JFK',)}, crosses=())
    """
    edges = {name: _edges(numbers(rows, name), labels, bins, min_bin_rows) for name in numeric}
    categories = {name: _frequent(rows, name, rare_below) for name in categorical}
    single = Encoding(edges, categories)
    codes = {name: category_codes(single, rows, name) for name in categorical}
    return Encoding(edges, categories, tuple(_fit_cross(single, codes, pair, rare_below) for pair in crosses))


# One piece, for a feature that is always missing or always the same in the training rows.
_NOTHING_LEARNED = (0.0, 1.0)
# A piece may end between so many groups of about as many rows: a tree on groups takes no time, one on all
# rows has to sort them.
_GROUPS = 256


def _edges(values: Floats, labels: Floats, bins: int, min_bin_rows: int) -> tuple[float, ...]:
    """Ends of pieces, where a decision tree on this feature alone would split."""
    is_there = np.isfinite(values)
    present, present_labels = values[is_there].astype(np.float64), labels[is_there]
    if present.size == 0 or present.min() == present.max():
        return _NOTHING_LEARNED
    ends = np.unique(np.quantile(present, np.linspace(0, 1, _GROUPS + 1)).astype(np.float32))
    groups = len(ends) - 1
    group = np.clip(np.searchsorted(ends, present, side="right") - 1, 0, groups - 1)
    rows, positives = np.bincount(group, minlength=groups), np.bincount(group, present_labels, groups)
    # Each group twice: once for either label, weighted by its rows.
    numbered = np.tile(np.arange(groups, dtype=np.float64), 2)
    weights = np.concatenate([rows - positives, positives])
    tree: Any = DecisionTreeClassifier(
        max_leaf_nodes=bins,
        min_weight_fraction_leaf=min(0.5, min_bin_rows / present.size),
        random_state=0,
    ).fit(numbered[:, None], np.repeat([0, 1], groups), sample_weight=weights)
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
        raise LakehouseError(f"cross of {left} and {right}: {', '.join(unknown)} is no categorical feature")
    pairs, counts = np.unique(pair_codes(encoding, codes, left, right), return_counts=True)
    return Cross(left, right, tuple(int(pair) for pair in pairs[counts >= rare_below]))
