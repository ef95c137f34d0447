"""A model version's reference: made once, kept with its run as JSON and as rows that SQL joins."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import json

import numpy as np
import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.dbt.reference import REFERENCE, TABLE
from lakehouse.delta.place import data_folder
from lakehouse.delta.table import create_table, is_conflict, sql_text, table_exists
from lakehouse.engine.query import query
from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress, silent
from ml.data.training_rows import TrainingRows, scored
from ml.encoding.arrow import ArrowTable
from ml.encoding.encode import Encoding, category_codes, numbers
from ml.encoding.tensors import labels_of
from ml.model.bundle import Bundle
from ml.monitoring.reference import (
    CALIBRATION_NAME,
    CATEGORICAL,
    MISSING,
    NUMERIC,
    SCORE,
    SCORE_NAME,
    UNSEEN,
    Array,
    Bins,
    DayStatistic,
    Reference,
    calibration_days,
    describe,
    numeric_bin,
    numeric_bounds,
)
from ml.provenance.logged_run import files_of, measured_bundle
from ml.provenance.manifest import Manifest, manifest_of
from ml.spec import Spec
from ml.tracking.registry import ModelVersion
from ml.tracking.runs import find_artifact, log_bytes
from ml.training.fit_bundle import split_training_rows

FILE = "monitoring/reference.json"
_ATTEMPTS = 5
_USER_METADATA = "userMetadata"


def ensure_reference(
    spark: SparkSession,
    spec: Spec,
    version: ModelVersion,
    progress: Progress = silent,
    table: str = TABLE,
) -> Reference:
    """The reference of a registered version; made from its pinned training set where it has none yet.

    However often it is asked for, and by however many at once, the version gets one file and one set of rows.

    Args:
        table: where the rows go.

    Raises:
        LakehouseError: the version's training set can no longer be read.
    """
    kept = find_artifact(version.run_id, FILE)
    if kept is not None:
        reference = Reference.from_json(kept.read_text(encoding="utf-8"))
        if _has_rows(spark, reference, table):
            return reference
    else:
        progress(f"looking at what {version.name} version {version.version} was trained on")
        reference = build_reference(spark, version, spec.monitoring.bins)
        # The file first: it is what the rows are written from, whoever is stopped in between.
        log_bytes(version.run_id, FILE, reference.to_json().encode())
    _write_rows(spark, spec, reference, manifest_of(version.run_id).columns.partition, table)
    return reference


def kept_reference(version: ModelVersion) -> Reference | None:
    """The reference that was kept with a version's run; None where none was made yet."""
    kept = find_artifact(version.run_id, FILE)
    return None if kept is None else Reference.from_json(kept.read_text(encoding="utf-8"))


def build_reference(spark: SparkSession, version: ModelVersion, bins: int) -> Reference:
    """A version's reference, from its pinned training set; nothing is written.

    Features are those of all rows that it was trained or chosen on. Scores and calibration are those of its
    validation month, by the weights that had not seen it.
    """
    manifest = manifest_of(version.run_id)
    columns, split = manifest.columns, manifest.split
    folder = data_folder(spark, manifest.training_set.name, manifest.training_set.version)
    rows = split_training_rows(
        folder, manifest.spec, manifest.pinned, split.validation_start, split.validation_end
    )
    features, _ = rows.without_validation().to_learn_from()
    encoding = Bundle.from_files(files_of(version)).encoding
    described = _features(features, columns.partition, encoding, bins)
    described |= _scores(rows, manifest, measured_bundle(version), bins)
    return Reference(
        version.name,
        version.version,
        {name: found for name, (found, _) in described.items() if found is not None},
        {name: days for name, (_, days) in described.items()},
    )


_Described = dict[str, tuple[Bins | None, tuple[DayStatistic, ...]]]


def _features(rows: ArrowTable, day: str, encoding: Encoding, bins: int) -> _Described:
    days = _days(rows, day)
    found: _Described = {}
    for name in encoding.edges:
        values = numbers(rows, name)
        bounds = numeric_bounds(values, bins)
        found[name] = describe(NUMERIC, numeric_bin(bounds, values), len(bounds) + 2, days, bounds)
    for name, categories in encoding.categories.items():
        # The encoding says unseen 0 and missing 1, a reference the other way round.
        codes = category_codes(encoding, rows, name)
        at = np.where(codes < 2, 1 - codes, codes)
        found[name] = describe(CATEGORICAL, at, len(categories) + 2, days, categories=categories)
    return found


