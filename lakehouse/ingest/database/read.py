"""Asks a database through Spark: columns, the newest watermark, counts, and the rows, by Spark's tasks."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, cast

from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.ingest.database.connect import Connection, DatabaseError, asking
from lakehouse.ingest.database.declared import Database
from lakehouse.ingest.database.dialect import (
    Dialect,
    Projected,
    TypeProblemError,
    dialect,
    is_whole,
)
from lakehouse.ingest.database.plan import Mark, Window, ranges
from lakehouse.ingest.declared import Column
from lakehouse.ingest.source import Source

# Columns of a load that bronze has not: the text of values that it cannot hold, by the column's place.
RAW = "lakehouse_raw_"
_WATERMARK, _PARTITION = "lakehouse_watermark", "lakehouse_partition"


@dataclass(frozen=True)
class Newest:
    """What the database says when a load begins.

    Args:
        mark: its greatest watermark; None where it has no row.
        now: its clock, UTC.
    """

    mark: Mark | None
    now: datetime


@dataclass(frozen=True)
class Counted:
    """Rows of a window, and the least and greatest of the keys by which they are divided, if they are."""

    rows: int
    least: int | None = None
    greatest: int | None = None


class Table:
    """A table or query of a database, as one source declares it.

    Making one asks for the columns.

    Raises:
        DatabaseError: it cannot be read, or has not the columns that the source declares.
    """

    def __init__(self, spark: SparkSession, source: Source, connection: Connection) -> None:
        database = source.database
        assert database is not None, f"{source.name} reads no database"  # noqa: S101 - asked by the caller
        self._spark = spark
        self.source = source
        self.database: Database = database
        self.connection = connection
        self.shown = database.table or "its query"
        self.dialect: Dialect = dialect(connection.is_postgres)
        base = database.table or f"({database.query}\n)"
        self._base = f"{base} lakehouse_source"
        with self.asking():
            empty = self._frame(f"(select * from {self._base} where 1 = 0) lakehouse_columns")
            self._found = {field.name: field.dataType.simpleString() for field in empty.schema.fields}
        self.projected = self._projected()

    @property
    def label(self) -> str:
        """Where its rows come from, for people and for `_source_file`."""
        return f"{self.connection.shown} {self.database.table or '(query)'}"

    @cached_property
    def columns(self) -> list[Column]:
        """The declared columns that the database has."""
        return [column for column in self.source.columns if column.name != self.database.deleted_column]

    def newest(self) -> Newest:
        """The greatest watermark and the database's clock, by one statement."""
        name = self._watermark
        greatest = f"max({name})"
        if not self._is_zoned and self.connection.is_postgres:
            greatest = f"{greatest} at time zone 'UTC'"
        is_time = self._found[self._own_name(str(self.database.watermark))].startswith("timestamp")
        where = self.dialect.is_finite(name) if is_time else "1 = 1"
        row = self._one(
            f"(select {greatest} as newest, current_timestamp as asked_at from {self._base} where {where}) "
            "lakehouse_newest"
        )
        mark = row["newest"]
        return Newest(_utc(mark) if isinstance(mark, datetime) else mark, _utc(row["asked_at"]))

    def count(self, window: Window) -> Counted:
        """How many rows a load of this window reads, by now, and between which keys."""
        within, never = self._parts(self._watermark, window)
        keys = "count(*)"
        if self._is_ranged:
            column = self.dialect.quoted(str(self._partition_by))
            keys = f"count(*), min({column}), max({column})"
        names = ", ".join(["row_count", "least_key", "greatest_key"][: keys.count(",") + 1])
        row = self._one(
            f"(select * from (select {keys} from {self._base} where {within}) lakehouse_within ({names}), "
            f"(select count(*) from {self._base} where {never}) lakehouse_never (odd_count)) lakehouse_count"
        )
        return Counted(
            int(row["row_count"]) + int(row["odd_count"]), row.get("least_key"), row.get("greatest_key")
        )

    def rows(self, window: Window | None, counted: Counted | None = None) -> DataFrame:
        """The rows of a window, or all of them: the declared columns, and texts of what bronze cannot hold.

        Each range is a connection, and a snapshot, of its own. Without a window it is one statement.

        Args:
            counted: by which the ranges are laid.
        """
        selected = [f"{each.sql} as {self.dialect.quoted(name)}" for name, each in self.projected.items()]
        selected += [f"{sql} as {self.dialect.quoted(name)}" for name, sql in self._raw.items()]
        for alias, name in ((_WATERMARK, self.database.watermark), (_PARTITION, self._partition_by)):
            column = self._named(name)
            if column is not None:
                selected.append(f"{column} as {self.dialect.quoted(alias)}")
        frame = self._frame(
            f"(select {', '.join(selected)} from {self._base}) lakehouse_load",
            None if window is None else self._predicates(window, counted),
        )
        declared = [F.col(column.name).cast(column.type).alias(column.name) for column in self.columns]
        return frame.select(*declared, *self._raw)

    def empty(self) -> DataFrame:
        """What `rows` gives where there are none."""
        nothing = [f"cast(null as {column.type}) as {column.name}" for column in self.columns]
        nothing += [f"cast(null as string) as {name}" for name in self._raw]
        return self._spark.sql(f"select {', '.join(nothing)} where 1 = 0")

    def keys(self) -> DataFrame:
        """The keys that the table has, by one statement, so of one moment."""
        selected = ", ".join(
            f"{self.projected[key].sql} as {self.dialect.quoted(key)}" for key in self.source.keys
        )
        types = {column.name: column.type for column in self.columns}
        frame = self._frame(f"(select {selected} from {self._base}) lakehouse_keys")
        return frame.select(*[F.col(key).cast(types[key]).alias(key) for key in self.source.keys])

    def reason(self, required: frozenset[str]) -> Expression:
        """Why a row of `rows` cannot land, as text; NULL of those that can."""
        reasons: list[Expression] = []
        for place, column in enumerate(self.columns):
            raw = f"{RAW}{place}"
            if raw in self._raw:
                problem = self.projected[column.name].problem
                said = F.concat(F.lit(f"column {column.delivered_name}: '"), raw, F.lit(f"' {problem}"))
                reasons.append(F.when(F.col(raw).isNotNull(), said))
            if column.name in required:
                said = F.lit(f"column {column.delivered_name}: has no value, and one is required")
                reasons.append(F.when(F.col(column.name).isNull(), said))
        return F.coalesce(F.lit(None).cast("string"), *reasons)

    def as_json(self) -> Expression:
        """A row of `rows` as the database has it, with the columns' names there."""
        values: list[Expression] = []
        for place, column in enumerate(self.columns):
            value = F.col(column.name)
            raw = f"{RAW}{place}"
            if raw in self._raw:
                value = F.coalesce(F.col(raw), value.cast("string"))
            values.append(value.alias(column.delivered_name))
        return F.to_json(F.struct(*values), {"ignoreNullFields": "false"})

    @cached_property
    def _raw(self) -> dict[str, str]:
        texts = {
            f"{RAW}{place}": self.projected[column.name].raw for place, column in enumerate(self.columns)
        }
        return {name: sql for name, sql in texts.items() if sql is not None}

    def _projected(self) -> dict[str, Projected]:
        missing = [each.delivered_name for each in self.columns if each.delivered_name not in self._found]
        missing += [name for name in (self.database.partition_by,) if name and name not in self._found]
        if missing:
            raise self._refused(f"lacks column {', '.join(dict.fromkeys(missing))}")
        projected: dict[str, Projected] = {}
        problems: list[str] = []
        for column in self.columns:
            found = self._found[column.delivered_name]
            try:
                projected[column.name] = self.dialect.project(column, found, self.database.zone)
            except TypeProblemError as problem:
                problems.append(f"column {column.delivered_name} {problem}")
        if problems:
            raise self._refused("; ".join(problems))
        if self.database.watermark and not self._is_zoned and self.database.zone not in (None, "UTC"):
            # Where clocks are set back, a later change has an earlier time.
            raise self._refused(
                f"column {self.database.watermark} keeps local times of {self.database.zone}, which do not "
                "only grow: a watermark needs a zone, or `zone: UTC`"
            )
        return projected

    def _refused(self, what: str) -> DatabaseError:
        return DatabaseError(
            f"{self.source.name}: {self.shown} of {self.connection.shown} {what}",
            f"change sources/{self.source.name}.yml; what a type does not hold, a `query` can cast",
        )

    @property
    def _is_zoned(self) -> bool:
        """Whether the watermark is an instant, or a number: not a time without a zone."""
        watermark = self.database.watermark
        return watermark is None or self._found[self._own_name(watermark)] != "timestamp_ntz"

    @property
    def _partition_by(self) -> str | None:
        return self.database.partition_by if self.database.partitions > 1 else None

    @property
    def _watermark(self) -> str:
        watermark = self._named(self.database.watermark)
        assert watermark is not None, f"{self.source.name} has no watermark"  # noqa: S101 - asked by the caller
        return watermark

    def _own_name(self, name: str) -> str:
        """A column's name in the database, by its declared name or its own."""
        return next((each.delivered_name for each in self.columns if each.name == name), name)

    def _named(self, name: str | None) -> str | None:
        """The same, quoted."""
        return None if name is None else self.dialect.quoted(self._own_name(name))

    def _parts(self, watermark: str, window: Window) -> list[str]:
        """The conditions of a window's rows, and of those that no window has."""
        return [
            self.dialect.within(watermark, window, self._is_zoned),
            self.dialect.never(watermark, window),
        ]

    def _predicates(self, window: Window, counted: Counted | None) -> list[str]:
        within, never = self._parts(self.dialect.quoted(_WATERMARK), window)
        return [*(f"{within} and {part}" for part in self._ranges(counted)), never]

    @property
    def _is_ranged(self) -> bool:
        return self._partition_by is not None and is_whole(self._found[self._partition_by])

    def _ranges(self, counted: Counted | None) -> Sequence[str]:
        alias, count = self.dialect.quoted(_PARTITION), self.database.partitions
        if self._partition_by is None or counted is None:
            return ["1 = 1"]
        if self._is_ranged:
            return ranges(alias, counted.least, counted.greatest, count)
        try:
            return self.dialect.shares(alias, count)
        except TypeProblemError as problem:
            raise self._refused(f"column {self._partition_by} {problem}") from problem

    def _one(self, table: str) -> Mapping[str, Any]:
        with self.asking():
            (row,) = self._frame(table).toArrow().to_pylist()
        return {name.lower(): value for name, value in cast(Mapping[str, Any], row).items()}

    def _frame(self, table: str, predicates: list[str] | None = None) -> DataFrame:
        properties = dict(self.connection.options)
        if predicates is None:
            return self._spark.read.jdbc(self.connection.url, table, properties=properties)
        return self._spark.read.jdbc(self.connection.url, table, predicates=predicates, properties=properties)

    def asking(self) -> AbstractContextManager[None]:
        return asking(self.connection, self.shown)


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
