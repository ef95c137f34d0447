"""What is pushed after a release is what Delta has, to the bit; an increment gives what a full push gives."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import msgpack
import pytest
from pyspark.sql import SparkSession

from lakehouse.delta.publications import publish, release_in_force
from lakehouse.delta.table import current_version, read_at, table_properties
from lakehouse.errors import LakehouseError
from lakehouse.online.compare import compare
from lakehouse.online.packing import packed_rows, schema_of
from lakehouse.online.push import push
from lakehouse.online.store import OnlineStore, open_store
from lakehouse.online.tables import OnlineTable, online_tables
from lakehouse.settings import settings
from tests.integration.ml.conftest import FEATURES_SQL, Platform
from tests.redis_server import RedisServer

# Every type that a feature may have, NULLs, NaN and negative zero among the values.
TYPES_SQL = """
    select
        *,
        if(hour % 2 = 0, cast('NaN' as double), -0.0D) as ratio,
        cast(wind_mph as float) as wind,
        wait_minutes % 3 = 0 as is_short,
        cast(hour as tinyint) as band,
        cast(flight_id as binary) as raw,
        cast(predict_at as timestamp_ntz) as local_at,
        cast(wait_minutes as decimal(38, 18)) / 7 as share
    from ({rows})
"""


@pytest.fixture(params=["sqlite", "redis"])
def online(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnlineStore]:
    """The store that the settings name: SQLite's file, or a server."""
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        monkeypatch.setenv("LAKEHOUSE_ONLINE_STORE", server.address)
    settings.cache_clear()
    store = open_store()
    yield store
    store.close()
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def flights(spark: SparkSession, schema: str) -> OnlineTable:
    """A published table of 92 days, 8 flights each, clustered by nothing."""
    name = f"{schema}.flights_{schema}"
    properties = ", ".join(f"'{key}' = '{value}'" for key, value in table_properties().items())
    rows = TYPES_SQL.format(rows=FEATURES_SQL)
    spark.sql(f"create table {name} using delta tblproperties ({properties}) as {rows}")
    publish(spark, [current_version(spark, name)], "test", "test")
    return OnlineTable(
        name.partition(".")[2], name, ("flight_id",), "predict_at", "flight_date", one_row=True
    )


def build(spark: SparkSession, table: OnlineTable, days: list[str], sql: str) -> None:
    """A build's commit, which notes its days, and its release."""
    key = "spark.databricks.delta.commitInfo.userMetadata"
    ranges = ", ".join(f'["{day}", "{day}"]' for day in days)
    spark.conf.set(key, f'{{"days": [{ranges}], "read": {{}}}}')
    try:
        spark.sql(sql.format(table=table.name))
    finally:
        spark.conf.unset(key)
    publish(spark, [current_version(spark, table.name)], "test", "test")


def assert_online_is(spark: SparkSession, store: OnlineStore, table: OnlineTable, first_day: str) -> int:
    """Each row of the released version from a day on is online to the bit, and no other is."""
    release = release_in_force(spark, table.name)
    assert release is not None
    rows = read_at(spark, release.table).toArrow()
    pack = schema_of(rows.schema)
    packed = [each for batch in rows.to_batches() for each in packed_rows(batch, pack)]
    ids = rows.column("flight_id").to_pylist()
    is_online = [str(day) >= first_day for day in rows.column("flight_date").to_pylist()]
    found = store.rows(table.name, [{"flight_id": each} for each in ids])
    for row, expected, wanted in zip(found, packed, is_online, strict=True):
        assert (row is not None) is wanted
        if row is not None:
            assert pack.pack_row(row.values) == expected
    assert store.release(table.name) == release.release_id
    return sum(is_online)


def test_what_is_online_is_what_was_released_to_the_bit(
    spark: SparkSession, online: OnlineStore, flights: OnlineTable
) -> None:
    first = push(spark, flights)
    assert first.days == ("2013-09-28", "2013-09-29", "2013-09-30")
    assert first.rows == 24
    assert assert_online_is(spark, online, flights, "2013-09-28") == 24
    assert compare(spark, flights).is_same

    assert push(spark, flights).days == ()

    # A flight of a day is corrected, another one cancelled, a third moves to the day before.
    build(
        spark,
        flights,
        ["2013-09-29", "2013-09-30"],
        "insert into {table} replace where flight_date >= date'2013-09-29' "
        + _selected(
            spark,
            flights,
            flight_date="if(flight_id = 'f0730', date'2013-09-29', flight_date)",
            ratio="if(flight_id = 'f0729', cast(null as double), ratio)",
        )
        + " where flight_date >= date'2013-09-29' and flight_id <> 'f0731'",
    )
    increment = push(spark, flights)
    assert increment.days == ("2013-09-29", "2013-09-30")
    assert (increment.rows, increment.removed) == (15, 1)
    assert assert_online_is(spark, online, flights, "2013-09-28") == 23

    # A new day comes, so the oldest one leaves; old rows change, which nobody asks for.
    build(
        spark,
        flights,
        ["2013-07-01", "2013-10-01"],
        "insert into {table} "
        + _selected(spark, flights, flight_date="date'2013-10-01'", flight_id="concat(flight_id, 'n')")
        + " where flight_date = date'2013-09-30'",
    )
    pushed = push(spark, flights)
    assert pushed.days == ("2013-10-01",)
    assert (pushed.rows, pushed.removed) == (6, 8)
    assert_online_is(spark, online, flights, "2013-09-29")

    # Asked for by name, older days come and stay; a full push keeps them.
    days = (date(2013, 7, 1), date(2013, 7, 1))
    assert push(spark, flights, asked=days).days == ("2013-07-01",)
    assert push(spark, flights, full=True).days == ("2013-07-01", "2013-09-29", "2013-09-30", "2013-10-01")
    assert online.rows(flights.name, [{"flight_id": "f0000"}])[0] is not None


