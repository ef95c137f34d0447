"""Whether a challenger takes over: both models score one pinned evaluation set, and the spec's rule decides.

The interval of the challenger's gain comes from a bootstrap over days, the same days for both models.
"""

import json
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import SparkSession

from lakehouse.alerts import raise_alert
from lakehouse.delta.place import data_folder
from lakehouse.delta.table import TableVersion
from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress, silent
from ml.data.read import read_arrow
from ml.encoding.arrow import ArrowTable
from ml.encoding.tensors import labels_of
from ml.evaluation import plots
from ml.evaluation.bootstrap import DRAWS, Interval, over_days
from ml.evaluation.metrics import METRICS, Calibration, calibration_by_month, metrics
from ml.model.bundle import Bundle
from ml.provenance.logged_run import measured_bundle
from ml.provenance.manifest import Manifest, manifest_of
from ml.spec import PromotionSpec, Spec
from ml.tracking.registry import CHALLENGER, CHAMPION, ModelVersion, model_by_alias, promote, tag_version
from ml.tracking.runs import log_bytes, log_pictures, run_page

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class EvaluationSet:
    """Rows that neither model was trained on.

    Args:
        table: the pinned version of the challenger's training set.
        as_of: labels known before this day are in, as for the challenger.
        first, last: days of the rows, both included.
    """

    table: TableVersion
    as_of: date
    first: date
    last: date
    days: int
    rows: int


@dataclass(frozen=True)
class Decision:
    """Whether the challenger took over, and why.

    Args:
        champion_metrics, challenger_metrics: on the evaluation set, by name; see `metrics`.
        challenger_calibration: of all rows, and by month; see `calibration_by_month`.
        metric: what the rule looks at.
        reason: the rule and its figures, in words.
    """

    model_name: str
    champion: str
    challenger: str
    evaluation: EvaluationSet
    champion_metrics: dict[str, float]
    challenger_metrics: dict[str, float]
    challenger_calibration: dict[str, Calibration]
    metric: str
    gain: Interval
    promoted: bool
    reason: str


def promote_if_better(spark: SparkSession, spec: Spec, progress: Progress = silent) -> Decision:
    """Compare challenger and champion, promote the challenger if the spec's rule holds, and write it down.

    The decision is logged with the challenger's run, as `promotion/against_version_N.json`, with a picture of
    its calibration on these rows, by month; its reason is the tag `promotion` of the challenger's version.

    Raises:
        LakehouseError: there is no challenger or no champion, or no row that both can be measured on.
    """
    challenger = model_by_alias(spec.registered_model, CHALLENGER)
    champion = model_by_alias(spec.registered_model, CHAMPION)
    decision = decide(spark, spec.promotion, champion, challenger, progress)
    name = f"promotion/against_version_{champion.version}.json"
    log_bytes(challenger.run_id, name, json.dumps(asdict(decision), default=str, indent=1).encode())
    picture = plots.calibration_curve(decision.challenger_calibration)
    log_pictures(challenger.run_id, {f"calibration_against_version_{champion.version}": picture})
    tag_version(decision.model_name, decision.challenger, "promotion", decision.reason)
    page = run_page(challenger.run_id)
    # Last: whoever is stopped before this still has the challenger, and gives the command again.
    if decision.promoted:
        promote(decision.model_name, decision.challenger)
    raise_alert(
        "promotion" if decision.promoted else "refusal",
        decision.model_name,
        f"version {decision.challenger} against champion {decision.champion}: {decision.reason}",
        page,
    )
    return decision


def promote_by_name(spec: Spec, version: str, by: str, reason: str) -> str | None:
    """Make a version the champion without the rule; who did so and why is written down with it.

    Returns:
        the version that was champion before.

    Raises:
        LakehouseError: name or reason is missing, or there is no such version.
    """
    if not by.strip() or not reason.strip():
        raise LakehouseError(
            "a promotion without the rule needs a name and a reason", "give --by and --reason"
        )
    before = promote(spec.registered_model, version)
    said = f"promoted by {by.strip()}: {reason.strip()}"
    tag_version(spec.registered_model, version, "promotion", said)
    raise_alert("promotion", spec.registered_model, f"version {version}: {said}")
    return before


