"""The model card: what a model was made from and how good it is, written from lineage and measurements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.encoding.arrow import ArrowTable
from ml.evaluation.bootstrap import CONFIDENCE, Interval, over_days
from ml.evaluation.metrics import METRICS, auc, calibration
from ml.provenance.manifest import Manifest
from ml.tracking.runs import MANIFEST

Array = npt.NDArray[Any]

# Fewer flights than these say nothing about a segment; its interval needs no more draws than to be seen.
FEWEST_ROWS, DRAWS = 200, 100
# So many at least must have the label, and so many not: AUC is of their pairs.
FEWEST_OF_EACH = 10
SHOWN_FEATURES = 15


@dataclass(frozen=True)
class Segment:
    """How good a model is for one value of a column.

    Args:
        label_rate, mean_score: their gap is how far scores are off here.
        auc: with its interval over days.
    """

    column: str
    value: str
    rows: int
    label_rate: float
    mean_score: float
    auc: Interval


@dataclass(frozen=True)
class Measured:
    """A model measured on rows that it was not trained on.

    Args:
        overall: metric → its figure and interval.
        calibration_error: see `ml.evaluation.metrics.Calibration`.
        importance: feature → AUC lost when it is shuffled, largest first.
        left_out: values of segments with too few rows to be measured, by column.
    """

    rows: int
    days: int
    label_rate: float
    overall: dict[str, Interval]
    calibration_error: float
    importance: Mapping[str, float]
    segments: tuple[Segment, ...]
    left_out: dict[str, int]


def measure(
    rows: ArrowTable,
    labels: Array,
    scores: Array,
    partition: str,
    by: Sequence[str],
    importance: Mapping[str, float],
) -> Measured:
    """Measure scores overall and by segment.

    Args:
        rows: with the columns of `by` and the day of each row.
        partition: the column of the day; its months are segments, too.
    """
    dates = rows.column(partition).cast(pa.date32()).to_numpy()
    columns = {name: np.array([str(value) for value in rows.column(name).to_pylist()]) for name in by}
    columns["month"] = dates.astype("datetime64[M]").astype(str)
    found: list[Segment] = []
    left_out: dict[str, int] = {}
    for name, values in columns.items():
        for value in sorted(map(str, np.unique(values)), key=_numbers_by_size):
            here = np.flatnonzero(values == value)
            labelled = np.count_nonzero(labels[here])
            if len(here) < FEWEST_ROWS or min(labelled, len(here) - labelled) < FEWEST_OF_EACH:
                left_out[name] = left_out.get(name, 0) + 1
            else:
                found.append(_segment(name, value, labels[here], scores[here], dates[here]))
    return Measured(
        rows=len(labels),
        days=len(np.unique(dates)),
        label_rate=float(labels.mean()),
        overall={
            name: over_days(
                lambda at, weights, metric=metric: metric(labels[at], scores[at], weights), dates, draws=DRAWS
            )
            for name, (metric, _) in METRICS.items()
        },
        calibration_error=calibration(labels, scores).error,
        importance=importance,
        segments=tuple(found),
        left_out=left_out,
    )


def _segment(column: str, value: str, labels: Array, scores: Array, days: Array) -> Segment:
    return Segment(
        column=column,
        value=value,
        rows=len(labels),
        label_rate=float(labels.mean()),
        mean_score=float(scores.mean()),
        auc=over_days(lambda at, weights: auc(labels[at], scores[at], weights), days, draws=DRAWS),
    )


def _numbers_by_size(value: str) -> tuple[int, float, str]:
    return (0, float(value), "") if value.lstrip("-").isdigit() else (1, 0.0, value)


_REFIT = (
    "- then trained again on these as well, for as many epochs: what is measured below is the model before "
    "that, which the run keeps as `validated/`"
)


def model_card(manifest: Manifest, run_id: str, measured: Measured) -> str:
    """The card, as Markdown."""
    spec, split = manifest.spec, manifest.split
    content, columns = manifest.content, manifest.columns
    late = [each for each in measured.segments if abs(each.mean_score - each.label_rate) > 0.05]
    weak = [each for each in measured.segments if each.auc.high < measured.overall["auc"].estimate]
    return "\n".join(
        [
            f"# {spec.registered_model}",
            "",
            f"{spec.description}. Trained as of {manifest.as_of}, run `{run_id}`.",
            "",
            "## Data",
            "",
            f"- `{manifest.training_set.table}`, {content.row_count:,} rows, content hash `{content.rows}`",
            f"- trained on {split.train_rows:,} rows before {split.validation_start}; measured below on "
            f"{measured.rows:,} rows of {measured.days} days, up to {split.validation_end}, which chose the "
            "best epoch and nothing else",
            *([_REFIT] if spec.training.refit else []),
            *(f"- from `{pin.table}`" for pin in manifest.upstream if pin.is_source),
            f"- {len(columns.numeric)} numeric and {len(columns.categorical)} categorical features",
            "",
            "## How good",
            "",
            f"{measured.label_rate:.1%} of them have the label. Intervals: {CONFIDENCE:.0%}, over days.",
            "",
            *_table(["metric", "value"], [(name, str(found)) for name, found in measured.overall.items()]),
            "",
            f"Expected calibration error {measured.calibration_error:.4f}: `plots/calibration.png`.",
            "",
            "## By segment",
            "",
            *_table(
                ["", "", "rows", "label rate", "mean score", "AUC"],
                [
                    (
                        each.column,
                        each.value,
                        f"{each.rows:,}",
                        f"{each.label_rate:.3f}",
                        f"{each.mean_score:.3f}",
                        str(each.auc),
                    )
                    for each in measured.segments
                ],
            ),
            "",
            "## What counts",
            "",
            *_table(
                ["feature", "AUC lost when shuffled"],
                [(name, f"{lost:.4f}") for name, lost in list(measured.importance.items())[:SHOWN_FEATURES]],
            ),
            "",
            "## Limits",
            "",
            "- nothing is known of seasons that the training rows lack",
            f"- categories with fewer than {spec.encoding.rare_below} training rows count as unseen",
            *(
                f"- {count} values of {name} have fewer than {FEWEST_ROWS} rows, or fewer than "
                f"{FEWEST_OF_EACH} with or without the label: not measured"
                for name, count in measured.left_out.items()
            ),
            *(f"- ranks worse than overall: {each.column} {each.value}, AUC {each.auc}" for each in weak),
            *(
                f"- off by {each.mean_score - each.label_rate:+.3f} on average: {each.column} {each.value}"
                for each in late
            ),
            "",
            "## How to reproduce it",
            "",
            f"    lakehouse reproduce {run_id} --rebuild --retrain",
            "",
            f"Seed {manifest.seed}, {manifest.environment.threads} threads, {manifest.environment.cpu}; "
            f"commit `{manifest.code.commit}`{' with changes' if manifest.code.dirty else ''}. "
            f"All of it: `{MANIFEST}`.",
            "",
        ]
    )


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(names)} |",
        f"|{'---|' * len(names)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