def _scores(rows: TrainingRows, manifest: Manifest, bundle: Bundle, bins: int) -> _Described:
    columns = manifest.columns
    validation, scores = scored(rows, columns, (columns.partition,), bundle.predict)
    days = _days(validation, columns.partition)
    bounds = numeric_bounds(scores, bins)
    described = describe(SCORE, numeric_bin(bounds, scores), len(bounds) + 2, days, bounds)
    labels = labels_of(validation, str(columns.label))
    return {SCORE_NAME: described, CALIBRATION_NAME: (None, calibration_days(days, labels, scores))}


def _days(rows: ArrowTable, day: str) -> Array:
    return rows.column(day).cast(pa.date32()).to_numpy()


def reference_rows(reference: Reference) -> pa.Table:
    """A reference as the table has it: one row per feature and bin."""
    rows = [
        {
            "model_name": reference.model_name,
            "model_version": reference.model_version,
            "feature": feature,
            "kind": bins.kind,
            "bin": number,
            "bin_from": _at(bins.bounds, number),
            "category": _at(bins.categories, number),
            "is_unseen": number in bins.unseen,
            "row_count": count,
        }
        for feature, bins in reference.bins.items()
        for number, count in enumerate(bins.rows)
    ]
    return pa.Table.from_pylist(rows, _SCHEMA)


_SCHEMA = pa.schema(
    [
        ("model_name", pa.string()),
        ("model_version", pa.string()),
        ("feature", pa.string()),
        ("kind", pa.string()),
        ("bin", pa.int32()),
        ("bin_from", pa.float64()),
        ("category", pa.string()),
        ("is_unseen", pa.bool_()),
        ("row_count", pa.int64()),
    ]
)


def _at(values: tuple[float, ...] | tuple[str, ...], number: int) -> float | str | None:
    """What a bin begins with, or holds; None of the missing ones and of those below or unseen."""
    place = number - 2
    return values[place] if number not in (MISSING, UNSEEN) and place < len(values) else None


def _write_rows(spark: SparkSession, spec: Spec, reference: Reference, day: str, table: str) -> None:
    """Add the rows, if the table has none of the version; the commit notes which days' drift they change.

    Args:
        day: the column of days of the predictions.
    """
    if not table_exists(spark, table):
        create_table(
            spark,
            table,
            REFERENCE.sql_columns,
            cluster_by=[REFERENCE.cluster_by],
            comment="What models were trained on: rows of each feature and of the score by bin.",
            constraints=REFERENCE.checks,
            properties={"delta.isolationLevel": "Serializable"},
        )
    offered = spark.createDataFrame(reference_rows(reference)).coalesce(1)
    missing = query(
        spark,
        f"select offered.* from {{offered}} as offered left anti join {table} as held "
        "on held.model_name = offered.model_name and held.model_version = offered.model_version",
        offered=offered,
    )
    note = json.dumps({"days": _scored_days(spark, spec, reference, day)})
    for _ in range(_ATTEMPTS):
        try:
            missing.writeTo(table).option(_USER_METADATA, note).append()
        except PySparkException as error:
            # Another process came first: its rows are there now.
            if not is_conflict(error):
                raise
        else:
            return
    raise LakehouseError(f"{table}: others wrote to it during all of {_ATTEMPTS} attempts", "run it again")


def _scored_days(spark: SparkSession, spec: Spec, reference: Reference, day: str) -> list[list[str]]:
    """The days whose drift is computed anew with this reference: those that the version has scored before."""
    if not table_exists(spark, spec.predictions_table):
        return []
    found = query(
        spark,
        f"select min({day}) as first, max({day}) as last from {spec.predictions_table} "
        f"where {_is_of(reference)}",
    ).toArrow()
    first, last = found.column("first")[0].as_py(), found.column("last")[0].as_py()
    return [] if first is None else [[first.isoformat(), last.isoformat()]]


def _is_of(reference: Reference) -> str:
    name, version = sql_text(reference.model_name), sql_text(reference.model_version)
    return f"model_name = {name} and model_version = {version}"


def _has_rows(spark: SparkSession, reference: Reference, table: str) -> bool:
    if not table_exists(spark, table):
        return False
    found = query(spark, f"select 1 as one from {table} where {_is_of(reference)} limit 1").toArrow()
    return found.num_rows > 0
