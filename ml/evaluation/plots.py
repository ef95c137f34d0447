"""Pictures of a training, as matplotlib figures."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lakehouse.delta.row_diff import RowDiff
from ml.evaluation.metrics import Calibration, auc, average_precision, untyped_metrics

Array = npt.NDArray[Any]


def _figure(title: str, x: str, y: str, height: float = 4.5) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    return figure, axes


def loss_curve(train: Sequence[float], validation: Sequence[float], best: int) -> Figure:
    """Training and validation loss by epoch, from epoch 1.

    Args:
        best: the epoch whose weights are kept.
    """
    figure, axes = _figure("Loss", "epoch", "log loss")
    numbers = range(1, len(train) + 1)
    axes.plot(numbers, train, marker="o", label="training (with dropout)")
    axes.plot(numbers, validation, marker="o", label="validation")
    axes.axvline(best, color="grey", linestyle=":", label=f"kept: epoch {best}")
    axes.set_xticks(numbers)
    axes.legend()
    return figure


def roc_curve(labels: Array, scores: Array) -> Figure:
    """True against false positive rate on the validation rows."""
    figure, axes = _figure(f"ROC, AUC {auc(labels, scores):.3f}", "false positive rate", "true positive rate")
    untyped_metrics.RocCurveDisplay.from_predictions(labels, scores, ax=axes, plot_chance_level=True)
    return figure


def precision_recall_curve(labels: Array, scores: Array) -> Figure:
    """Precision against recall on the validation rows."""
    title = f"Precision and recall, average precision {average_precision(labels, scores):.3f}"
    figure, axes = _figure(title, "recall", "precision")
    display = untyped_metrics.PrecisionRecallDisplay
    display.from_predictions(labels, scores, ax=axes, plot_chance_level=True)
    return figure


def calibration_curve(measured: Mapping[str, Calibration]) -> Figure:
    """Observed rate against mean score, in bins of as many rows.

    Args:
        measured: as `ml.evaluation.metrics.calibration_by_month` gives it: all rows first, then months.
    """
    (_, whole), *months = measured.items()
    figure, axes = _figure(f"Calibration, expected error {whole.error:.3f}", "mean score", "observed rate")
    top = max(0.05, *(max(*each.mean_score, *each.label_rate) for each in measured.values()))
    axes.plot([0, top], [0, top], color="grey", linestyle=":", label="perfect")
    axes.plot(whole.mean_score, whole.label_rate, marker="o", label="all rows")
    for month, each in months:
        axes.plot(each.mean_score, each.label_rate, alpha=0.6, label=f"{month}, {each.error:.3f}")
    axes.legend()
    return figure


def run_diff(
    rows: RowDiff, before: Mapping[str, float], after: Mapping[str, float], shown: int = 15
) -> Figure:
    """How one run differs from another: rows of the training sets, the columns that changed, and metrics."""
    columns = sorted(rows.changed_columns.items(), key=lambda item: (-item[1], item[0]))[:shown]
    same = rows.rows_a - rows.rows_removed - rows.rows_changed
    panels: list[tuple[str, list[tuple[str, float]]]] = [
        (
            "rows",
            [
                ("same", same),
                ("changed", rows.rows_changed),
                ("added", rows.rows_added),
                ("removed", rows.rows_removed),
            ],
        ),
        ("changed rows, by column", [(name, count) for name, count in columns] or [("none", 0)]),
        ("metrics, first → second", [(name, after[name] - before[name]) for name in before if name in after]),
    ]
    heights = [max(2, len(bars)) for _, bars in panels]
    figure = Figure(figsize=(7, 2 + 0.3 * sum(heights)), layout="constrained")
    for axes, (title, bars) in zip(
        figure.subplots(len(panels), 1, height_ratios=heights), panels, strict=True
    ):
        drawn = axes.barh([name for name, _ in bars][::-1], [value for _, value in bars][::-1])
        figures = [f"{value:,}" if isinstance(value, int) else f"{value:+.4f}" for _, value in bars]
        axes.bar_label(drawn, figures[::-1], padding=3)
        axes.margins(x=0.2)
        axes.set_title(title)
        axes.grid(alpha=0.3, axis="x")
    return figure


def search_history(
    metric: str, finished: Mapping[int, float], pruned: Mapping[int, float], more_is_better: bool
) -> Figure:
    """Each trial's metric by its number, and the best so far."""
    figure, axes = _figure("Search", "trial", metric)
    axes.plot(list(finished), list(finished.values()), "o", label="finished")
    axes.plot(list(pruned), list(pruned.values()), "x", color="grey", label="pruned")
    best = list(accumulate(finished.values(), max if more_is_better else min))
    axes.step(list(finished), best, where="post", label="best so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figure


def feature_importance(losses: Mapping[str, float], shown: int = 30) -> Figure:
    """AUC lost when a feature is shuffled, largest first."""
    first = list(losses.items())[:shown]
    title = "Permutation importance on validation rows"
    figure, axes = _figure(title, "AUC lost when shuffled", "", height=1.2 + 0.22 * len(first))
    axes.barh([name for name, _ in first][::-1], [loss for _, loss in first][::-1])
    return figure
