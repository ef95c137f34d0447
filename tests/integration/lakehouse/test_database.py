"""Rows of a database land in bronze once, each change of them, or not at all: by a real PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, date, datetime

import pytest

from lakehouse.delta.content_hash import content_hash
from lakehouse.delta.table import current_version
from lakehouse.ingest.database import load as loading
from lakehouse.ingest.database import stage as staging
from lakehouse.ingest.database.connect import connection
from lakehouse.ingest.database.plan import Window
from lakehouse.ingest.database.read import Counted, Table
from lakehouse.ingest.ledger import read_entries
from lakehouse.settings import settings
from tests.database_helpers import COLUMNS, held, load, orders_source
from tests.database_helpers import schema as schema  # a fixture
from tests.database_helpers import shop as shop  # a fixture

pytestmark = pytest.mark.slow


def test_rows_land_once_and_a_change_lands_as_another_row(spark, schema, shop):
    source = orders_source(shop.url, database={"partition_by": "order_id", "partitions": 3})
    shop.add(1, 40)

    first = load(spark, schema, source)

    assert first.refused == []
    (landed,) = first.landed
    assert (landed.rows, landed.quarantined) == (40, 0)
    assert landed.batch_id.startswith("orders_2013-10-01_")
    assert landed.read == "updated_at to 2013-10-01T12:00:40.000000Z"
    shop.add(41, 2)
    shop.run("update orders set status = 'paid', updated_at = '2013-10-01 13:00Z' where order_id = 7")

    second = load(spark, schema, source)

    assert [each.rows for each in second.landed] == [3]
    version = current_version(spark, f"{schema}.orders").version
    assert load(spark, schema, source).landed == []
    assert current_version(spark, f"{schema}.orders").version == version
    assert held(spark, f"{schema}.orders") == sorted([(n, "new") for n in range(1, 43)] + [(7, "paid")])
    entries = {entry.batch_id: entry for entry in read_entries(schema)}
    assert [entries[each.landed[0].batch_id].row_count for each in (first, second)] == [40, 3]
    assert entries[second.landed[0].batch_id].watermark == "2013-10-01T13:00:00.000000Z"
    assert second.frontiers[0].delivered_until == datetime(2013, 10, 1, 13, tzinfo=UTC)
    batch = spark.table(f"{schema}.orders").where(f"_batch_id = '{landed.batch_id}'")
    (told,) = batch.select("_batch_digest", "_source_file", "_delivered_until").distinct().collect()
    assert told["_batch_digest"] == content_hash(batch.select("order_id", "status", "updated_at")).rows
    assert told["_source_file"] == f"{shop.url.removeprefix('jdbc:')} orders"


def test_what_commits_late_is_found_by_the_overlap_and_a_day_ends_a_load(spark, schema, shop):
    source = orders_source(shop.url)
    shop.add(1, 2, "2013-10-01 12:00Z")
    shop.add(3, 2, "2013-10-02 12:00Z")

    day = load(spark, schema, source, days=(date(2013, 10, 1), date(2013, 10, 1)))
    shop.run("insert into orders values (9, 'late', '2013-10-02 03:30Z')")
    rest = load(spark, schema, source)
    again = load(spark, schema, source, days=(date(2013, 10, 1), date(2013, 10, 1)))

    assert [[each.rows for each in report.landed] for report in (day, rest, again)] == [[2], [3], []]
    assert [row[0] for row in held(spark, f"{schema}.orders")] == [1, 2, 3, 4, 9]


def test_secrets_are_in_no_plan_row_log_or_message(spark, schema, shop, postgres, monkeypatch):
    source = orders_source(shop.url)
    shop.add(1, 3)
    assert source.database is not None
    table = Table(spark, source, connection("orders", source.database))
    plan = table.rows(Window(None, datetime(2014, 1, 1, tzinfo=UTC)))._explain_string(extended=True)
    report = load(spark, schema, source)
    monkeypatch.setenv("ORDERS_PASSWORD", "not-the-password")
    refused = load(spark, schema, source).refused
    monkeypatch.setenv("ORDERS_PASSWORD", postgres.password)
    missing = load(spark, schema, orders_source(shop.url, database={"table": "no_orders"})).refused

    assert "password authentication failed" in refused[0].reason
    assert 'relation "no_orders" does not exist' in missing[0].reason
    assert f"no_orders of {shop.url.removeprefix('jdbc:')} could not be read" in missing[0].reason
    log = (settings().engine_dir / "server.log").read_text()
    for secret in (postgres.password, "not-the-password"):
        for text in (plan, log, str(report), str(refused), str(missing), repr(table.connection)):
            assert secret not in text
    assert "updated_at" in plan


def test_keys_that_are_gone_land_as_deleted_rows(spark, schema, shop):
    source = orders_source(
        shop.url,
        database={"deletes": "compare", "deleted_column": "is_deleted"},
        columns=[*COLUMNS, {"name": "is_deleted", "type": "boolean", "description": "Gone."}],
    )
    shop.add(1, 5)
    load(spark, schema, source)
    shop.run("delete from orders where order_id in (2, 4)")

    report = load(spark, schema, source)

    assert [(each.rows, each.read) for each in report.landed] == [
        (2, "updated_at after 2013-10-01T11:00:05.000000Z to 2013-10-01T12:00:05.000000Z; 2 rows are gone")
    ]
    assert load(spark, schema, source).landed == []
    shop.run("insert into orders values (4, 'again', now())")
    assert [each.rows for each in load(spark, schema, source).landed] == [1]
    latest = spark.sql(
        f"""
        select order_id, max_by(status, updated_at) as status, max_by(is_deleted, updated_at) as is_deleted
        from {schema}.orders
        group by order_id
        """
    )
    assert sorted(map(tuple, latest.collect())) == [
        (1, "new", False),
        (2, "new", True),
        (3, "new", False),
        (4, "again", False),
        (5, "new", False),
    ]
    shop.run("truncate orders")
    (refused,) = load(spark, schema, source).refused
    assert "is empty, so every row would count as deleted" in refused.reason


def test_a_snapshot_lands_whole_when_it_is_another_one(spark, schema, shop):
    source = orders_source(shop.url, database={"watermark": None, "overlap": None}, arrives="snapshot")
    (empty,) = load(spark, schema, source).refused
    shop.add(1, 3)

    reports = [load(spark, schema, source), load(spark, schema, source)]
    shop.run("delete from orders where order_id = 2")
    reports.append(load(spark, schema, source))

    assert "has no rows, but its declaration asks for at least 1" in empty.reason
    assert [[each.rows for each in report.landed] for report in reports] == [[3], [], [2]]
    assert reports[1].skipped == [reports[0].landed[0].batch_id]
    newest = held(spark, f"{schema}.orders where _batch_id = '{reports[2].landed[0].batch_id}'")
    assert newest == [(1, "new"), (3, "new")]


def test_a_number_may_be_the_watermark(spark, schema, shop):
    source = orders_source(shop.url, database={"watermark": "order_id", "overlap": 3, "lag": 2})
    shop.add(1, 10)
    shop.run("delete from orders where order_id = 7")

    first = load(spark, schema, source)
    shop.run("insert into orders values (7, 'late', '2013-10-01 12:00Z'), (12, 'new', '2013-10-01 12:00Z')")
    second = load(spark, schema, source)

    assert [[each.rows for each in report.landed] for report in (first, second)] == [[7], [3]]
    assert [row[0] for row in held(spark, f"{schema}.orders")] == list(range(1, 11))
    assert max(int(entry.watermark or 0) for entry in read_entries(schema)) == 10


def test_rows_that_come_below_the_watermark_while_it_is_read_refuse_the_load(
    spark, schema, shop, monkeypatch
):
    shop.add(1, 5)
    count, calls = Table.count, []

    def counting(table: Table, window: Window) -> Counted:
        calls.append(window)
        if len(calls) == 2:
            shop.run("insert into orders values (9, 'late', '2013-10-01 11:30Z')")
        return count(table, window)

    monkeypatch.setattr(Table, "count", counting)
    (refused,) = load(spark, schema, orders_source(shop.url)).refused
    assert "had 5 rows to 2013-10-01T12:00:05.000000Z, then 6, and 5 were read" in refused.reason
    assert "longer `lag`" in refused.reason
    assert spark.table(f"{schema}.orders").count() == 0
    assert [each.rows for each in load(spark, schema, orders_source(shop.url)).landed] == [6]


@pytest.mark.parametrize("is_locked", [True, False], ids=["one machine", "two machines"])
def test_two_at_once_land_each_row_once(spark, schema, shop, monkeypatch, is_locked):
    """Processes on two machines know nothing of each other's locks: Delta decides whose load lands."""
    if not is_locked:
        monkeypatch.setattr(loading, "exclusive", lambda _: nullcontext())
        monkeypatch.setattr(staging, "dead_folders", lambda *_: [])
    source = orders_source(shop.url)
    shop.add(1, 20)
    load(spark, schema, source)
    shop.add(21, 20)

    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: load(spark, schema, source), range(2)))

    assert [report.refused for report in reports] == [[], []]
    assert held(spark, f"{schema}.orders") == [(n, "new") for n in range(1, 41)]
    known = {entry.batch_id: entry.row_count for entry in read_entries(schema)}
    stored = spark.table(f"{schema}.orders").groupBy("_batch_id").count().collect()
    assert {row["_batch_id"]: row["count"] for row in stored} == {
        batch: rows for batch, rows in known.items() if rows
    }


