"""Bronze tables: append-only Delta tables into which a batch goes once, whoever offers it and how often."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from lakehouse.delta.table import create_table, is_conflict, sql_text
from lakehouse.engine.query import query
from lakehouse.errors import LakehouseError
from lakehouse.ingest.technical import COMMENTS, TECHNICAL_COLUMNS

# Appended by one process at a time: of several at once one commits and the others try again.
_ATTEMPTS = 50
# Small files keep batches apart, so that reading one day skips the others.
_ROWS_PER_FILE = 100_000


@dataclass(frozen=True)
class HeldBatch:
    """What a table holds of one batch.

    Args:
        digest: SHA-256 of the file it came from.
        ingested_at: UTC.
        rows: how many rows.
    """

    digest: str
    ingested_at: datetime
    rows: int


def create_bronze_table(
    spark: SparkSession,
    name: str,
    columns: Mapping[str, tuple[str, str]],
    comment: str,
    *,
    constraints: dict[str, str] | None = None,
    append_only: bool = True,
) -> None:
    """Create an empty bronze table and its schema, with all it needs in one commit; keep one that exists.

    Args:
        name: `schema.table`.
        columns: name to type and description; those that ingestion adds come after them.
        constraints: name to SQL condition of every row.
    """
    described = dict(columns) | {column: (sql, COMMENTS[column]) for column, sql in TECHNICAL_COLUMNS.items()}
    create_table(
        spark,
        name,
        [(column, f"{sql} comment {sql_text(about)}") for column, (sql, about) in described.items()],
        comment=comment,
        constraints=constraints,
        # Serializable: a writer must notice every other one, also one that read nothing.
        properties={
            "delta.appendOnly": str(append_only).lower(),
            "delta.isolationLevel": "Serializable",
        },
    )


def column_types(spark: SparkSession, name: str) -> dict[str, str]:
    """Column to Spark type, as SQL writes it."""
    return {field.name: field.dataType.simpleString() for field in spark.table(name).schema}


def append_once(
    spark: SparkSession,
    name: str,
    offered: DataFrame,
    batches: Iterable[str],
    among: str,
    *,
    key: Mapping[str, str] | None = None,
    also_changed: Iterable[str] = (),
) -> None:
    """Append the rows of the batches that the table does not hold yet, in one commit; new columns are added.

    Delta records that the statement read the table, so of two processes with the same batch one gets a
    conflict, tries again, and finds the batch there. Where there is nothing to append, there is no commit.

    Args:
        name: a table made by `create_bronze_table`.
        offered: rows with the columns that ingestion adds; read anew by each attempt.
        batches: the ids of the batches offered, for the commit's note: dbt's increments find what is new by
            it, without a scan.
        among: a SQL condition that all rows of these batches meet, by which Delta skips the others.
        key: of rows that are alike in these columns one is kept: column to SQL over the table; the batch by
            default.
        also_changed: batches that the commit's note names beside those offered: what it changes for readers.

    Raises:
        LakehouseError: others wrote to the table all the time.
    """
    same = key or {"_batch_id": "_batch_id"}
    held = ", ".join(f"{sql} as {column}" for column, sql in same.items())
    missing = query(
        spark,
        f"""
        select /*+ broadcast(held) */ offered.*
        from {{offered}} as offered
        left anti join (select distinct {held} from {name} where {among}) as held
            on {" and ".join(f"held.{column} = offered.{column}" for column in same)}
        """,
        offered=offered,
    )
    options = {
        "mergeSchema": "true",
        "maxRecordsPerFile": str(_ROWS_PER_FILE),
        "userMetadata": json.dumps({"batches": sorted({*batches, *also_changed})}),
    }
    for _ in range(_ATTEMPTS):
        try:
            missing.writeTo(name).options(**options).append()
        except PySparkException as error:
            if not is_conflict(error):
                raise
        else:
            return
    raise LakehouseError(f"{name}: others wrote to it during all of {_ATTEMPTS} attempts", "run it again")


def held_batches(spark: SparkSession, name: str, condition: str) -> dict[str, HeldBatch]:
    """What a table holds of the batches that a SQL condition selects, by batch id."""
    found = query(
        spark,
        f"""
        select
            _batch_id,
            min(_batch_digest) as digest,
            min(_ingested_at) as ingested_at,
            count(*) as row_count
        from {name}
        where {condition}
        group by _batch_id
        """,
    ).toArrow()
    return {
        row["_batch_id"]: HeldBatch(row["digest"], row["ingested_at"], row["row_count"])
        for row in found.to_pylist()
    }
