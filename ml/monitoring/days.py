"""Judged days of a spec: the marts' figures beside those of the days before them and of the training set."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakehouse.dbt.manifest import DbtModels, current_models
from lakehouse.dbt.reference import TABLE
from lakehouse.delta.files import rows_by_day
from lakehouse.delta.table import local_folder, table_exists
from lakehouse.engine.query import query
from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress, silent
from ml.data.columns import columns_of
from ml.monitoring.judge import JudgedDay, judge
from ml.monitoring.keep import ensure_reference
from ml.monitoring.reference import CALIBRATION_NAME, DayStatistic, Reference
from ml.spec import Spec
from ml.tracking.registry import model_version

_DRIFT = (
    "model_version",
    "feature",
    "row_count",
    "stability_index",
    "missing_share",
    "unseen_share",
    "reference_missing_share",
    "reference_unseen_share",
)
_QUALITY = ("model_version", "scored_count", "labelled_count", "late_share", "mean_score")


@dataclass(frozen=True)
class Shares:
    """How much of a feature's values of a day were missing, or not in the training set; there as well."""

    missing: float
    unseen: float
    reference_missing: float
    reference_unseen: float


@dataclass(frozen=True)
class MonitoredDay:
    """A day of a model version, judged.

    Args:
        shares: by feature.
    """

    model_version: str
    judged: JudgedDay
    shares: Mapping[str, Shares]

    @property
    def day(self) -> date:
        """The day itself."""
        return self.judged.day


def monitored_days(
    spark: SparkSession,
    spec: Spec,
    first: date,
    last: date,
    progress: Progress = silent,
    models: DbtModels | None = None,
    references: str = TABLE,
) -> list[MonitoredDay]:
    """Judge the days that were scored, each by each version that scored it.

    Args:
        first, last: local days, both included.
        models: what dbt says; by default this checkout's production models.
        references: the table of them.

    Returns:
        by day, then by version; nothing of days without a score.

    Raises:
        LakehouseError: the spec is not monitored, or a version's reference cannot be made any more.
    """
    models = models or current_models()
    rule = spec.monitoring
    if rule.drift_model is None:
        raise LakehouseError(
            f"the scores of {spec.name} are not monitored",
            "give its spec `monitoring: {drift_model: …}`: docs/monitoring.md says how to make that mart",
        )
    day = columns_of(models, spec.features_model).partition
    earliest = first - timedelta(days=rule.season_days)
    drift = _read(spark, models.table(rule.drift_model), (day, *_DRIFT), spec, day, (earliest, last))
    quality = (
        _read(spark, models.table(rule.quality_model), (day, *_QUALITY), spec, day, (earliest, last))
        if rule.quality_model is not None
        else []
    )
    population = _population(spark, models, spec, day, (earliest, last))
    figures, shares = figures_of(drift, quality, day, rule.min_labelled_share, population)
    # Of the days that are judged: one of before may have left the registry.
    versions = sorted({version for version, at in figures if first <= at <= last}, key=_by_number)
    references_of = {
        version: ensure_reference(
            spark, spec, model_version(spec.registered_model, version), progress, references
        )
        for version in versions
    }
    found: list[MonitoredDay] = []
    for (version, at), of_day in sorted(
        figures.items(), key=lambda item: (item[0][1], _by_number(item[0][0]))
    ):
        if first <= at <= last:
            past = _past(figures, version, at, references_of[version])
            judged = judge(at, of_day, past, rule)
            found.append(MonitoredDay(version, judged, shares.get((version, at), {})))
    return found


_Key = tuple[str, date]


def _by_number(version: str) -> tuple[int, str]:
    """Versions in their order: 10 after 9."""
    return len(version), version


def _population(
    spark: SparkSession, models: DbtModels, spec: Spec, day: str, days: tuple[date, date]
) -> dict[date, int]:
    """How many rows each day is to have; nothing where the spec names no population."""
    if spec.population_model is None:
        return {}
    table = models.table(spec.population_model)
    found = rows_by_day(table, day, *days)
    if found is not None:
        return found
    counted = (
        f"select {day} as day, count(*) as row_count from {table} "
        f"where {day} between date'{days[0]}' and date'{days[1]}' group by 1"
    )
    return {row["day"]: row["row_count"] for row in query(spark, counted).toArrow().to_pylist()}


def figures_of(
    drift: Sequence[Mapping[str, Any]],
    quality: Sequence[Mapping[str, Any]],
    day: str,
    labelled: float,
    population: Mapping[date, int],
) -> tuple[dict[_Key, dict[str, DayStatistic]], dict[_Key, dict[str, Shares]]]:
    """The marts' rows by version and day.

    Only what is due has features and scores: of a day of which a part is due there is no figure yet, as its
    hours are like those of no whole day. The day itself is there.
    """
    figures: defaultdict[_Key, dict[str, DayStatistic]] = defaultdict(dict)
    shares: defaultdict[_Key, dict[str, Shares]] = defaultdict(dict)
    for row in drift:
        key, name = (row["model_version"], row[day]), row["feature"]
        of_day = figures[key]
        if row["row_count"] >= population.get(row[day], 0):
            of_day[name] = DayStatistic(row[day], row["stability_index"], row["row_count"])
        shares[key][name] = Shares(
            row["missing_share"],
            row["unseen_share"],
            row["reference_missing_share"],
            row["reference_unseen_share"],
        )
    for row in quality:
        key = (row["model_version"], row[day])
        # A day whose flights are still in the air says nothing yet.
        enough = row["labelled_count"] and row["labelled_count"] >= labelled * row["scored_count"]
        if enough and key in figures:
            gap = row["late_share"] - row["mean_score"]
            figures[key][CALIBRATION_NAME] = DayStatistic(row[day], gap, row["labelled_count"])
    return dict(figures), dict(shares)


def _past(
    figures: Mapping[_Key, Mapping[str, DayStatistic]], version: str, day: date, reference: Reference
) -> dict[str, list[DayStatistic]]:
    """What a day may be compared with: earlier days of the version, and before them its training set's."""
    served = {at for of_version, at in figures if of_version == version and at < day}
    past = {
        name: [each for each in days if each.day not in served and each.day < day]
        for name, days in reference.days.items()
    }
    for at in sorted(served):
        for name, figure in figures[version, at].items():
            past.setdefault(name, []).append(figure)
    return past


def _read(
    spark: SparkSession,
    table: str,
    columns: Sequence[str],
    spec: Spec,
    day: str,
    days: tuple[date, date],
) -> list[dict[str, Any]]:
    """Rows of a mart: of some days, and of the spec's model; from its files where they lie here."""
    if not table_exists(spark, table):
        raise LakehouseError(
            f"{table} does not exist yet", 'build it: lakehouse materialize --select "group:marts" --date DAY'
        )
    folder = local_folder(table)
    if folder is not None:
        filters: Any = [
            (day, ">=", days[0]),
            (day, "<=", days[1]),
            ("model_name", "=", spec.registered_model),
        ]
        rows: pa.Table = DeltaTable(folder).to_pyarrow_table(columns=list(columns), filters=filters)
        return rows.to_pylist()
    selected = (
        f"select {', '.join(columns)} from {table} where {day} between date'{days[0]}' and date'{days[1]}' "
        f"and model_name = '{spec.registered_model}'"
    )
    return query(spark, selected).toArrow().to_pylist()