def decide(
    spark: SparkSession,
    rule: PromotionSpec,
    champion: ModelVersion,
    challenger: ModelVersion,
    progress: Progress = silent,
) -> Decision:
    """Measure two versions of a model on the same rows, and apply the rule; nothing is changed.

    The rows are those of the challenger's pinned training set from the first day on that neither was trained
    on: its validation month, where it chose its best epoch and nothing else, and what was known after it.
    Of a version that was trained again on its validation month (`training.refit`) the one before is measured.

    Raises:
        LakehouseError: the champion reads a feature that is gone, or there is no such row.
    """
    manifest = manifest_of(challenger.run_id)
    first = max(manifest.split.validation_start, manifest_of(champion.run_id).split.validation_start)
    bundles = {version: measured_bundle(version) for version in (champion, challenger)}
    rows = _read(spark, manifest, bundles[champion], first)
    days = rows.column(manifest.columns.partition).cast(pa.date32()).to_numpy()
    evaluation = EvaluationSet(
        table=manifest.training_set.table,
        as_of=manifest.as_of,
        first=days.min().item(),
        last=days.max().item(),
        days=len(np.unique(days)),
        rows=rows.num_rows,
    )
    labels = labels_of(rows, str(manifest.columns.label))
    progress(f"scoring {rows.num_rows} rows from {evaluation.first} to {evaluation.last} with both models")
    before, after = (bundles[version].predict(rows) for version in (champion, challenger))
    progress(f"drawing {evaluation.days} days {DRAWS} times")
    gain = gain_by_days(rule, labels, before, after, days)
    promoted, reason = verdict(rule, gain, evaluation.days)
    return Decision(
        model_name=challenger.name,
        champion=champion.version,
        challenger=challenger.version,
        evaluation=evaluation,
        champion_metrics=metrics(labels, before),
        challenger_metrics=metrics(labels, after),
        challenger_calibration=calibration_by_month(labels, after, days),
        metric=rule.metric,
        gain=gain,
        promoted=promoted,
        reason=reason,
    )


def _read(spark: SparkSession, manifest: Manifest, champion: Bundle, first: date) -> ArrowTable:
    columns = manifest.columns
    gone = sorted(set(champion.encoding.features) - set(columns.features))
    if gone:
        raise LakehouseError(
            f"the champion reads {', '.join(gone)}, which {manifest.training_set.table} no longer has",
            "the two have no rows in common: `lakehouse promote --version N --by NAME --reason WHY`",
        )
    names = (columns.partition, str(columns.label), *columns.features)
    training_set = manifest.training_set
    folder = data_folder(spark, training_set.name, training_set.version)
    rows = read_arrow(folder, manifest.pinned, names)
    days = rows.column(columns.partition).cast(pa.date32()).to_numpy()
    rows = rows.filter(pa.array(days >= np.datetime64(first)))
    if rows.num_rows == 0:
        raise LakehouseError(
            f"{manifest.training_set.table} as of {manifest.as_of} has no row from {first} on",
            "train the challenger as of a later day",
        )
    return rows


def gain_by_days(
    rule: PromotionSpec, labels: Array, before: Array, after: Array, days: Array, draws: int = DRAWS
) -> Interval:
    """How much better scores are than others in the rule's metric; above 0 is better, whatever the metric.

    Args:
        labels, before, after, days: `(rows,)` each.
    """
    measure, more_is_better = METRICS[rule.metric]

    def gain(rows: Array, weights: Array) -> float:
        champion, challenger = (measure(labels[rows], scores[rows], weights) for scores in (before, after))
        return challenger - champion if more_is_better else champion - challenger

    return over_days(gain, days, rule.confidence, draws)


def verdict(rule: PromotionSpec, gain: Interval, days: int) -> tuple[bool, str]:
    """Whether the rule holds, and why, in words."""
    figures = f"{rule.metric}: gain {gain.signed} at {rule.confidence:.0%} over {days} days"
    if days < rule.min_days:
        return False, f"refused: {figures}; the rule asks for {rule.min_days} days"
    if gain.low > rule.min_gain:
        return True, f"promoted: {figures}; all of it is above {rule.min_gain:g}"
    return False, f"refused: {figures}; the rule asks for all of it above {rule.min_gain:g}"
