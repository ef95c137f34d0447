"""A version of a training set, as it was known at a date, read by Arrow or by Spark."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.delta.table import TableVersion, read_at
from lakehouse.errors import LakehouseError
from ml.data.columns import Columns


@dataclass(frozen=True)
class TrainingSet:
    """The rows of a pinned table whose label was known at a moment.

    Args:
        table: the pinned version.
        columns: its columns by role, label columns among them.
        as_of: a local day; labels known before it began are in.
        as_of_at: its beginning, in UTC.
    """

    table: TableVersion
    columns: Columns
    as_of: date
    as_of_at: datetime


def training_set(table: TableVersion, columns: Columns, as_of: date, time_zone: str) -> TrainingSet:
    """The training set of a date.

    Raises:
        LakehouseError: the columns have no label, label time or label end.
    """
    if columns.label is None or columns.label_time is None or columns.label_end is None:
        raise LakehouseError(
            f"{table.name} has no columns with the roles label, label_time and label_end",
            "add them to the training model's YAML",
        )
    return TrainingSet(table, columns, as_of, start_of_day(as_of, time_zone))


def start_of_day(day: date, time_zone: str) -> datetime:
    """When a local day begins, in UTC.

    >>> start_of_day(date(2013, 10, 1), "America/New_York").isoformat()
    '2013-10-01T04:00:00+00:00'
    """
    return datetime.combine(day, time(), ZoneInfo(time_zone)).astimezone(UTC)


def read_spark(spark: SparkSession, pinned: TrainingSet) -> DataFrame:
    """All columns of the training set.

    Raises:
        LakehouseError: the table is gone or was recreated since it was pinned.
    """
    return _as_known(read_at(spark, pinned.table), pinned)


def _as_known(df: DataFrame, pinned: TrainingSet) -> DataFrame:
    as_of = F.lit(pinned.as_of_at)
    ends = F.col(str(pinned.columns.label_end))
    return df.where((F.col(str(pinned.columns.label_time)) <= as_of) & (ends.isNull() | (ends > as_of)))


class Parts(Protocol):
    """How many rows are trained on and how many choose the best epoch, and where the line between is."""

    @property
    def train_rows(self) -> int: ...
    @property
    def validation_rows(self) -> int: ...
    @property
    def validation_start(self) -> date: ...
    @property
    def validation_end(self) -> date: ...


@dataclass(frozen=True)
class Split:
    """Which rows are trained on and which choose the best epoch.

    Args:
        train, validation: masks over the rows.
        validation_start, validation_end: first day in the validation month, first day after it.
    """

    train: npt.NDArray[np.bool_]
    validation: npt.NDArray[np.bool_]
    validation_start: date
    validation_end: date

    @property
    def train_rows(self) -> int:
        return int(self.train.sum())

    @property
    def validation_rows(self) -> int:
        return int(self.validation.sum())

    def without_validation(self) -> "Split":
        """All rows of both parts, to be trained on."""
        everything, end = self.train | self.validation, self.validation_end
        return Split(everything, np.zeros_like(everything), end, end)


def validation_month(as_of: date) -> tuple[date, date]:
    """The last whole month before a day: its first day, and the first day after it.

    >>> [str(day) for day in validation_month(date(2013, 10, 1))]
    ['2013-09-01', '2013-10-01']
    >>> [str(day) for day in validation_month(date(2013, 1, 31))]
    ['2012-12-01', '2013-01-01']
    """
    end = as_of.replace(day=1)
    return (end - timedelta(days=1)).replace(day=1), end


def split(days: Any, as_of: date) -> Split:
    """Split rows by their local day.

    Args:
        days: Arrow array of dates, one for each row.

    Raises:
        LakehouseError: there is no row to train on, or none to validate with.
    """
    parts = split_at(days, *validation_month(as_of))
    check_split(as_of, parts)
    return parts


def check_split(as_of: date, parts: Parts) -> None:
    """Refuse a split that lacks a part.

    Raises:
        LakehouseError: there is no row to train on, or none to validate with.
    """
    if parts.train_rows == 0 or parts.validation_rows == 0:
        start = parts.validation_start
        raise LakehouseError(
            f"as of {as_of} there are {parts.train_rows} rows before {start} to train on, "
            f"and {parts.validation_rows} rows in {start:%B %Y} to validate with",
            "choose another --as-of, or ingest and publish what is missing",
        )


def split_at(days: Any, start: date, end: date) -> Split:
    """Split rows by their local day: those before `start` train, those up to `end` validate.

    Args:
        days: Arrow array of dates, one for each row.
        end: the first day after the validation.
    """
    numbered = days.cast(pa.date32()).to_numpy(zero_copy_only=False)
    train = numbered < np.datetime64(start)
    validation = (numbered < np.datetime64(end)) & ~train
    return Split(train, validation, start, end)
