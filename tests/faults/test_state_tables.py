"""State tables keep one order: of processes at once, of clocks that go back, and over an older form."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakehouse.delta import gate_results, publications, state_table
from lakehouse.delta.gate_results import GateRow, passed_version, states
from lakehouse.delta.pins import pin, pins, unpin
from lakehouse.delta.publications import publish, published_version, releases, view_name
from lakehouse.delta.state_table import SEQUENCE, StateTable, latest
from lakehouse.delta.table import TableVersion, current_version, location
from lakehouse.engine.state import exclusive
from lakehouse.settings import settings
from tests.faults.engine_helpers import output, start

NOON = datetime(2013, 10, 1, 12, tzinfo=UTC)

APPENDS = """
import sys
from datetime import UTC, datetime
from tests.faults.test_state_tables import noted
table, spark = noted(name), spark_session()
spark.sql("select 1").collect()
print("ready", flush=True)
sys.stdin.readline()
for number in range(5):
    table.append(spark, [{"table_name": who, "value": number, "noted_at": datetime.now(UTC)}] * 2)
"""


def noted(name: str) -> StateTable:
    """A state table of the tests' own."""
    return StateTable(
        name=name,
        columns=(
            ("table_name", "string not null", pa.string()),
            ("value", "bigint not null", pa.int64()),
            ("noted_at", "timestamp not null", pa.timestamp("us", "UTC")),
        ),
        at="noted_at",
        comment="For a test.",
    )


def values(spark: SparkSession, table: StateTable) -> list[int]:
    return table.read(spark).column("value").to_pylist()


def test_two_processes_at_once_keep_a_total_order(spark: SparkSession, schema: str, warehouse: Path) -> None:
    table = noted(f"{schema}.at_once")
    named = f"name = {table.name!r}\n"
    processes = [start(f"{named}who = {who!r}\n{APPENDS}", warehouse) for who in ("one", "two")]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        output(process)

    rows = table.read(spark).to_pylist()
    assert sorted(row[SEQUENCE] for row in rows) == sorted([*range(1, 11)] * 2)
    writers = {row[SEQUENCE]: row["table_name"] for row in rows}
    by_writer = {who: [row["value"] for row in rows if row["table_name"] == who] for who in ("one", "two")}
    each = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert by_writer == {"one": each, "two": each}
    # They did meet: neither wrote all of its rows before the other began.
    assert list(writers.values()) not in (["one"] * 5 + ["two"] * 5, ["two"] * 5 + ["one"] * 5)
    assert {row["value"] for row in latest(table.read(spark), "table_name")} == {4}


def test_a_table_from_before_sequences_goes_on_and_its_rows_come_first(
    spark: SparkSession, schema: str
) -> None:
    table = noted(f"{schema}.older")
    spark.sql(
        f"create table {table.name} (table_name string not null, value bigint not null, "
        "noted_at timestamp not null) using delta"
    )
    spark.sql(f"insert into {table.name} values ('t', 2, timestamp'2013-10-01 14:00:00')")
    spark.sql(f"insert into {table.name} values ('t', 1, timestamp'2013-10-01 13:00:00')")
    assert values(spark, table) == [1, 2]
    table.append(spark, [{"table_name": "t", "value": 3, "noted_at": NOON}])
    assert values(spark, table) == [1, 2, 3]
    assert [row["value"] for row in latest(table.read(spark), "table_name")] == [3]


def test_a_read_opens_few_files_whatever_was_written(
    spark: SparkSession, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_table, "MOST_FILES", 3)
    table = noted(f"{schema}.many")
    for number in range(6):
        table.append(spark, [{"table_name": "t", "value": number, "noted_at": NOON}])
    assert values(spark, table) == list(range(6))
    assert len(DeltaTable(location(spark, table.name)).file_uris()) <= 3


def test_a_clock_that_goes_back_changes_no_release_pin_or_result(spark: SparkSession, schema: str) -> None:
    name = f"{schema}.clock_{schema}"
    earlier = NOON - timedelta(minutes=5)
    spark.sql(f"create table {name} using delta as select id from range(1)")
    first = current_version(spark, name)
    publish(spark, [first], "features", "run 1", now=NOON)
    spark.sql(f"insert into {name} values (1)")
    second = current_version(spark, name)
    publish(spark, [second], "features", "run 2", now=earlier)
    assert releases(spark)[name] == second
    assert spark.table(view_name(name)).count() == 2

    hold = f"audit {name}"
    pin(spark, hold, second, "audit", "A. Lin", now=NOON)
    unpin(spark, hold, "A. Lin", now=NOON)
    pin(spark, hold, second, "audit", "A. Lin", now=earlier)
    assert hold in [held.name for held in pins(spark)]
    unpin(spark, hold, "A. Lin", now=earlier)
    assert hold not in [held.name for held in pins(spark)]

    result = GateRow(second, None, name, True, 0, None, "run", None)
    gate_results.append(spark, [result], now=NOON)
    failed = GateRow(second, None, name, False, 1, "[]", "run", None)
    gate_results.append(spark, [failed], now=earlier)
    assert not states(spark, [name])[name].passed
    assert passed_version(spark, name) is None


def made(spark: SparkSession, name: str, rows: int) -> TableVersion:
    spark.sql(f"create or replace table {name} using delta as select id from range({rows})")
    return current_version(spark, name)


KILLED = """
import sys
from lakehouse.delta import publications
from lakehouse.delta.table import current_version

def die(spark):
    print("committed", flush=True)
    sys.stdin.readline()

publications.restore_views = die
spark = spark_session()
publications.publish(spark, [current_version(spark, "{name}")], "features", "killed")
"""


def test_a_release_that_is_killed_before_its_views_is_healed_by_the_next_call(
    spark: SparkSession, schema: str, warehouse: Path
) -> None:
    name = f"{schema}.killed_{schema}"
    publish(spark, [made(spark, name, 1)], "features", "run 1")
    second = made(spark, name, 2)
    process = start(KILLED.format(name=name), warehouse)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "committed", process.communicate()[1]
    process.kill()
    process.wait()

    assert releases(spark)[name] == second
    assert spark.table(view_name(name)).count() == 1, "the kill did not fall between the commit and the views"
    assert published_version(spark, name) == second
    assert spark.table(view_name(name)).count() == 2


def test_no_reader_sets_a_view_back(
    spark: SparkSession, schema: str, monkeypatch: pytest.MonkeyPatch, warehouse: Path
) -> None:
    name = f"{schema}.set_back_{schema}"
    publish(spark, [made(spark, name, 1)], "features", "run 1")
    second = made(spark, name, 2)
    released = "from lakehouse.delta.publications import publish\n"
    released += "from lakehouse.delta.table import current_version\n"
    released += f"publish(spark_session(), [current_version(spark_session(), '{name}')], 'features', 'run 2')"
    # A reader that is at the views while another process releases: it read the releases under the lock, which
    # the release waits for with its views, and which nobody gets with older releases in hand.
    with exclusive(settings().engine_dir / "views.lock"):
        process = start(released, warehouse)
        while releases(spark)[name] != second:
            assert process.poll() is None, process.communicate()[1]
        assert spark.table(view_name(name)).count() == 1
        assert process.poll() is None
    output(process)
    assert spark.table(view_name(name)).count() == 2

    locked: list[bool] = []
    read = publications.releases

    def watched(session: SparkSession) -> dict[str, TableVersion]:
        from lakehouse.engine.state import is_locked

        locked.append(is_locked(settings().engine_dir / "views.lock"))
        return read(session)

    monkeypatch.setattr(publications, "releases", watched)
    publications.restore_views(spark)
    assert locked == [True]
