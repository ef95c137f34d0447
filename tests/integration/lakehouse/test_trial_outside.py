"""A source that reads a database or a topic is proposed and tried: nothing lands, and no position moves."""

import re
import uuid
from pathlib import Path

from lakehouse.ingest.declarations import load_source
from lakehouse.ingest.propose.proposal import declaration
from lakehouse.ingest.propose.table import propose_table
from lakehouse.ingest.trial.database import try_database
from lakehouse.ingest.trial.topic import try_topic
from tests.database_helpers import TABLE, orders_source, sign_in
from tests.postgres import Postgres
from tests.servers.kafka import running_broker
from tests.servers.topics import create_topic, publish, reading, readings_source

TODO = {"time_zone": "UTC", "delivery_delay_minutes": "0", "description": "Said.", "owner": "sales"}


def test_a_table_is_proposed_and_tried(spark, schema, postgres: Postgres, monkeypatch, tmp_path: Path):
    sign_in(postgres, monkeypatch)
    name = f"shop_{uuid.uuid4().hex[:8]}"
    postgres.run(f"create database {name}")
    try:
        url = postgres.url(name)
        postgres.run(TABLE.format(name="orders"), database=name)
        postgres.run("alter table orders add amount numeric(10, 2), add box bytea", database=name)
        postgres.run(
            "insert into orders select n, 'new', timestamptz '2013-10-01 12:00Z' + n * interval '1 s', 1.5 "
            "from generate_series(1, 7) n",
            database=name,
        )
        variables = {"user_env": "ORDERS_USER", "password_env": "ORDERS_PASSWORD"}
        text = declaration("orders", propose_table(spark, "orders", "public.orders", url, **variables))
        path = tmp_path / "orders.yml"
        path.write_text(re.sub(r"(\w+): TODO", lambda found: f"{found[1]}: {TODO[found[1]]}", text))
        source = load_source(path)

        assert "box is binary" in text
        assert source.keys == ["order_id"]
        assert {column.name: column.type for column in source.columns} == {
            "order_id": "bigint",
            "status": "string",
            "updated_at": "timestamp",
            "amount": "string",
        }
        assert source.database is not None and source.database.watermark == "updated_at"
        trial = try_database(spark, source, rows=2, schema=schema)
        assert (trial.rows, trial.unreadable, trial.would_read, trial.refused) == (7, 0, 7, [])
        assert [row["amount"] for row in trial.sample] == ["1.50", "1.50"]
        wrong = try_database(spark, orders_source(url, "not_there"), rows=2, schema=schema)
        assert "could not be read" in wrong.refused[0]
        assert spark.sql(f"show tables in {schema}").where("not isTemporary").collect() == []
    finally:
        postgres.run(f"drop database {name} with (force)")


def test_a_topic_is_tried(spark, schema, tmp_path: Path):
    with running_broker(tmp_path) as broker:
        create_topic(broker, schema, partitions=2)
        publish(broker, schema, [*map(reading, range(4)), b"{"])
        source = readings_source(broker, schema)
        trial = try_topic(spark, source, rows=3, schema=schema)
        assert (trial.rows, trial.unreadable, trial.would_read) == (4, 1, 5)
        assert [row["reading"] for row in trial.sample] == [0, 1, 2]
        assert [(row.place, row.raw) for row in trial.unreadable_rows] == [("0:4", "{")]
        assert "1 of 5 records cannot be read" in trial.refused[0]
        assert spark.sql(f"show tables in {schema}").where("not isTemporary").collect() == []
