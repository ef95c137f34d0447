"""Ingestions that die between two commits: a later one completes what they began, whatever came meanwhile."""

import signal

import pytest

from lakehouse.ingest.decide import supersede
from lakehouse.ingest.ledger import pending, read_entries
from tests.faults.delivery_helpers import (
    commit_notes,
    deliver,
    killed,
    land,
    ledger_rows,
    read_by_somebody,
    readings,
    readings_source,
    told_until,
)

pytestmark = pytest.mark.slow

SOURCE = readings_source()
DAY = "readings_2013-07-10"


@pytest.mark.parametrize(("after", "table"), [(1, "readings_unreadable"), (2, "readings"), (3, "deliveries")])
def test_an_ingestion_that_is_killed_between_two_commits_is_completed_by_the_next(
    spark, schema, tmp_path, after, table
):
    rows = readings(40)
    rows[7]["reading"] = 1.5
    deliver(tmp_path, "2013-07-10", rows)
    deliver(tmp_path, "2013-07-11", readings(3, first=50))

    dead = killed(tmp_path, schema, after, "ingest(spark, **options)")

    assert (dead.returncode, dead.stdout.strip()) == (-signal.SIGKILL, table), dead.stderr
    assert spark.table(f"{schema}.readings").count() == (0 if after == 1 else 42)
    assert len(read_entries(schema)) == (2 if after == 3 else 0)

    again = land(spark, schema, tmp_path)

    assert again.refused == []
    assert len(again.landed if after == 1 else again.skipped) == 2
    held = spark.table(f"{schema}.readings").groupBy("_batch_id").count().collect()
    assert {row["_batch_id"]: row["count"] for row in held} == {DAY: 39, "readings_2013-07-11": 3}
    assert spark.table(f"{schema}_quarantine.readings_unreadable").count() == 1
    entries = ledger_rows(spark, schema)
    assert entries[DAY, "delivery"]["quarantined_rows"] == 1
    assert len(entries) == 2
    spark.sql(f"drop schema {schema}_quarantine cascade")


def test_what_a_dead_ingestion_set_aside_is_no_longer_there_when_the_file_was_corrected(
    spark, schema, tmp_path
):
    rows = readings(40)
    deliver(tmp_path, "2013-07-10", [*rows[:39], rows[39] | {"reading": 1.5}])
    dead = killed(tmp_path, schema, 1, "ingest(spark, **options)")
    assert dead.returncode == -signal.SIGKILL
    assert spark.table(f"{schema}_quarantine.readings_unreadable").count() == 1
    deliver(tmp_path, "2013-07-10", rows)

    report = land(spark, schema, tmp_path)

    assert [(batch.rows, batch.quarantined) for batch in report.landed] == [(40, 0)]
    assert spark.table(f"{schema}_quarantine.readings_unreadable").count() == 0
    spark.sql(f"drop schema {schema}_quarantine cascade")


@pytest.mark.parametrize(("after", "table"), [(1, "deliveries"), (2, "readings")])
def test_a_replacement_that_is_killed_half_way_is_completed_by_any_ingestion(
    spark, schema, tmp_path, after, table
):
    deliver(tmp_path, "2013-07-10", readings(2))
    land(spark, schema, tmp_path)
    deliver(tmp_path, "2013-07-10", readings(3, first=5))

    dead = killed(tmp_path, schema, after, f"supersede(spark, '{DAY}', by='Ana', reason='wrong', **options)")

    assert (dead.returncode, dead.stdout.strip()) == (-signal.SIGKILL, table), dead.stderr
    waiting = pending(tmp_path, read_entries(schema), declared={"readings": SOURCE}, settle_seconds=0)
    assert [delivery.batch_id for delivery in waiting] == [DAY]
    report = land(spark, schema, tmp_path)
    assert report.refused == []
    assert read_by_somebody(spark, schema) == [5, 6, 7]
    assert commit_notes(spark, f"{schema}.readings")[-1] == [DAY, f"{DAY}_r2"]
    assert land(spark, schema, tmp_path).skipped == [f"{DAY}_r2"]
    assert set(ledger_rows(spark, schema)) == {
        (DAY, "delivery"),
        (f"{DAY}_r2", "supersede"),
        (f"{DAY}_r2", "delivery"),
    }


def test_what_a_dead_ingestion_landed_is_replaced_by_name_when_the_file_was_changed(spark, schema, tmp_path):
    """The rows are in bronze, the ledger knows nothing of them, and the file that they came from is gone."""
    deliver(tmp_path, "2013-07-10", readings(2))
    dead = killed(tmp_path, schema, 1, "ingest(spark, **options)")
    assert (dead.returncode, dead.stdout.strip()) == (-signal.SIGKILL, "readings"), dead.stderr
    deliver(tmp_path, "2013-07-10", readings(3, first=5))

    (refused,) = land(spark, schema, tmp_path).refused
    assert f"lakehouse ingest --supersede {DAY}" in refused.reason
    report = supersede(
        spark,
        DAY,
        by="Ana",
        reason="the station corrected it",
        landing=tmp_path,
        declared={"readings": SOURCE},
        schema=schema,
        settle_seconds=0,
    )

    assert report.refused == []
    assert read_by_somebody(spark, schema) == [5, 6, 7]
    assert told_until(spark, schema) == ("07-11 04:00", None, None)
    assert land(spark, schema, tmp_path).skipped == [f"{DAY}_r2"]
