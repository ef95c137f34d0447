"""A small source in a database: orders, which change."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.ingest.land import ingest
from lakehouse.ingest.report import IngestReport
from lakehouse.ingest.source import Source
from tests.postgres import Postgres

COLUMNS = [
    {"name": "order_id", "type": "bigint", "description": "Order."},
    {"name": "status", "type": "string", "description": "Status."},
    {"name": "updated_at", "type": "timestamp", "description": "When it was changed last."},
]
TABLE = """
create table {name} (
    order_id bigint primary key,
    status text,
    updated_at timestamptz
)
"""


def orders_source(
    url: str, name: str = "orders", *, database: dict[str, object] | None = None, **changes: object
) -> Source:
    """A source of one table, by time of change; what is None in `database` is left out."""
    asked: dict[str, object] = {
        "url": url,
        "user_env": "ORDERS_USER",
        "password_env": "ORDERS_PASSWORD",
        "table": name,
        "watermark": "updated_at",
        "overlap": "1 hour",
    } | (database or {})
    declared = {
        "name": name,
        "description": "Orders.",
        "owner": "sales",
        "database": {field: value for field, value in asked.items() if value is not None},
        "arrives": "live",
        "time_zone": "America/New_York",
        "reported_time": "updated_at",
        "delivery_delay_minutes": 0,
        "keys": ["order_id"],
        "columns": COLUMNS,
    }
    return Source.model_validate(declared | changes)


def sign_in(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the variables that the source's user and password are in."""
    monkeypatch.setenv("ORDERS_USER", postgres.user)
    monkeypatch.setenv("ORDERS_PASSWORD", postgres.password)


def load(spark: SparkSession, schema: str, *sources: Source, **options: Any) -> IngestReport:
    """Ingest these sources."""
    return ingest(spark, schema=schema, declared={source.name: source for source in sources}, **options)


def held(spark: SparkSession, table: str, columns: str = "order_id, status") -> list[tuple[Any, ...]]:
    """Rows of a table, in order."""
    return sorted(tuple(row) for row in spark.sql(f"select {columns} from {table}").collect())


ADD = """
insert into orders
select n, 'new', timestamptz %s + n * interval '1 second' from generate_series(%s, %s) as n
"""


class Shop:
    """A database with a table of orders."""

    def __init__(self, postgres: Postgres) -> None:
        self.name = f"shop_{uuid.uuid4().hex[:8]}"
        self._postgres = postgres
        postgres.run(f"create database {self.name}")
        self.url = postgres.url(self.name)
        self.run(TABLE.format(name="orders"))

    def run(self, sql: str, *values: object):
        return self._postgres.run(sql, *values, database=self.name)

    def add(self, first: int, count: int, at: str = "2013-10-01 12:00Z") -> None:
        self.run(ADD, at, first, first + count - 1)

    def drop(self) -> None:
        self._postgres.run(f"drop database {self.name} with (force)")


@pytest.fixture
def shop(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    sign_in(postgres, monkeypatch)
    made = Shop(postgres)
    yield made
    made.drop()


@pytest.fixture
def schema(spark, schema) -> Iterator[str]:
    yield schema
    spark.sql(f"drop schema if exists {schema}_quarantine cascade")
