"""Scores of many rows in one Spark job, by the model and the code that travel with it."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import compress

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyspark.cloudpickle as cloudpickle
import torch
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, IntegerType, StringType, StructField, StructType

import lakehouse
import ml
from lakehouse.delta.table import TableVersion, local_folder, read_at
from lakehouse.errors import LakehouseError
from ml.data.columns import Columns
from ml.data.parquet import Piece, PieceReader, as_dictionary, day_of, open_version, pieces, readable
from ml.encoding.arrow import ArrowBatches, ArrowColumn, ArrowTable, ScoredBatches
from ml.encoding.encode import compute
from ml.model.bundle import Bundle

# Functions of ours go to Spark's workers as code, not as names of modules that these would have to find.
for _package in (ml, lakehouse):
    cloudpickle.register_pickle_by_value(_package)

_ADDED = (
    StructField("score", DoubleType()),
    StructField("score_bits", IntegerType()),
    StructField("missing_features", IntegerType()),
    StructField("unseen_categories", StringType()),
)
# Files of few rows are read by one task, so that the model isn't loaded for each of them.
_TASK_ROWS = 20_000
_BATCH_ROWS = 32_768


def score_version(
    spark: SparkSession,
    table: TableVersion,
    columns: Columns,
    files: dict[str, bytes],
    start: date,
    end: date,
) -> DataFrame:
    """The scores of some days of a version of a table, as `with_scores` has them.

    Where the table lies on this machine's disk, Spark's workers read its files themselves, by Arrow: handing
    over a hundred columns row by row takes Spark several times as long as scoring them.

    Args:
        start, end: first and last day, local, both included.

    Raises:
        LakehouseError: as `with_scores`, or the version cannot be read.
    """
    folder = local_folder(table.name)
    if folder is None:
        day = F.col(columns.partition)
        days = read_at(spark, table).where(day.between(F.lit(start), F.lit(end)))
        return with_scores(days, columns, files)
    kept, features = _kept(columns), Bundle.from_files(files).encoding.features
    with readable(folder, table), ThreadPoolExecutor() as pool:
        dataset = open_version(folder, table, kept)
        _check_features(features, dataset.schema.names)
        schema = pa.schema(
            [
                *(dataset.schema.field(name) for name in kept),
                *(as_dictionary(dataset.schema.field(name)) for name in features),
            ]
        )
        day = day_of(dataset, columns.partition)
        chosen = (day >= pa.scalar(start)) & (day <= pa.scalar(end))
        tasks = _tasks(pieces(folder, dataset, chosen, pool.map))

    def rows_of(batches: ArrowBatches) -> ArrowBatches:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                for piece in tasks[number]:
                    with PieceReader(piece, schema) as reader:
                        for rows in reader.batches(_BATCH_ROWS):
                            yield from _between(rows, columns.partition, start, end).to_batches()

    numbers = spark.range(0, len(tasks), 1, len(tasks))
    fields = read_at(spark, table).select(*kept).schema.fields
    return numbers.mapInArrow(_scored(kept, files, rows_of), StructType([*fields, *_ADDED]))


def with_scores(rows: DataFrame, columns: Columns, files: dict[str, bytes]) -> DataFrame:
    """Entity, event time, partition, `score` and the `score_bits` of its float, for each row.

    Beside them what the model did not know of the row: `missing_features` counts those that are NULL or NaN,
    `unseen_categories` names the categorical ones with a value that is too rare in training, or not there.

    The model and the code that runs it travel with the job: the engine's Python workers don't need this
    checkout. It is loaded once per task. Features that came after the model are not read.

    Raises:
        LakehouseError: a feature that the model was trained on is gone.
    """
    kept, features = _kept(columns), Bundle.from_files(files).encoding.features
    _check_features(features, rows.columns)
    fields = rows.select(*kept).schema.fields
    return rows.select(*kept, *features).mapInArrow(
        _scored(kept, files, lambda batches: batches), StructType([*fields, *_ADDED])
    )


def _kept(columns: Columns) -> list[str]:
    return [*columns.entity, columns.event_time, columns.partition]


def _check_features(features: Sequence[str], there: Sequence[str]) -> None:
    gone = [name for name in features if name not in there]
    if gone:
        raise LakehouseError(
            f"the model needs {', '.join(gone)}, which the features no longer have",
            "train a model on today's features and promote it",
        )


def _tasks(found: Iterable[Piece]) -> list[list[Piece]]:
    """Pieces of at least `_TASK_ROWS` together."""
    tasks: list[list[Piece]] = [[]]
    rows = 0
    for piece in found:
        if rows >= _TASK_ROWS:
            tasks.append([])
            rows = 0
        tasks[-1].append(piece)
        rows += piece.rows
    return tasks


def _between(rows: ArrowTable, column: str, start: date, end: date) -> ArrowTable:
    """The rows of some days; not copied where that is all of them."""
    day = rows.column(column).cast(pa.date32())
    chosen = compute.and_(
        compute.greater_equal(day, pa.scalar(start)), compute.less_equal(day, pa.scalar(end))
    )
    return rows if compute.all(chosen, skip_nulls=False).as_py() else rows.filter(chosen)


def _scored(
    kept: Sequence[str], files: dict[str, bytes], rows_of: Callable[[ArrowBatches], ArrowBatches]
) -> Callable[[ArrowBatches], ScoredBatches]:
    """What a task does.

    Args:
        rows_of: the rows to score, from what Spark hands over.
    """

    def scored(batches: ArrowBatches) -> ScoredBatches:
        # Spark runs a task on each core: more threads would only stand in each other's way.
        torch.set_num_threads(1)
        pa.set_cpu_count(1)
        bundle = Bundle.from_files(files)
        for rows in rows_of(batches):
            scores = bundle.score(rows)
            arrays = [
                *(rows.column(name) for name in kept),
                pa.array(scores.probability.astype("float64")),
                pa.array(scores.probability.view("int32")),
                pa.array(scores.missing),
                _named(scores.unseen, tuple(bundle.encoding.categories)),
            ]
            yield pa.RecordBatch.from_arrays(arrays, names=[*kept, *(field.name for field in _ADDED)])

    return scored


def _named(chosen: npt.NDArray[np.bool_], names: Sequence[str]) -> ArrowColumn:
    """The chosen names of each row as one text, NULL where none is; few rows have any."""
    texts: list[str | None] = [None] * len(chosen)
    for row in np.flatnonzero(chosen.any(axis=1)):
        texts[row] = ", ".join(compress(names, chosen[row]))
    return pa.array(texts, pa.string())