def test_another_database_is_read_by_the_same_declaration(spark, schema, monkeypatch):
    """Derby, which Spark brings along for its metastore, in the engine's memory."""
    url = f"jdbc:derby:memory:{schema};create=true"
    monkeypatch.setenv("ORDERS_URL", url)
    source = orders_source(
        "",
        database={
            **{"url": None, "url_env": "ORDERS_URL", "user_env": None, "password_env": None},
            **{"zone": "UTC", "partition_by": "order_id", "partitions": 2},
        },
    )
    rows = spark.sql(
        "select id as order_id, 'new' as status, timestamp'2013-10-01 12:00:00.123456' as updated_at "
        "from range(1, 21)"
    )
    rows.write.jdbc(url, "orders")

    first = load(spark, schema, source)
    rows.limit(1).selectExpr("21 as order_id", "'late' as status", "updated_at").write.jdbc(
        url, "orders", mode="append"
    )
    second = load(spark, schema, source)

    assert first.refused == second.refused == []
    assert [[each.rows for each in report.landed] for report in (first, second)] == [[20], [1]]
    assert held(spark, f"{schema}.orders") == [*((n, "new") for n in range(1, 21)), (21, "late")]
    told = spark.sql(f"select distinct _source_file, updated_at, _delivered_until from {schema}.orders")
    assert [(row[0], str(row[1]), row[1] == row[2]) for row in told.collect()] == [
        (f"derby:memory:{schema} orders", "2013-10-01 12:00:00.123456", True)
    ]
