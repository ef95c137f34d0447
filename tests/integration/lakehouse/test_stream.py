"""Records of a topic land in bronze, each once: a real broker, real Spark tasks."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import Producer
from pyspark.sql.avro.functions import to_avro

from lakehouse.errors import LakehouseError
from lakehouse.ingest.land import ingest
from lakehouse.ingest.report import IngestReport
from lakehouse.ingest.source import Source
from lakehouse.ingest.stream.lag import lag
from lakehouse.ingest.stream.serve import serve
from lakehouse.settings import PROJECT_ROOT
from tests.faults.delivery_helpers import commit_notes, ledger_rows
from tests.servers.kafka import USER, Broker, running_broker
from tests.servers.topics import create_topic, delete_topic, expire_before, publish, reading, readings_source

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture
def topic(broker: Broker, schema: str) -> str:
    create_topic(broker, schema, partitions=2)
    return schema


def land(spark, schema: str, source: Source) -> IngestReport:
    return ingest(spark, landing=Path("/nowhere"), schema=schema, declared={source.name: source})


def held(spark, schema: str, columns: str = "reading, _partition, _offset") -> list[tuple[object, ...]]:
    rows = spark.sql(f"select {columns} from {schema}.readings order by _partition, _offset").collect()
    return [tuple(row) for row in rows]


def test_what_a_topic_has_lands_once_in_batches_and_the_ledger_has_each(spark, schema, broker, topic):
    source = readings_source(broker, topic, max_offsets_per_batch=8)
    publish(broker, topic, map(reading, range(10)))
    publish(broker, topic, map(reading, range(10, 13)), partition=1)

    report = land(spark, schema, source)

    assert report.refused == []
    assert held(spark, schema) == [(n, 0, n) for n in range(10)] + [(10 + n, 1, n) for n in range(3)]
    assert sum(batch.rows for batch in report.landed) == 13 and len(report.landed) == 2
    entries = [row for (_, kind), row in ledger_rows(spark, schema).items() if kind == "delivery"]
    assert sorted(row["row_count"] for row in entries) == sorted(batch.rows for batch in report.landed)
    assert commit_notes(spark, f"{schema}.readings") == [[batch.batch_id] for batch in report.landed]
    first = spark.table(f"{schema}.readings").where("_partition = 1 and _offset = 2").toArrow().to_pylist()[0]
    assert first["_source_file"] == f"{topic}/1"
    assert first["read_at"] == datetime(2013, 7, 10, 10, 12, tzinfo=UTC)
    assert first["_record_at"] > datetime(2026, 1, 1, tzinfo=UTC)
    (after,) = report.lags
    assert (after.rows_behind, after.minutes_behind, after.alert) == (0, None, None)
    (frontier,) = report.frontiers
    assert frontier.delivered_until is not None and frontier.lacks is None

    again = land(spark, schema, source)

    assert (again.landed, again.skipped, again.refused) == ([], [], [])
    assert again.versions == report.versions
    publish(broker, topic, [reading(20)], partition=1)
    assert [batch.rows for batch in land(spark, schema, source).landed] == [1]
    (later,) = land(spark, schema, source).frontiers
    assert later.delivered_until > frontier.delivered_until


def test_what_is_no_row_goes_to_the_quarantine_with_its_text_and_reason(spark, schema, broker, topic):
    source = readings_source(broker, topic)
    publish(broker, topic, [reading(1), b"{", reading(2, reading="two"), b"\xff\x00", reading(3)])
    publish(broker, topic, [None], partition=1, key=b"A")

    report = land(spark, schema, source)

    assert [(batch.rows, batch.quarantined) for batch in report.landed] == [(2, 4)]
    assert [row[0] for row in held(spark, schema)] == [1, 3]
    aside = spark.table(f"{schema}_quarantine.readings_unreadable").orderBy("_partition", "_offset").collect()
    assert [(row["_partition"], row["_offset"], row["raw"], row["encoding"]) for row in aside] == [
        (0, 1, "{", "text"),
        (0, 2, reading(2, reading="two").decode(), "text"),
        (0, 3, "/wA=", "base64"),
        (1, 0, None, "text"),
    ]
    assert aside[1]["reason"] == 'column reading: "two" is not a value of type int'
    assert aside[3]["reason"].startswith("has no value (a tombstone") and aside[3]["record_key"] == "A"
    # More than the declaration bears: it is said, and what could be read has landed.
    assert [f"{4} of 6 records cannot be read" in refusal.reason for refusal in report.refused] == [True]
    assert land(spark, schema, source).refused == []
    spark.sql(f"drop schema {schema}_quarantine cascade")


def test_an_empty_topic_and_one_that_is_not_there(spark, schema, broker, topic):
    report = land(spark, schema, readings_source(broker, topic))
    assert (report.landed, report.refused) == ([], [])
    assert report.frontiers[0].delivered_until is None
    with pytest.raises(LakehouseError, match=f"there is no topic {topic}-not-there"):
        land(spark, schema, readings_source(broker, f"{topic}-not-there"))


def test_avro_is_read_by_its_schema_and_other_bytes_are_set_aside(spark, schema, broker, topic, tmp_path):
    avro = tmp_path / "reading.avsc"
    fields = [
        {"name": "station", "type": "string"},
        {"name": "reading", "type": ["null", "int"]},
        {"name": "read_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ]
    avro.write_text(json.dumps({"type": "record", "name": "reading", "fields": fields}))
    source = readings_source(broker, topic, value="avro", schema_file=str(avro), schema_id=7)
    rows = spark.sql(
        """
        select struct(*) as row
        from values
            ('A', 0, timestamp '2013-07-10 10:00:00'),
            ('A', 1, timestamp '2013-07-10 10:00:00.000001'),
            ('A', 2, timestamp '1913-07-10 10:00:00'),
            ('A', null, timestamp '2013-07-10 10:00:00') as published (station, reading, read_at)
        """
    )
    header = b"\0\0\0\0\7"
    values = [header + bytes(row[0]) for row in rows.select(to_avro("row", avro.read_text())).collect()]
    other = b"\0\0\0\0\x08" + values[0][5:]
    publish(broker, topic, [*values, b"", b"\0", header, values[1] + b"\0", values[2][:-1], other, None])

    report = land(spark, schema, source)

    assert [(batch.rows, batch.quarantined) for batch in report.landed] == [(4, 7)]
    assert sorted(str(row[0]) for row in held(spark, schema)) == ["0", "1", "2", "None"]
    aside = spark.table(f"{schema}_quarantine.readings_unreadable").orderBy("_offset").collect()
    assert [row["reason"].split(" of ")[0] for row in aside] == [
        "does not begin with Confluent's header",
        "does not begin with Confluent's header",
        "is not a record",
        "is not a record",
        "is not a record",
        "does not begin with Confluent's header",
        "has no value (a tombstone: bronze keeps what was, and deletes nothing)",
    ]
    spark.sql(f"drop schema {schema}_quarantine cascade")


def test_records_that_expired_are_named_and_the_frontier_stays_until_that_is_declared(
    spark, schema, broker, topic
):
    source = readings_source(broker, topic)
    publish(broker, topic, map(reading, range(3)))
    (before,) = land(spark, schema, source).frontiers
    publish(broker, topic, map(reading, range(3, 8)))
    expire_before(broker, topic, 6)

    report = land(spark, schema, source)

    assert [refusal.reason.partition(";")[0] for refusal in report.refused] == [
        f"{topic} 0:3-6: these records expired before they were read"
    ]
    assert [row[0] for row in held(spark, schema)] == [0, 1, 2, 6, 7]
    (frontier,) = report.frontiers
    assert frontier.delivered_until == before.delivered_until == frontier.gap_from
    assert frontier.lacks is not None
    assert "expired" in next(row["reason"] for row in ledger_rows(spark, schema).values() if row["reason"])
    # Once it was said, later loads go on.
    publish(broker, topic, [reading(8)])
    assert land(spark, schema, source).refused == []


def test_a_topic_that_was_recreated_is_named_and_its_records_are_other_ones(spark, schema, broker, topic):
    source = readings_source(broker, topic)
    publish(broker, topic, map(reading, range(3)))
    land(spark, schema, source)
    delete_topic(broker, topic)
    create_topic(broker, topic, partitions=1)
    publish(broker, topic, map(reading, range(10, 12)))

    report = land(spark, schema, source)

    assert len(report.refused) == 1 and "was deleted and recreated" in report.refused[0].reason
    found = held(spark, schema, "reading, _offset, _topic_id")
    assert sorted(row[0] for row in found) == [0, 1, 2, 10, 11]
    assert len({row[2] for row in found}) == 2


def test_a_lost_plan_reads_all_again_and_lands_nothing_twice(spark, schema, broker, topic):
    source = readings_source(broker, topic)
    publish(broker, topic, [reading(0), b"{", reading(1)])
    land(spark, schema, source)
    publish(broker, topic, [reading(2)])
    spark.sql(f"drop table {schema}.stream_batches")

    report = land(spark, schema, source)

    assert [(batch.rows, batch.quarantined) for batch in report.landed] == [(1, 0)]
    assert [row[0] for row in held(spark, schema)] == [0, 1, 2]
    assert spark.table(f"{schema}_quarantine.readings_unreadable").count() == 1
    spark.sql(f"drop schema {schema}_quarantine cascade")


def test_the_service_lands_what_comes_until_it_is_stopped(spark, schema, broker, topic):
    source = readings_source(broker, topic)
    stop, reports = threading.Event(), []
    landed = threading.Semaphore(0)

    def on_report(report: IngestReport) -> None:
        reports.append(report)
        landed.release()

    def session():
        return spark

    options = {"every_seconds": 0.2, "schema": schema}
    service = threading.Thread(target=serve, args=(session, source, stop, on_report), kwargs=options)
    service.start()
    try:
        assert landed.acquire(timeout=60)
        for number in range(3):
            publish(broker, topic, [reading(number)])
            assert landed.acquire(timeout=60)
    finally:
        stop.set()
        service.join(60)
    assert not service.is_alive()
    assert [row[0] for row in held(spark, schema)] == [0, 1, 2]


def test_lag_is_measured_without_landing_and_above_the_limits_is_an_alert(spark, schema, broker, topic):
    source = readings_source(broker, topic, lag_alert_rows=2, lag_alert_minutes=60)
    an_hour_ago = int((time.time() - 7200) * 1000)
    publish(broker, topic, map(reading, range(2)))

    assert lag(spark, source, schema=schema).alert is None
    land(spark, schema, source)
    producer = Producer({"bootstrap.servers": broker.address})
    for number in range(3):
        producer.produce(topic, reading(number), partition=1, timestamp=an_hour_ago)
    producer.flush(30)

    found = lag(spark, source, schema=schema)

    assert found.rows_behind == 3 and found.minutes_behind is not None
    assert 119 < found.minutes_behind < 125
    assert found.alert is not None
    assert "3 records are unread, more than 2" in found.alert and "more than 60" in found.alert
    assert len(held(spark, schema)) == 2


def test_brokers_that_ask_for_a_password_get_it_from_the_environment(
    spark, schema, broker, topic, monkeypatch
):
    publish(broker, topic, [reading(1)])
    security = {
        "protocol": "SASL_PLAINTEXT",
        "mechanism": "PLAIN",
        "username_env": "K_U",
        "password_env": "K_P",
    }
    source = readings_source(broker, topic, bootstrap_servers=broker.sasl_address, security=security)
    monkeypatch.setenv("K_U", USER)
    monkeypatch.setenv("K_P", "wrong")
    with pytest.raises(LakehouseError, match="let nobody in with this name and password"):
        land(spark, schema, source)
    monkeypatch.setenv("K_P", broker.password)
    assert [batch.rows for batch in land(spark, schema, source).landed] == [1]


def test_records_of_open_and_aborted_transactions_do_not_land(spark, schema, broker, topic):
    source = readings_source(broker, topic)
    producer = Producer({"bootstrap.servers": broker.address, "transactional.id": topic})
    producer.init_transactions(30)
    for number, ends in ((1, producer.commit_transaction), (2, producer.abort_transaction), (3, None)):
        producer.begin_transaction()
        producer.produce(topic, reading(number), partition=0)
        producer.flush(30)
        if ends is not None:
            ends(30)

    land(spark, schema, source)
    assert [row[0] for row in held(spark, schema)] == [1]

    producer.commit_transaction(30)
    land(spark, schema, source)
    assert [row[0] for row in held(spark, schema)] == [1, 3]


# The command, on a source and a schema of a test.
COMMAND = """
import functools, sys
from pathlib import Path
import lakehouse.ingest.declarations as declarations, lakehouse.ingest.stream.serve as serve
folder, schema = sys.argv[1:]
declarations.load_sources = functools.partial(declarations.load_sources, Path(folder))
serve.serve = functools.partial(serve.serve, schema=schema)
sys.argv = ["lakehouse", "stream", "readings", "--every", "0.2", "--json"]
from commands.app import main
main()
"""


def test_the_command_lands_what_comes_until_ctrl_c(spark, schema, broker, topic, tmp_path):
    source = readings_source(broker, topic)
    (tmp_path / "readings.yml").write_text(json.dumps(source.model_dump(mode="json")))
    publish(broker, topic, [reading(0)])
    command = [sys.executable, "-c", COMMAND, str(tmp_path), schema]
    with subprocess.Popen(
        command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as service:
        assert service.stdout is not None and service.stderr is not None
        try:
            landed = [json.loads(service.stdout.readline())["landed"]]
            publish(broker, topic, [reading(1), reading(2)])
            landed.append(json.loads(service.stdout.readline())["landed"])
            service.send_signal(signal.SIGINT)
            assert service.wait(60) == 0, service.stderr.read()
        finally:
            service.kill()
    assert [batch["rows"] for each in landed for batch in each] == [1, 2]
    assert [row[0] for row in held(spark, schema)] == [0, 1, 2]


def test_the_command_refuses_a_source_of_files_by_name():
    ran = subprocess.run(
        [Path(sys.executable).with_name("lakehouse"), "stream", "flight_actuals", "--lag"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 3
    assert "flight_actuals does not come from a topic" in ran.stderr
