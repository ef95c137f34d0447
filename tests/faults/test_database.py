"""A database that goes away in the middle of a load, and loads that die between two commits."""

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator

import pytest

from lakehouse.delta.table import current_version
from lakehouse.ingest.ledger import read_entries
from lakehouse.settings import PROJECT_ROOT, settings
from tests.database_helpers import TABLE, held, load, orders_source, sign_in
from tests.postgres import Postgres

pytestmark = pytest.mark.slow

# The process that is killed runs this, and dies right after one of its commits, by number.
KILLED = """
import json, os, signal, sys
import lakehouse.ingest.database.load, lakehouse.ingest.ledger_table
from lakehouse.engine.session import spark_session
from lakehouse.ingest.bronze import append_once
from lakehouse.ingest.land import ingest
from lakehouse.ingest.source import Source

declared, schema, kill_after = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
calls = 0

def killing(spark, name, *args, **more):
    global calls
    append_once(spark, name, *args, **more)
    calls += 1
    if calls == kill_after:
        print(name.split(".")[1], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

lakehouse.ingest.database.load.append_once = lakehouse.ingest.ledger_table.append_once = killing
source = Source.model_validate(declared)
ingest(spark_session(), schema=schema, declared={source.name: source})
"""
ROWS = 60_000
# A value that takes the database a moment, so that the fault comes in the middle; only who reads it waits.
NAP = """
create function nap(id bigint) returns text language plpgsql stable as $$
begin
    if id % 10 = 0 then
        perform pg_sleep(0.001);
    end if;
    return 'new';
end $$
"""


@pytest.fixture
def shop(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a database with an empty table of orders."""
    sign_in(postgres, monkeypatch)
    name = f"shop_{uuid.uuid4().hex[:8]}"
    postgres.run(f"create database {name}")
    postgres.run(TABLE.format(name="orders"), database=name)
    yield name
    postgres.run(f"drop database {name} with (force)")


@pytest.fixture
def schema(spark, schema) -> Iterator[str]:
    yield schema
    spark.sql(f"drop schema if exists {schema}_quarantine cascade")


def add(postgres: Postgres, shop: str, first: int, last: int) -> None:
    postgres.run(
        "insert into orders select n, 'new', timestamptz '2013-10-01Z' + n * interval '1 ms' "
        "from generate_series(%s, %s) as n",
        first,
        last,
        database=shop,
    )


# Connections that have read rows for a second.
READERS = """
from pg_stat_activity
where application_name = 'lakehouse orders'
    and query like '%lakehouse_load%'
    and query not like '%1=0%'
    and now() - xact_start > interval '1 second'
"""


def terminate_readers(postgres: Postgres) -> int:
    """End the connections that are in the middle of reading rows; returns how many there were."""
    return len(postgres.run(f"select pg_terminate_backend(pid) {READERS}"))


def stop_server(postgres: Postgres) -> int:
    """Stop the server while a connection reads rows, and start it again; returns how many connections did."""
    reading = postgres.run(f"select 1 {READERS}")
    if reading:
        postgres.stop("immediate")
        postgres.start()
    return len(reading)


@pytest.mark.parametrize("breaks", [terminate_readers, stop_server])
def test_a_connection_that_is_lost_half_way_leaves_nothing_and_the_next_call_lands_all(
    spark, schema, shop, postgres: Postgres, breaks: Callable[[Postgres], int]
):
    add(postgres, shop, 1, ROWS)
    postgres.run(NAP, database=shop)
    slow = "select order_id, nap(order_id) as status, updated_at from orders"
    options = {"partition_by": "order_id", "partitions": 2, "fetch_rows": 500}
    source = orders_source(postgres.url(shop), database={**options, "table": None, "query": slow})
    broken: list[int] = []
    over = threading.Event()

    def break_it() -> None:
        while not over.is_set() and not broken:
            ended = breaks(postgres)
            if ended:
                broken.append(ended)
            over.wait(0.05)

    breaking = threading.Thread(target=break_it)
    breaking.start()
    try:
        report = load(spark, schema, source)
    finally:
        over.set()
        breaking.join()

    assert broken, "no connection was lost"
    (refused,) = report.refused
    assert refused.file == "orders"
    assert f"its query of {postgres.url(shop).removeprefix('jdbc:')} could not be read" in refused.reason
    assert "nothing of it landed" in refused.reason
    assert postgres.password not in refused.reason
    assert current_version(spark, f"{schema}.orders").version == 0
    assert read_entries(schema) == []
    assert list((settings().engine_dir / "scratch").glob("load-*")) == []

    fast = orders_source(postgres.url(shop), database=options)
    again = load(spark, schema, fast)

    assert [each.rows for each in again.landed] == [ROWS]
    (found,) = spark.sql(f"select count(*), count(distinct order_id) from {schema}.orders").collect()
    assert tuple(found) == (ROWS, ROWS)


@pytest.mark.parametrize(("after", "table"), [(1, "orders_unreadable"), (2, "orders"), (3, "deliveries")])
def test_a_load_that_is_killed_between_two_commits_is_completed_by_the_next(
    spark, schema, shop, postgres: Postgres, after, table
):
    source = orders_source(postgres.url(shop))
    required = [each.model_dump(exclude_none=True) for each in source.columns]
    required[1]["required"] = True
    source = orders_source(postgres.url(shop), columns=required)
    add(postgres, shop, 1, 40)
    postgres.run("update orders set status = null where order_id = 7", database=shop)

    dead = subprocess.run(
        [
            *(sys.executable, "-c", KILLED),
            *(source.model_dump_json(exclude_none=True), schema, str(after)),
        ],
        cwd=PROJECT_ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert (dead.returncode, dead.stdout.strip()) == (-signal.SIGKILL, table), dead.stderr
    assert spark.table(f"{schema}.orders").count() == (0 if after == 1 else 39)
    assert spark.table(f"{schema}_quarantine.orders_unreadable").count() == 1
    assert len(read_entries(schema)) == (1 if after == 3 else 0)
    # What comes meanwhile, changes what the dead load read.
    add(postgres, shop, 41, 50)
    postgres.run(
        "update orders set status = 'paid', updated_at = '2013-10-02Z' where order_id = 3", database=shop
    )

    report = load(spark, schema, source)

    assert report.refused == []
    assert sum(each.rows for each in report.landed) == (49 if after == 1 else 11)
    assert len(report.skipped) == (1 if after == 2 else 0)
    rows = held(spark, f"{schema}.orders")
    meanwhile = [(3, "paid")] if after == 1 else [(3, "new"), (3, "paid")]
    others = [(n, "new") for n in range(1, 51) if n not in (3, 7)]
    assert rows == sorted(meanwhile + others)
    assert spark.table(f"{schema}_quarantine.orders_unreadable").count() == 1
    stored = spark.sql(
        f"""
        select _batch_id, count(*) as row_count from (
            select _batch_id from {schema}.orders
            union all
            select _batch_id from {schema}_quarantine.orders_unreadable
        ) group by _batch_id
        """
    ).collect()
    assert {row["_batch_id"]: row["row_count"] for row in stored} == {
        entry.batch_id: entry.row_count for entry in read_entries(schema)
    }
    assert load(spark, schema, source).landed == []
    assert list((settings().engine_dir / "scratch").glob("load-*")) == []
