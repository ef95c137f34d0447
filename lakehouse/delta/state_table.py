"""State tables: small Delta tables of what was decided, in an order that the tables themselves give.

Each append is one commit and gets one number, `sequence`: the greatest so far plus one, found by the
statement that writes it. Delta records that read, so of two appends at once one conflicts, tries again and
comes later: the order is total, whatever the clocks of the processes say. Times are kept for people only.
Rows of tables made before there was a sequence have none: they come before all others, ordered by their time.
"""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from lakehouse.delta.log import live_files
from lakehouse.delta.table import create_table, is_conflict, local_folder, sql_text, table_exists
from lakehouse.engine.query import query
from lakehouse.engine.state import exclusive
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings

SEQUENCE = "sequence"

# Serializable: an append must notice every other one.
_PROPERTIES = {"delta.isolationLevel": "Serializable"}
_ATTEMPTS = 50
# Each append is a file; so many are put together, so that a read opens few, whatever the table's age.
MOST_FILES = 64


@dataclass(frozen=True)
class StateTable:
    """A state table as it is declared.

    Args:
        name: `schema.table`.
        columns: name, SQL type and Arrow type of each; `sequence` comes after them.
        at: the column of the time at which a row was written, which only orders rows without a sequence.
    """

    name: str
    columns: tuple[tuple[str, str, pa.DataType], ...]
    at: str
    comment: str

    @property
    def _sql_columns(self) -> list[tuple[str, str]]:
        return [*((name, sql_type) for name, sql_type, _ in self.columns), (SEQUENCE, "bigint")]

    @property
    def _schema(self) -> pa.Schema:
        return pa.schema([(name, arrow_type) for name, _, arrow_type in self.columns])

    def append(self, spark: SparkSession, rows: Sequence[Mapping[str, object]]) -> None:
        """Write rows after all others, in one commit.

        Raises:
            LakehouseError: others wrote to the table all the time.
        """
        self._require(spark)
        offered = spark.createDataFrame(pa.Table.from_pylist([dict(row) for row in rows], self._schema))
        # What is known to be there need not be looked at again: Delta skips the files before it.
        known = self._known_sequence()
        numbered = query(
            spark,
            f"""
            select
                offered.*,
                newest.{SEQUENCE} + 1 as {SEQUENCE}
            from {{offered}} as offered
            cross join (
                select coalesce(max({SEQUENCE}), 0) as {SEQUENCE} from {self.name} where {SEQUENCE} >= {known}
            ) as newest
            """,
            offered=offered.coalesce(1),
        )
        self._append(numbered)
        self._put_together(spark)

    def _append(self, numbered: DataFrame) -> None:
        for _ in range(_ATTEMPTS):
            try:
                numbered.writeTo(self.name).append()
            except PySparkException as error:
                if not is_conflict(error):
                    raise
            else:
                return
        raise LakehouseError(
            f"{self.name}: others wrote to it during all of {_ATTEMPTS} attempts", "run it again"
        )

    def read(
        self, spark: SparkSession, tables: Sequence[str] | None = None, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """The rows in their order; none where the table does not exist.

        Read from the files where the table lies on this machine, in milliseconds, and else by Spark.

        Args:
            tables: only rows whose `table_name` is one of these.
            columns: only these; all of the declared ones by default.
        """
        wanted = list(columns) if columns is not None else [name for name, _, _ in self.columns]
        needed = list(dict.fromkeys([*wanted, self.at, SEQUENCE]))
        schema = pa.schema([*self._schema, (SEQUENCE, pa.int64())])
        if not table_exists(spark, self.name):
            return pa.schema([schema.field(name) for name in needed]).empty_table()
        folder = local_folder(self.name)
        if folder is not None:
            table = DeltaTable(folder)
            there = [name for name in needed if name in {field.name for field in table.schema().fields}]
            filters: Any = [("table_name", "in", list(tables))] if tables is not None else None
            found = table.to_pyarrow_table(columns=there, filters=filters)
        else:
            frame = spark.table(self.name)
            there = [name for name in needed if name in frame.columns]
            if tables is not None:
                frame = frame.where(f"table_name in ({', '.join(map(sql_text, tables)) or 'null'})")
            found = frame.select(*there).toArrow()
        for name in needed:
            if name not in there:
                found = found.append_column(name, pa.nulls(found.num_rows, schema.field(name).type))
        return _in_order(found.select(needed), self.at)

    def _require(self, spark: SparkSession) -> None:
        """Make the table where it is missing, and give an older one the columns it has not."""
        if not table_exists(spark, self.name):
            create_table(
                spark, self.name, self._sql_columns, comment=self.comment, properties=dict(_PROPERTIES)
            )
            return
        missing = self._missing_columns(spark)
        if not missing:
            return
        # One process at a time: the second finds them there.
        with exclusive(settings().engine_dir / "create.lock"):
            missing = self._missing_columns(spark)
            if missing:
                added = ", ".join(f"{name} {sql.removesuffix(' not null')}" for name, sql in missing)
                spark.sql(f"alter table {self.name} add columns ({added})")
                properties = ", ".join(f"{sql_text(k)} = {sql_text(v)}" for k, v in _PROPERTIES.items())
                spark.sql(f"alter table {self.name} set tblproperties ({properties})")

    def _missing_columns(self, spark: SparkSession) -> list[tuple[str, str]]:
        folder = local_folder(self.name)
        if folder is not None:
            fields = DeltaTable(folder, without_files=True).schema().fields
            there = {field.name for field in fields}
        else:
            there = set(spark.table(self.name).columns)
        return [(name, sql_type) for name, sql_type in self._sql_columns if name not in there]

    def _known_sequence(self) -> int:
        """A sequence that the table surely reached, by its files' statistics; 0 where they can't be seen."""
        folder = local_folder(self.name)
        if folder is None:
            return 0
        actions = live_files(DeltaTable(folder))
        if f"max.{SEQUENCE}" not in actions.column_names:
            return 0
        return max((int(each) for each in actions.column(f"max.{SEQUENCE}").to_pylist() if each), default=0)

    def _put_together(self, spark: SparkSession) -> None:
        folder = local_folder(self.name)
        if folder is not None:
            files = len(DeltaTable(folder).file_uris())
        else:
            files = int(spark.sql(f"describe detail {self.name}").select("numFiles").collect()[0][0])
        if files <= MOST_FILES:
            return
        try:
            spark.sql(f"optimize {self.name}")
        except PySparkException as error:
            # Another append came between: the next one puts the files together.
            if not is_conflict(error):
                raise


def latest(rows: pa.Table, key: str) -> list[dict[str, Any]]:
    """Of rows in their order, the last one of each value of a column."""
    last = {value: position for position, value in enumerate(rows.column(key).to_pylist())}
    return rows.take(pa.array(sorted(last.values()), pa.int64())).to_pylist()


def _in_order(rows: pa.Table, at: str) -> pa.Table:
    known = pc.fill_null(rows.column(SEQUENCE), 0)
    rows = rows.set_column(rows.column_names.index(SEQUENCE), SEQUENCE, known)
    return rows.sort_by([(SEQUENCE, "ascending"), (at, "ascending")])
