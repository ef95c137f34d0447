"""Features that tell the label by themselves: facts from after the prediction, refused before training."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
from sklearn.tree import DecisionTreeClassifier

from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress, silent
from ml.data.columns import Columns
from ml.encoding.arrow import ArrowTable
from ml.encoding.encode import Floats, column_of, numbers
from ml.encoding.tensors import labels_of
from ml.evaluation.metrics import auc
from ml.spec import Spec

compute: Any = pyarrow.compute
Groups = npt.NDArray[np.int64]

# Enough to find a leak in a number: so many rows of either label, evenly taken.
_NUMBER_ROWS = 10_000
# With fewer rows of either label an honest feature may look like a leak by chance.
_LABEL_ROWS = 20
_TREE_PIECES = 32
_PIECE_ROWS = 5


def refuse_leaks(spec: Spec, columns: Columns, rows: ArrowTable, progress: Progress = silent) -> None:
    """Measure each feature alone against the label, and refuse those that tell it.

    Args:
        rows: the training rows.
        progress: told what the strongest feature is.

    Raises:
        LakehouseError: a feature's AUC is above the spec's `leak_auc`, or it is the label in other words.
    """
    labels = labels_of(rows, str(columns.label))
    measured = feature_aucs(columns, rows, labels)
    leaks = {
        name: value
        for name, value in measured.items()
        if value > spec.leak_auc
        or (value > 1 - 1e-9 and _is_function_of(labels, _values(columns, rows, name)))
    }
    if leaks:
        named = ", ".join(f"{name} (AUC {value:.3f})" for name, value in leaks.items())
        raise LakehouseError(
            f"{named}: alone this tells {columns.label} better than leak_auc: {spec.leak_auc:g} allows",
            "it looks like a fact from after the prediction: let its SQL use only facts with known_at <= "
            f"predict_at, or take its role away in {spec.training_model}'s YAML; if it is honest, raise "
            f"leak_auc in ml/specs/{spec.name}.yml (an exact function of the label is refused anyway)",
        )
    if measured:
        strongest, value = next(iter(measured.items()))
        progress(f"no feature tells {columns.label} alone: the strongest, {strongest}, has AUC {value:.3f}")
    else:
        progress(f"leaks can't be looked for: too few days, or too few rows of either {columns.label}")


def feature_aucs(columns: Columns, rows: ArrowTable, labels: Floats) -> dict[str, float]:
    """How well each feature alone tells the label: learned from every other day, measured on those between.

    A number is cut by a decision tree, a category is taken as it is, missing is a value of its own. Each of
    these groups has the label's rate on the first half of the days, by which the second half is ordered. So
    neither a direction nor a category's number of values matters: one that was seen once tells nothing.

    Args:
        labels: `(rows,)`, 0 or 1.

    Returns:
        AUC by feature, strongest first. Empty when there is too little to measure with: only one day, or
        hardly any rows of either label.
    """
    learning = _every_other_day(rows, columns.partition)
    measuring = np.bincount(labels[~learning].astype(np.int64), minlength=2)
    if not learning.any() or measuring.min() < _LABEL_ROWS:
        return {}
    found = {name: _held_out_auc(_categories(rows, name), labels, learning) for name in columns.categorical}
    taken = np.sort(np.concatenate([_evenly(np.flatnonzero(labels == label)) for label in (0, 1)]))
    labels, learning = labels[taken], learning[taken]
    for name in columns.numeric:
        found[name] = _held_out_auc(_pieces(numbers(rows, name)[taken], labels, learning), labels, learning)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _every_other_day(rows: ArrowTable, partition: str) -> npt.NDArray[np.bool_]:
    days = np.unique(column_of(rows, partition).cast(pa.date32()).to_numpy(False), return_inverse=True)[1]
    return days % 2 == 1


def _evenly(positions: Groups) -> Groups:
    return positions[:: max(1, len(positions) // _NUMBER_ROWS)]


def _pieces(values: Floats, labels: Floats, learning: npt.NDArray[np.bool_]) -> Groups:
    """The leaf of each number, 0 where it is missing."""
    groups = np.zeros(len(values), np.int64)
    is_there = np.isfinite(values)
    usable = is_there & learning
    if usable.any():
        tree: Any = DecisionTreeClassifier(
            max_leaf_nodes=_TREE_PIECES, min_samples_leaf=_PIECE_ROWS, random_state=0
        ).fit(values[usable, None], labels[usable])
        groups[is_there] = tree.apply(values[is_there, None]) + 1
    return groups


def _categories(rows: ArrowTable, name: str) -> Groups:
    codes = compute.dictionary_encode(column_of(rows, name).cast(pa.string()), null_encoding="encode")
    return codes.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _held_out_auc(groups: Groups, labels: Floats, learning: npt.NDArray[np.bool_]) -> float:
    count = int(groups.max()) + 1

    def by_group(rows: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Rows and positives."""
        return np.bincount(groups[rows], minlength=count), np.bincount(groups[rows], labels[rows], count)

    seen, positives = by_group(learning)
    # As if each group had one row more, of the average rate: that is all that is known of an unseen one.
    rates = (positives + labels[learning].mean()) / (seen + 1)
    rows, late = by_group(~learning)
    # Each group twice: once for either label, weighted by its rows.
    weights = np.concatenate([rows - late, late])
    return auc(np.repeat([0, 1], count), np.tile(rates, 2), weights)


def _values(columns: Columns, rows: ArrowTable, name: str) -> Groups | Floats:
    """A feature as the network is told it, however the rows were read."""
    return numbers(rows, name) if name in columns.numeric else _categories(rows, name)


def _is_function_of(labels: Floats, values: Groups | Floats) -> bool:
    """Whether the feature has one value for each label; missing is a value."""
    return all(np.unique(values[labels == label]).size == 1 for label in np.unique(labels))
