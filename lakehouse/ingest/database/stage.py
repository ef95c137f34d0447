"""Reads the rows of one load once, and says what of them bronze and quarantine do not hold yet."""

import os
import shutil
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.delta.content_hash import ContentHash, content_hash
from lakehouse.delta.owned_schemas import owned_schemas
from lakehouse.engine.query import query
from lakehouse.engine.server import is_ours
from lakehouse.ingest.bronze import column_types
from lakehouse.ingest.commit import ensure_quarantine
from lakehouse.ingest.database.connect import DatabaseError
from lakehouse.ingest.database.deletes import deleted_rows
from lakehouse.ingest.database.plan import Mark, Window, mark_text
from lakehouse.ingest.database.read import Table
from lakehouse.ingest.ledger import Entry
from lakehouse.settings import settings


@dataclass(frozen=True)
class Load:
    """One load: what it reads, and the name that it lands under.

    Args:
        at: when it began, UTC.
        window: None where there is nothing to read, and of a snapshot.
        upto: the watermark up to which all has been read after it; None of a snapshot.
        previous: the load before it.
        compared_at: when its keys are compared, by the database's clock; None where they are not.
    """

    batch_id: str
    at: datetime
    window: Window | None
    upto: Mark | None
    previous: Entry | None
    compared_at: datetime | None


Save = Callable[[DataFrame, str], DataFrame]


@contextmanager
def staging(spark: SparkSession, schema: str, source: str) -> Generator[Save]:
    """A place for a load's rows until they land; it goes with the block.

    In our engine's scratch folder; on another server it is a schema. What a killed process left is removed by
    the next load of the source, of which there is one at a time on a machine.
    """
    if is_ours(os.environ.get("SPARK_REMOTE", "")):
        scratch, prefix = settings().engine_dir / "scratch", f"load-{schema}.{source}-"
        for dead in dead_folders(scratch, prefix):
            # What a statement of a killed process still writes to goes the next time.
            shutil.rmtree(dead, ignore_errors=True)
        with TemporaryDirectory(prefix=prefix, dir=scratch) as folder:

            def save_as_file(rows: DataFrame, name: str) -> DataFrame:
                path = str(Path(folder) / name)
                rows.write.parquet(path)
                return spark.read.schema(rows.schema).parquet(path)

            yield save_as_file
        return
    name_of_schema = f"{schema}_loading_{source}"
    with owned_schemas(spark, [name_of_schema]):

        def save_as_table(rows: DataFrame, name: str) -> DataFrame:
            rows.write.format("parquet").saveAsTable(f"{name_of_schema}.{name}")
            return spark.table(f"{name_of_schema}.{name}")

        yield save_as_table


def dead_folders(scratch: Path, prefix: str) -> list[Path]:
    """What loads of a source left that were killed."""
    return sorted(scratch.glob(f"{prefix}*"))


@dataclass(frozen=True)
class Staged:
    """The rows that a load read, `reason` being why one cannot land; and how many cannot."""

    rows: DataFrame
    bad_rows: int


def stage(table: Table, planned: Load, save: Save) -> Staged:
    """Read the rows of a load, once.

    Raises:
        DatabaseError: they cannot be read, or were not the same rows from the first range to the last.
    """
    database = table.database
    required = table.source.required | {database.watermark or table.source.reported_time}
    reason = table.reason(frozenset(required)).alias("reason")
    if planned.window is None and database.watermark:
        return Staged(table.empty().select("*", reason), 0)
    before = table.count(planned.window) if planned.window else None
    with table.asking():
        rows = save(table.rows(planned.window, before).select("*", reason), "loaded")
    read, bad = rows.select(F.count(F.lit(1)), F.count("reason")).collect()[0]
    if planned.window is not None and before is not None:
        after = table.count(planned.window)
        # A row that is changed meanwhile leaves the window, for a later one. None may come into it.
        if not after.rows <= read <= before.rows:
            raise DatabaseError(
                f"{table.source.name}: {table.shown} of {table.connection.shown} had {before.rows} rows "
                f"{planned.window}, then {after.rows}, and {read} were read: rows came below the watermark",
                "nothing of it landed; run it again, and if it happens often, declare a longer `lag`",
            )
    return Staged(rows, int(bad))


@dataclass(frozen=True)
class Offered:
    """What a load would add: rows of bronze's columns, and unreadable ones as `raw` and `reason`."""

    good: DataFrame
    bad: DataFrame
    content: ContentHash
    bad_rows: int
    deleted_rows: int


def offered(
    spark: SparkSession, table: Table, planned: Load, staged: Staged, schema: str, save: Save
) -> Offered:
    """What of a load bronze and quarantine do not hold yet."""
    source, database = table.source, table.database
    bronze = f"{schema}.{source.name}"
    types = column_types(spark, bronze)
    # A column that was declared later has no value in earlier rows.
    held = {
        each.name: each.name if each.name in types else f"cast(null as {each.type})"
        for each in source.columns
    }
    rows = staged.rows.where("reason is null")
    if database.deleted_column:
        rows = rows.withColumn(database.deleted_column, F.lit(False))
    rows = rows.select(list(held))
    if database.watermark:
        rows = _not_held(spark, rows, bronze, held, _since(database.watermark, planned.window))
    bad = staged.rows.where("reason is not null").select(table.as_json().alias("raw"), "reason")
    bad_rows = staged.bad_rows
    if bad_rows:
        quarantine = ensure_quarantine(spark, bronze)
        bad = _not_held(spark, bad, quarantine, {"raw": "raw", "reason": "reason"}, "true")
        bad_rows = bad.count()
    deleted = 0
    if planned.compared_at is not None:
        gone = deleted_rows(spark, table, bronze, held, planned.compared_at, save)
        deleted = gone.count()
        rows = rows.unionByName(gone)
    return Offered(rows, bad, content_hash(rows), bad_rows, deleted)


def _since(watermark: str, window: Window | None) -> str:
    """The rows of bronze that a window may have, too."""
    if window is None or window.above is None:
        return "true"
    above = window.above
    mark = f"timestamp'{mark_text(above)}'" if isinstance(above, datetime) else str(above)
    return f"{watermark} > {mark}"


def _not_held(
    spark: SparkSession, rows: DataFrame, table: str, held: Mapping[str, str], condition: str
) -> DataFrame:
    """The rows whose values a table has in no row.

    Args:
        held: column to SQL over the table.
    """
    same = " and ".join(f"held.{column} <=> offered.{column}" for column in held)
    selected = ", ".join(f"{sql} as {column}" for column, sql in held.items())
    return query(
        spark,
        f"select offered.* from {{offered}} as offered "
        f"left anti join (select distinct {selected} from {table} where {condition}) as held on {same}",
        offered=rows,
    )
