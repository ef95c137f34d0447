"""From the journal into Delta: all online scores into `serving.scores`, those of entities as predictions.

Both are insert-only merges by an id, and a segment is removed after both have committed. Whatever is killed
in between is done again, and finds its rows there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.dbt.manifest import DbtModels
from lakehouse.delta.table import create_table, sql_text
from lakehouse.engine.state import exclusive
from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress, silent
from lakehouse.settings import settings
from ml.data.columns import Columns, columns_of
from ml.scoring.predictions import add_predictions, create_predictions, insert_new
from ml.serving.records import Scored, blocks, rows, segments
from ml.spec import Spec

TABLE = "serving.scores"
_BLOCK_ROWS = 50_000
_COLUMNS = (
    ("score_id", "string not null", pa.string(), "Hash-like name of a row of a request"),
    ("asked_at", "timestamp not null", pa.timestamp("us", "UTC"), "When the request came"),
    ("asked_date", "date not null", pa.date32(), "Day of asked_at, UTC"),
    ("spec", "string not null", pa.string(), "Spec that was asked"),
    ("model_name", "string not null", pa.string(), "Registered model"),
    ("model_version", "string not null", pa.string(), "Version of the registered model"),
    ("role", "string not null", pa.string(), "champion or canary: answered; shadow: scored unheard"),
    ("entity", "string", pa.string(), "Key of the entity, JSON; NULL where the values were given"),
    ("event_time", "timestamp", pa.timestamp("us", "UTC"), "The instant whose knowledge the features hold"),
    ("score", "double not null", pa.float64(), "Probability that the label is true"),
    ("missing_features", "int not null", pa.int32(), "How many features were NULL or not given"),
    ("unseen_categories", "string", pa.string(), "Categorical features with a value that training had not"),
    ("features_table", "string", pa.string(), "Table that the features were read from"),
    ("features_table_id", "string", pa.string(), "Delta's id of that table"),
    ("features_version", "bigint", pa.int64(), "Delta's version of that table"),
    ("release_id", "string", pa.string(), "Release of that version"),
    (
        "given",
        "string",
        pa.string(),
        "Values that came with the request, JSON; NULL where a key did",
    ),
    ("broken_rules", "string", pa.string(), "What the spec's rule for serving said of the row"),
    ("milliseconds", "double not null", pa.float64(), "From the request's arrival until its record was made"),
    ("prediction_id", "string not null", pa.string(), "Hash of what was scored, model version and score"),
)


@dataclass
class Flushed:
    """What a flush did.

    Args:
        read: rows in the journal, those that were in Delta already among them.
        logged: rows that are new in `serving.scores`.
        predictions: new rows of each table of predictions.
        segments_removed, segments_left: files of the journal; those left are being written.
        p50_ms, p99_ms: from a request's arrival until its record was made, over the rows that were read.
        oldest: when the oldest of them was asked for.
        releases: of features, that scores were made from.
    """

    read: int = 0
    logged: int = 0
    predictions: dict[str, int] = field(default_factory=dict[str, int])
    segments_removed: int = 0
    segments_left: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None
    oldest: datetime | None = None
    releases: list[str] = field(default_factory=list[str])


def flush(
    spark: SparkSession, specs: Sequence[Spec], models: DbtModels, progress: Progress = silent
) -> Flushed:
    """Put what the journal holds into Delta, and remove the segments that are closed.

    Raises:
        LakehouseError: a segment is damaged, or it has scores of a spec that is not among `specs`.
    """
    folder, by_name, done = settings().serving_dir / "journal", {spec.name: spec for spec in specs}, Flushed()
    if not any(folder.glob("*.log")):
        return done
    milliseconds: list[np.ndarray[Any, np.dtype[np.float32]]] = []
    with exclusive(settings().serving_dir / "flush.lock"), segments(folder) as found:
        for block in blocks(rows(found), _BLOCK_ROWS):
            progress(f"merging {len(block)} scores into {TABLE}")
            _merge(spark, by_name, models, block, done)
            milliseconds.append(np.array([row.milliseconds for row in block], np.float32))
        for path in found.closed:
            path.unlink()
        done.segments_removed, done.segments_left = len(found.closed), len(found.written)
    if milliseconds:
        p50, p99 = np.quantile(np.concatenate(milliseconds), (0.5, 0.99))
        done.p50_ms, done.p99_ms = round(float(p50), 3), round(float(p99), 3)
        _forget_old(spark, settings().serving_log_days)
    return done


def _merge(
    spark: SparkSession, specs: Mapping[str, Spec], models: DbtModels, block: Sequence[Scored], done: Flushed
) -> None:
    unknown = sorted({row.spec for row in block} - specs.keys())
    if unknown:
        raise LakehouseError(
            f"the journal holds scores of {', '.join(unknown)}, which is not in ml/specs",
            "restore the spec until its scores are flushed",
        )
    done.read += len(block)
    done.logged += _log(spark, block)
    asked = min(row.asked_at for row in block)
    done.oldest = asked if done.oldest is None else min(asked, done.oldest)
    releases = {row.table[3] for row in block if row.table is not None}
    done.releases = sorted({*done.releases, *releases})
    for name in sorted({row.spec for row in block}):
        spec = specs[name]
        of_entities = [row for row in block if row.spec == name and row.key is not None]
        if of_entities:
            added = _predict(spark, spec, models, of_entities)
            table = spec.predictions_table
            done.predictions[table] = done.predictions.get(table, 0) + added


def _log(spark: SparkSession, block: Sequence[Scored]) -> int:
    create_table(
        spark,
        TABLE,
        [(name, f"{kind} comment {sql_text(text)}") for name, kind, _, text in _COLUMNS],
        cluster_by=["asked_date"],
        comment="Every score that was made online, as it was made; one row per row of a request and version.",
    )
    days = [row.asked_at.date() for row in block]
    within = f"there.asked_date between date'{min(days)}' and date'{max(days)}'"
    return insert_new(spark, TABLE, _frame(spark, block), "score_id", within)


def _frame(spark: SparkSession, block: Sequence[Scored]) -> DataFrame:
    schema = pa.schema([(name, kind) for name, _, kind, _ in _COLUMNS])
    return spark.createDataFrame(pa.Table.from_pylist([_logged(row) for row in block], schema))


def _logged(row: Scored) -> dict[str, Any]:
    table, table_id, version, release = row.table or (None, None, None, None)
    return {
        **{name: getattr(row, name) for name, *_ in _COLUMNS if hasattr(row, name)},
        "asked_date": row.asked_at.astimezone(UTC).date(),
        "entity": _json(row.key),
        "features_table": table,
        "features_table_id": table_id,
        "features_version": version,
        "release_id": release,
        "given": _json(row.given),
    }


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _predict(spark: SparkSession, spec: Spec, models: DbtModels, of_entities: Sequence[Scored]) -> int:
    create_predictions(spark, spec, models)
    columns = columns_of(models, spec.features_model)
    once = {row.prediction_id: row for row in reversed(of_entities)}
    frame = spark.createDataFrame(pa.Table.from_pylist([_prediction(columns, row) for row in once.values()]))
    # Keys travel as text; the table says what they are.
    types = {each.name: each.dataType for each in spark.table(spec.predictions_table).schema.fields}
    typed = frame.select(*(F.col(name).cast(kind).alias(name) for name, kind in types.items()))
    days = sorted({row.day for row in once.values() if row.day is not None})
    return add_predictions(spark, spec.predictions_table, typed, columns.partition, ranges(days))


def _prediction(columns: Columns, row: Scored) -> dict[str, Any]:
    assert row.key is not None and row.table is not None  # noqa: S101 - only those of entities come here
    table, table_id, version, _ = row.table
    return {
        **{name: str(row.key[name]) for name in columns.entity},
        columns.event_time: row.event_time,
        columns.partition: row.day,
        "score": row.score,
        "missing_features": row.missing_features,
        "unseen_categories": row.unseen_categories,
        "model_name": row.model_name,
        "model_version": row.model_version,
        "features_table": table,
        "features_table_id": table_id,
        "features_version": version,
        "scored_at": row.asked_at,
        "prediction_id": row.prediction_id,
    }


def ranges(days: Iterable[date]) -> list[tuple[date, date]]:
    """Days as ranges, both ends included.

    >>> [(str(first), str(last)) for first, last in ranges([date(2013, 1, 1), date(2013, 1, 2)])]
    [('2013-01-01', '2013-01-02')]
    """
    found: list[tuple[date, date]] = []
    for day in days:
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def _forget_old(spark: SparkSession, kept_days: int) -> None:
    """Bounded by days before the newest one; what is gone from the log stays among the predictions.

    A service whose clock is ahead must not have the others' scores deleted: no day after today counts.
    """
    ends = spark.sql(f"select min(asked_date) as first, max(asked_date) as last from {TABLE}").collect()[0]
    first_kept = min(ends["last"], datetime.now(UTC).date()) - timedelta(days=kept_days)
    if ends["first"] < first_kept:
        spark.sql(f"delete from {TABLE} where asked_date < date'{first_kept}'")
