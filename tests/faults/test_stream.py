"""Loads of a topic that are killed, run at once, or lose their brokers: each record is there once."""

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from lakehouse.ingest.declarations import load_source
from lakehouse.ingest.report import IngestReport
from lakehouse.ingest.stream.land import land_stream
from lakehouse.ingest.stream.topic import UnreachableError
from tests.faults.delivery_helpers import ledger_rows
from tests.faults.stream_helpers import load_killed_after
from tests.servers.kafka import Broker, running_broker
from tests.servers.topics import create_topic, publish, reading, readings_source

pytestmark = pytest.mark.slow

KILLS = 20


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture
def declaration(broker: Broker, schema: str, tmp_path: Path) -> Path:
    create_topic(broker, schema, partitions=2)
    path = tmp_path / "readings.yml"
    source = readings_source(broker, schema, max_offsets_per_batch=20)
    path.write_text(json.dumps(source.model_dump(mode="json")))
    return path


def publish_round(broker: Broker, topic: str, number: int, *bad: bytes) -> None:
    values = [reading(2 * number), *bad, reading(2 * number + 1)]
    publish(broker, topic, values, partition=number % 2)


def places(spark, schema: str) -> list[tuple[int, int]]:
    """Partition and offset of each row, landed or set aside."""
    rows = spark.sql(
        f"""
        select _partition, _offset from {schema}.readings
        union all select _partition, _offset from {schema}_quarantine.readings_unreadable
        """
    ).collect()
    return sorted((row["_partition"], row["_offset"]) for row in rows)


def landed(spark, schema: str) -> list[int]:
    rows = spark.table(f"{schema}.readings").select("reading").collect()
    return sorted(row["reading"] for row in rows)


def check_each_once(spark, schema: str, rounds: int, bad: int) -> None:
    found = places(spark, schema)
    assert len(found) == len(set(found)) == 2 * rounds + bad
    assert landed(spark, schema) == list(range(2 * rounds))
    entries = ledger_rows(spark, schema).values()
    assert sum(row["landed_rows"] for row in entries) == 2 * rounds
    assert sum(row["quarantined_rows"] for row in entries) == bad


def test_twenty_kills_between_the_rows_and_the_ledger_leave_each_record_once(
    spark, schema, broker, declaration
):
    for number in range(KILLS):
        publish_round(broker, schema, number, *((b"{",) if number == 0 else ()))
        # It completes what the one before began, then lands this round's, and dies.
        assert load_killed_after(declaration, schema, "readings") == -signal.SIGKILL
        assert len(places(spark, schema)) == 2 * (number + 1) + 1
        assert len(ledger_rows(spark, schema)) == number

    report = IngestReport()
    after = land_stream(spark, load_source(declaration), report, schema=schema)

    assert after.rows_behind == 0
    assert (len(report.landed), len(report.skipped)) == (0, 1)
    check_each_once(spark, schema, KILLS, bad=1)
    spark.sql(f"drop schema {schema}_quarantine cascade")


def test_a_kill_after_any_other_commit_leaves_each_record_once(spark, schema, broker, declaration):
    tables = ("stream_batches", "readings_unreadable", "deliveries")
    for number, table in enumerate(tables):
        publish_round(broker, schema, number, b"{")
        assert load_killed_after(declaration, schema, table) == -signal.SIGKILL
    publish_round(broker, schema, len(tables))

    land_stream(spark, load_source(declaration), IngestReport(), schema=schema)

    check_each_once(spark, schema, len(tables) + 1, bad=len(tables))
    spark.sql(f"drop schema {schema}_quarantine cascade")


def test_brokers_that_go_away_are_a_clear_error_and_nothing_lands_until_they_are_back(
    spark, schema, tmp_path
):
    with running_broker(tmp_path / "kafka") as first:
        port = int(first.address.rpartition(":")[2])
        create_topic(first, "readings")
        publish(first, "readings", map(reading, range(3)))
        source = readings_source(first, "readings")
    with pytest.raises(UnreachableError, match=r"topic readings at .*: the brokers do not answer"):
        land_stream(spark, source, IngestReport(), schema=schema)

    with ExitStack() as stack:
        stack.enter_context(running_broker(tmp_path / "kafka", port=port))
        # They go away once the batch is planned, and before it is read.
        with pytest.raises(UnreachableError):
            land_stream(spark, source, IngestReport(), schema=schema, progress=lambda _: stack.close())
    assert landed(spark, schema) == []
    assert spark.table(f"{schema}.stream_batches").count() == 1

    with running_broker(tmp_path / "kafka", port=port):
        report = IngestReport()
        land_stream(spark, source, report, schema=schema)
    assert landed(spark, schema) == [0, 1, 2]
    assert len(report.landed) == 1 and spark.table(f"{schema}.stream_batches").count() == 1


def test_of_two_processes_at_once_each_record_lands_once(spark, schema, broker, declaration):
    source = load_source(declaration)
    publish(broker, schema, map(reading, range(30)))

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(load_killed_after, declaration, schema, "no table")
        after = land_stream(spark, source, IngestReport(), schema=schema)
        assert (after.rows_behind, other.result()) == (0, 0)

    assert landed(spark, schema) == list(range(30))
    entries = ledger_rows(spark, schema).values()
    assert sorted(row["landed_rows"] for row in entries) == [10, 20]
