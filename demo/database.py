"""Publishes the real flights into PostgreSQL, as an airline that shares a database instead of files would.

Rows and days are those of the files (demo/publish.py), so bronze holds the same rows, however they came.
"""

import io
from collections.abc import Collection
from datetime import date, timedelta
from typing import Any

import pandas as pd

from demo.deliveries import flight_events, schedule
from demo.publish import check_days, midnight
from lakehouse.errors import LakehouseError
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.source import Source

SOURCES = ("flight_schedule", "flight_actuals")
# The variables that the sources of `as_database` read.
URL, USER, PASSWORD = "FLIGHTS_DATABASE_URL", "FLIGHTS_DATABASE_USER", "FLIGHTS_DATABASE_PASSWORD"

_POSTGRES = {
    "string": "text",
    "int": "integer",
    "bigint": "bigint",
    "double": "double precision",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamptz",
}


def publish(connection: Any, start: date, end: date, *, sources: Collection[str] = SOURCES) -> dict[str, int]:
    """Insert what became known on the local New York days `start` to `end`, both included.

    A row that is there stays as it is, so publishing again changes nothing. A table that lacks is made.

    Args:
        connection: of psycopg2; it is committed.

    Returns:
        the rows inserted, by source.

    Raises:
        LakehouseError: days outside the data, or a source that is not published so.
    """
    check_days(start, end)
    unknown = sorted(set(sources) - set(SOURCES))
    if unknown:
        raise LakehouseError(
            f"no table is published of {', '.join(unknown)}", f"there are {', '.join(SOURCES)}"
        )
    declared = load_sources()
    with connection, connection.cursor() as cursor:
        return {name: _insert(cursor, declared[name], _rows(name, start, end)) for name in sources}


def as_database(source: Source) -> Source:
    """The declaration of a published source that reads its table, and no files."""
    declared = source.model_dump(exclude={"format", "files", "complete_when"}, exclude_none=True)
    database = {
        "url_env": URL,
        "user_env": USER,
        "password_env": PASSWORD,
        "table": source.name,
        "watermark": source.reported_time,
        "overlap": "1 day",
        "partition_by": "id",
        "partitions": 2,
    }
    return Source.model_validate(declared | {"database": database})


def _rows(source: str, start: date, end: date) -> pd.DataFrame:
    if source == "flight_schedule":
        rows = schedule()
        return rows[rows["flight_date"].between(str(start), str(end))]
    events = flight_events()
    first, last = midnight(start), midnight(end + timedelta(days=1))
    known = events["known_at"]
    return events[(known >= first) & (known < last)].drop(columns="known_at")


def _insert(cursor: Any, source: Source, rows: pd.DataFrame) -> int:
    columns = ", ".join(f"{column.name} {_POSTGRES[column.type]}" for column in source.columns)
    names = ", ".join(rows.columns)
    cursor.execute(
        f"create table if not exists {source.name} "
        f"(id bigint generated always as identity primary key, {columns}, unique ({', '.join(source.keys)}))"
    )
    cursor.execute(
        f"create index if not exists {source.name}_watermark on {source.name} ({source.reported_time})"
    )
    cursor.execute(f"create temporary table published ({columns}) on commit drop")
    content = io.StringIO(rows.to_csv(index=False, header=False))
    cursor.copy_expert(f"copy published ({names}) from stdin (format csv)", content)
    cursor.execute(
        f"insert into {source.name} ({names}) select {names} from published on conflict do nothing"
    )
    inserted = int(cursor.rowcount)
    cursor.execute("drop table published")
    return inserted