def _selected(spark: SparkSession, table: OnlineTable, **other: str) -> str:
    """A query of all columns, some of them made otherwise."""
    columns = [f"{other.get(name, name)} as {name}" for name in spark.table(table.name).columns]
    return f"select {', '.join(columns)} from {{table}}"


def test_a_push_that_is_killed_is_made_good_by_the_next(
    spark: SparkSession, online: OnlineStore, flights: OnlineTable
) -> None:
    push(spark, flights)
    before = online.release(flights.name)
    build(
        spark,
        flights,
        ["2013-09-30"],
        "insert into {table} replace where flight_date = date'2013-09-30' "
        + _selected(spark, flights, wait_minutes="wait_minutes + 1")
        + " where flight_date = date'2013-09-30' and flight_id <> 'f0728'",
    )
    died = subprocess.run(
        [sys.executable, "-c", DIES, *flights.name.split(".")], env=os.environ, check=False, timeout=120
    )
    assert died.returncode == -signal.SIGKILL
    # Its rows are there, but not all that it had to do, and so the release is not.
    (row,) = online.rows(flights.name, [{"flight_id": "f0729"}])
    assert row is not None
    assert row.release_id != before
    assert online.rows(flights.name, [{"flight_id": "f0728"}])[0] is not None
    assert online.release(flights.name) == before
    assert not compare(spark, flights).is_same

    assert push(spark, flights).days == ("2013-09-30",)
    assert assert_online_is(spark, online, flights, "2013-09-28") == 23


DIES = """
import os, signal, sys
from lakehouse.engine.session import spark_session
from lakehouse.online import target
from lakehouse.online.push import push
from lakehouse.online.tables import OnlineTable

schema, name = sys.argv[1:]
found = target.target()
writer = found.writer()
writer.sweep = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
target.Target.writer = lambda _: writer
flights = OnlineTable(name, f"{schema}.{name}", ("flight_id",), "predict_at", "flight_date", True)
push(spark_session(), flights)
"""


def test_a_value_that_was_changed_behind_its_back_is_found(spark: SparkSession, flights: OnlineTable) -> None:
    push(spark, flights)
    day = "2013-09-30"
    assert compare(spark, flights, day).rows == 8
    with sqlite3.connect(settings().online_dir / "store.sqlite") as connection:
        found = connection.execute(
            "select value from rows where table_name = ? and key like '%f0729%'", (flights.name,)
        )
        value: bytes = found.fetchone()[0]
        # Negative zero becomes zero: no number compares otherwise.
        negative, zero = msgpack.packb(-0.0), msgpack.packb(0.0)
        assert negative in value
        connection.execute(
            "update rows set value = ? where table_name = ? and key like '%f0729%'",
            (value.replace(negative, zero), flights.name),
        )
        connection.execute("delete from rows where table_name = ? and key like '%f0730%'", (flights.name,))
    compared = compare(spark, flights, day)
    assert not compared.is_same
    assert sorted(compared.examples) == [
        "{'flight_id': 'f0729'}: differs in ratio",
        "{'flight_id': 'f0730'}: is not online",
    ]
    push(spark, flights, full=True)
    assert compare(spark, flights, day).is_same


def test_of_a_table_with_many_rows_per_entity_the_newest_is_online(
    spark: SparkSession, platform: Platform, flights: OnlineTable
) -> None:
    newest = replace(flights, entity=("carrier_code", "origin_code"), one_row=False)
    done = push(spark, newest)
    assert done.days == ("newest-row",)
    store = open_store()
    kept = [
        row
        for row in read_at(spark, done.table).toArrow().to_pylist()
        if str(row["flight_date"]) > "2013-09-27"
    ]
    expected: dict[tuple[str, str], str] = {}
    for row in sorted(kept, key=lambda row: row["predict_at"]):
        expected[row["carrier_code"], row["origin_code"]] = row["flight_id"]
    keys = [{"carrier_code": carrier, "origin_code": origin} for carrier, origin in expected]
    rows = store.rows(newest.name, keys)
    store.close()
    assert [row and row.values["flight_id"] for row in rows] == list(expected.values())
    assert compare(spark, newest).is_same
    assert push(spark, newest).days == ()
    with pytest.raises(LakehouseError, match="keeps the newest row of each entity"):
        push(spark, newest, asked=(date(2013, 9, 1), date(2013, 9, 1)))


def test_the_tables_that_are_online_are_those_whose_roles_say_so(platform: Platform) -> None:
    (table,) = online_tables(platform.models)
    assert table.name == platform.features
    assert (table.entity, table.event_time, table.day) == (("flight_id",), "predict_at", "flight_date")
    assert not table.one_row


def test_what_was_never_published_is_not_pushed(spark: SparkSession, schema: str) -> None:
    table = OnlineTable("t", f"{schema}.t", ("id",), "at", "day", one_row=True)
    with pytest.raises(LakehouseError, match="has not been published"):
        push(spark, table)
