"""Rows that a database no longer has, found by comparing its keys with what bronze says last of each."""

from collections.abc import Callable, Mapping
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession

from lakehouse.engine.query import query
from lakehouse.ingest.database.connect import DatabaseError
from lakehouse.ingest.database.plan import mark_text
from lakehouse.ingest.database.read import Table


def deleted_rows(
    spark: SparkSession,
    table: Table,
    bronze: str,
    held: Mapping[str, str],
    compared_at: datetime,
    save: Callable[[DataFrame, str], DataFrame],
) -> DataFrame:
    """The last row of each key that is gone, as deleted at the time of the comparison.

    The keys are read by one statement, after `compared_at`, so a key that comes back later has a later row.

    Args:
        bronze: the source's table.
        held: each declared column as SQL over it.
        compared_at: by the database's clock, UTC.
        save: keeps rows under a name until the load has landed.

    Raises:
        DatabaseError: the keys cannot be read, or the table is empty and its declaration does not allow that.
    """
    source, deleted = table.source, table.database.deleted_column
    with table.asking():
        keys_now = save(table.keys(), "keys_now")
    at = f"timestamp'{mark_text(compared_at)}'"
    later = f"greatest({at}, {source.reported_time} + interval 1 microsecond)"
    values = {column.name: column.name for column in source.columns}
    values |= {source.reported_time: later, str(deleted): "true"}
    keys = ", ".join(source.keys)
    same = " and ".join(f"keys_now.{key} <=> latest.{key}" for key in source.keys)
    rows = query(
        spark,
        f"""
        select {", ".join(f"{sql} as {name}" for name, sql in values.items())}
        from (
            select
                {", ".join(f"{sql} as {name}" for name, sql in held.items())},
                row_number() over (
                    partition by {keys}
                    order by {source.reported_time} desc, _batch_id desc
                ) as nth
            from {bronze}
        ) as latest
        left anti join {{keys_now}} as keys_now on {same}
        where nth = 1 and not coalesce({deleted}, false)
        """,
        keys_now=keys_now,
    )
    gone = save(rows, "deleted")
    if not source.may_be_empty and not keys_now.head(1) and gone.head(1):
        raise DatabaseError(
            f"{source.name}: {table.label} is empty, so every row would count as deleted",
            "nothing of it landed; if that is right, declare `may_be_empty: true`",
        )
    return gone
