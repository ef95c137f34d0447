"""A small source in a database: orders, which change."""

from collections.abc import Callable
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


Database = Callable[[str], str]
