"""Tries a source that reads a database: its columns, how much a load would read, and the first rows of it."""

import dataclasses
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.ingest.database.connect import DatabaseError, connection
from lakehouse.ingest.database.entries import last_load
from lakehouse.ingest.database.load import check_snapshot, plan_load
from lakehouse.ingest.database.read import RAW, Table
from lakehouse.ingest.ledger import read_entries
from lakehouse.ingest.source import Source
from lakehouse.ingest.trial.report import Trial, UnreadableRow

# So many rows are looked at; a load reads all of them.
LOOKED_AT = 1_000


def try_database(spark: SparkSession, source: Source, rows: int, schema: str = "bronze") -> Trial:
    """Try the next load of a source.

    Args:
        rows: at most so many of each kind are shown.
    """
    trial = Trial(source.name, "its database", is_all=False)
    try:
        return _look(spark, source, trial, rows, schema)
    except DatabaseError as error:
        trial.refused.append(str(error).replace("\n  → ", ": "))
        return trial


def _look(spark: SparkSession, source: Source, trial: Trial, rows: int, schema: str) -> Trial:
    database = source.database
    assert database is not None, f"{source.name} reads no database"  # noqa: S101 - asked by the caller
    table = Table(spark, source, connection(source.name, database))
    newest = table.newest() if database.watermark else None
    planned = plan_load(table, last_load(source.name, read_entries(schema, spark)), newest, None)
    trial = dataclasses.replace(trial, looked_at=table.label)
    if planned.window is None and database.watermark:
        trial.notes.append("nothing is newer than what landed")
        return trial
    if planned.window is not None:
        trial.notes.append(f"a load reads {database.watermark} {planned.window}")
    with table.asking():
        count = (
            table.count(planned.window).rows
            if planned.window is not None
            else table.rows(None).select(F.lit(1)).count()
        )
        required = source.required | {database.watermark or source.reported_time}
        first = table.rows(planned.window).select("*", table.reason(frozenset(required)).alias("reason"))
        first = first.limit(LOOKED_AT)
        looked, bad = first.select(F.count(F.lit(1)), F.count("reason")).collect()[0]
        good = first.where("reason is null").drop("reason")
        sample: list[dict[str, Any]] = good.limit(rows).toArrow().to_pylist()
        odd = first.where("reason is not null").select(table.as_json().alias("raw"), "reason").limit(rows)
        aside = [UnreadableRow("", row["reason"], row["raw"]) for row in odd.toArrow().to_pylist()]
    if database.watermark is None:
        try:
            check_snapshot(table, count)
        except DatabaseError as error:
            trial.refused.append(str(error).replace("\n  → ", ": "))
    if bad > source.max_bad_share * looked:
        share = f"{100 * source.max_bad_share:g}%"
        trial.refused.append(
            f"{bad} of the first {looked} rows cannot be read, more than max_bad_share ({share})"
        )
    return dataclasses.replace(
        trial,
        rows=looked - bad,
        unreadable=bad,
        is_all=looked == count,
        would_read=count,
        sample=[{name: value for name, value in row.items() if not name.startswith(RAW)} for row in sample],
        unreadable_rows=aside,
    )
