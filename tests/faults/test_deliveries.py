"""Deliveries late, twice, half or never, and ingestions that are killed: nothing is lost or doubled."""

import json
import os
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path

import pytest
from pyspark.errors import PySparkException

from lakehouse.errors import LakehouseError
from lakehouse.ingest import land as module
from lakehouse.ingest.decide import declare_missing, supersede
from lakehouse.ingest.ledger import pending, read_entries
from tests.faults.delivery_helpers import (
    commit_notes,
    deliver,
    land,
    ledger_rows,
    read_by_somebody,
    readings,
    readings_source,
    told_until,
)

# Real processes, engines and gates: minutes, not seconds.
pytestmark = pytest.mark.slow

SOURCE = readings_source()
DAY = "readings_2013-07-10"
ANA = {"by": "Ana", "reason": "the station sent the wrong file"}


def reasons(report) -> dict[str, str]:
    return {Path(refusal.file).stem: refusal.reason for refusal in report.refused}


def test_an_empty_or_short_delivery_is_refused_and_the_whole_one_lands_later(spark, schema, tmp_path):
    source = readings_source(min_rows={"day": 3, "hour": 0})
    for period, rows in {"2013-07-09": 5, "2013-07-10": 0, "2013-07-11": 2, "2013-07-12T00": 0}.items():
        deliver(tmp_path, period, readings(rows))

    first = land(spark, schema, tmp_path, source)

    assert reasons(first) == {
        "readings_2013-07-10": "has no rows, but readings declares at least 3 (min_rows, may_be_empty in its "
        "declaration)",
        "readings_2013-07-11": "has 2 rows, but readings declares at least 3 (min_rows, may_be_empty in its "
        "declaration)",
    }
    assert [batch.batch_id for batch in first.landed] == ["readings_2013-07-09", "readings_2013-07-12T00"]
    assert told_until(spark, schema) == ("07-10 04:00", "07-10 04:00", "07-12 04:00")
    assert first.frontiers[0].gap_until is not None

    for period in ("2013-07-10", "2013-07-11"):
        deliver(tmp_path, period, readings(4))
    second = land(spark, schema, tmp_path, source)

    assert (second.refused, len(second.landed)) == ([], 2)
    assert told_until(spark, schema) == ("07-12 05:00", None, None)


def test_a_landed_batch_is_replaced_only_by_name_and_nobody_reads_the_first(spark, schema, tmp_path):
    path = deliver(tmp_path, "2013-07-10", readings(2))
    deliver(tmp_path, "2013-07-11", readings(1, first=10))
    options = {"landing": tmp_path, "schema": schema, "declared": {"readings": SOURCE}}
    with pytest.raises(LakehouseError, match="has not landed"):
        supersede(spark, DAY, **ANA, **options)
    land(spark, schema, tmp_path)
    with pytest.raises(LakehouseError, match="has the content that landed"):
        supersede(spark, DAY, **ANA, **options)

    deliver(tmp_path, "2013-07-10", readings(3, first=5))
    refused = land(spark, schema, tmp_path)
    assert f"lakehouse ingest --supersede {DAY}" in reasons(refused)[DAY]
    second = supersede(spark, DAY, **ANA, **options)

    assert [(batch.batch_id, batch.rows, batch.supersedes) for batch in second.landed] == [
        (f"{DAY}_r2", 3, DAY)
    ]
    assert second.refused == []
    assert read_by_somebody(spark, schema) == [5, 6, 7, 10]
    assert spark.table(f"{schema}.readings").count() == 6
    # The commit names both, so that what was made of either is made again.
    assert commit_notes(spark, f"{schema}.readings")[-1] == [DAY, f"{DAY}_r2"]
    entry = ledger_rows(spark, schema)[f"{DAY}_r2", "delivery"]
    assert (entry["supersedes"], entry["decided_by"], entry["reason"]) == (DAY, *ANA.values())

    # Later calls know the newest content of the file; it can be replaced again, also by what landed first.
    assert land(spark, schema, tmp_path).refused == []
    deliver(tmp_path, "2013-07-10", readings(2))
    third = supersede(spark, f"{DAY}_r2", **ANA, **options)
    assert [batch.batch_id for batch in third.landed] == [f"{DAY}_r3"]
    assert read_by_somebody(spark, schema) == [0, 1, 10]
    assert commit_notes(spark, f"{schema}.readings")[-1] == [DAY, f"{DAY}_r2", f"{DAY}_r3"]
    assert told_until(spark, schema) == ("07-12 04:00", None, None)

    path.write_text("")
    with pytest.raises(LakehouseError, match="has no rows"):
        supersede(spark, DAY, **ANA, **options)


def test_the_frontier_waits_at_a_gap_until_someone_says_that_it_never_comes(spark, schema, tmp_path):
    source = readings_source(min_rows={"hour": 0})
    options = {"declared": {"readings": source}, "schema": schema}
    deliver(tmp_path, "2013-07-09", readings(1))
    for hour in (11, 12):
        deliver(tmp_path, f"2013-07-10T{hour}", readings(1, first=hour))
    report = land(spark, schema, tmp_path, source)
    assert told_until(spark, schema) == ("07-10 04:00", "07-10 04:00", "07-10 15:00")
    (frontier,) = report.frontiers
    assert (frontier.delivered_until, frontier.lacks) == (frontier.gap_from, "2013-07-10T00..2013-07-10T10")

    for period, reason in {
        "2013-07-10": "readings_2013-07-10T11, readings_2013-07-10T12 landed",
        "2013-07-08": "has delivered nothing before",
        "2999-01-01": "is not over yet",
    }.items():
        with pytest.raises(LakehouseError, match=reason):
            declare_missing(spark, "readings", period, **ANA, **options)
    assert len(declare_missing(spark, "readings", "2013-07-10T00..2013-07-10T10", **ANA, **options)) == 11
    assert declare_missing(spark, "readings", "2013-07-10T03", **ANA, **options) == []
    assert told_until(spark, schema) == ("07-10 17:00", None, None)

    # What comes after all is refused by name, unless it has nothing to say or is taken by name.
    deliver(tmp_path, "2013-07-10T02", [])
    deliver(tmp_path, "2013-07-10T03", readings(2, first=3))
    late = land(spark, schema, tmp_path, source)
    assert list(reasons(late)) == ["readings_2013-07-10T03"]
    assert "Ana declared on" in reasons(late)["readings_2013-07-10T03"]
    assert pending(tmp_path, read_entries(schema), declared={"readings": source}, settle_seconds=0) == []
    taken = supersede(spark, "readings_2013-07-10T03", **ANA, landing=tmp_path, **options)
    assert [batch.batch_id for batch in taken.landed] == ["readings_2013-07-10T03_r2"]
    assert read_by_somebody(spark, schema) == [0, 3, 4, 11, 12]
    assert land(spark, schema, tmp_path, source).refused == []


def test_bad_rows_are_quarantined_and_each_delivered_row_is_somewhere_once(spark, schema, tmp_path):
    rows = readings(60)
    rows[7]["reading"] = 1.5
    del rows[9]["read_at"]
    deliver(tmp_path, "2013-07-10", rows)
    deliver(tmp_path, "2013-07-11", [row | {"reading": "?"} for row in readings(4)])
    deliver(tmp_path, "2013-07-12", readings(4))

    report = land(spark, schema, tmp_path)
    again = land(spark, schema, tmp_path)

    assert list(reasons(report)) == list(reasons(again)) == ["readings_2013-07-11"]
    assert [(batch.rows, batch.quarantined) for batch in report.landed] == [(58, 2), (4, 0)]
    assert (again.landed, len(again.skipped)) == ([], 2)
    entries = ledger_rows(spark, schema).values()
    assert sorted((row["row_count"], row["landed_rows"], row["quarantined_rows"]) for row in entries) == [
        (4, 4, 0),
        (60, 58, 2),
    ]
    kept = spark.table(f"{schema}_quarantine.readings_unreadable").orderBy("line_number").collect()
    assert [(row["line_number"], row["_batch_id"]) for row in kept] == [(8, DAY), (10, DAY)]
    assert [json.loads(row["raw"]) for row in kept] == [rows[7], rows[9]]
    assert [row["reason"] for row in kept] == [
        "column reading: 1.5 is not a value of type int",
        "column read_at: has no value, and one is required",
    ]
    assert spark.table(f"{schema}.readings").count() == 62
    with pytest.raises(PySparkException, match="rows_add_up"):
        spark.sql(
            f"insert into {schema}.deliveries (source, day, row_count, landed_rows, quarantined_rows) "
            "values ('readings', date'2013-07-13', 3, 1, 1)"
        ).collect()
    spark.sql(f"drop schema {schema}_quarantine cascade")


def test_names_are_refused_one_by_one_and_sources_may_share_a_folder(spark, schema, tmp_path):
    other = readings_source("readings_indoors")
    deliver(tmp_path, "2013-07-10", readings(1))
    deliver(tmp_path, "2013-07-10", readings(1), source="readings_indoors")
    for period in ("2031-01-01", "9999-12-31", "0001-01-01", "yesterday", "2013-07-10_r2"):
        deliver(tmp_path, period, readings(1))

    report = land(spark, schema, tmp_path, SOURCE, other)

    assert [batch.batch_id for batch in report.landed] == [DAY, "readings_indoors_2013-07-10"]
    assert sorted(reasons(report)) == [
        "readings_0001-01-01",
        "readings_2013-07-10_r2",
        "readings_2031-01-01",
        "readings_9999-12-31",
        "readings_yesterday",
    ]
    assert "still to come" in reasons(report)["readings_2031-01-01"]
    assert "is outside" in reasons(report)["readings_9999-12-31"]
    assert told_until(spark, schema) == ("07-11 04:00", None, None)


def test_a_new_column_is_never_a_dead_end(spark, schema, tmp_path):
    source = readings_source(allow_new_columns=True)
    for day, gust in ((10, 7), (11, 7.5), (12, 9007199254740993), (13, 8)):
        deliver(tmp_path, f"2013-07-{day}", readings(1, gust=gust))

    report = land(spark, schema, tmp_path, source)

    assert list(reasons(report)) == ["readings_2013-07-12"]
    assert "9007199254740993 is not exact as a double" in reasons(report)["readings_2013-07-12"]
    # Declared as another type, it gets a column of its own.
    columns = [column.model_dump() for column in SOURCE.columns]
    gust = {"name": "gust_text", "name_in_file": "gust", "type": "bigint", "description": "Gust."}
    declared = readings_source(columns=[*columns, gust])
    deliver(tmp_path, "2013-07-14", readings(1, gust=9))
    wider = land(spark, schema, tmp_path, declared)
    assert [batch.batch_id[-2:] for batch in wider.landed] == ["12", "14"]
    rows = spark.table(f"{schema}.readings").orderBy("_batch_id").select("gust", "gust_text").collect()
    assert [tuple(row) for row in rows] == [
        (7.0, None),
        (7.5, None),
        (None, 9007199254740993),
        (8.0, None),
        (None, 9),
    ]


def test_a_file_that_landed_is_not_read_again_and_a_range_takes_what_else_is_pending(
    spark, schema, tmp_path, monkeypatch
):
    for day in (10, 11, 12):
        deliver(tmp_path, f"2013-07-{day}", readings(1, first=day))
    asked = {"days": (date(2013, 7, 11), date(2013, 7, 11))}
    assert len(land(spark, schema, tmp_path, **asked).landed) == 1

    read: list[str] = []
    scan = module.scan

    def noting(spark, sources, offers, *more):
        read.extend(Path(offer.path).name for offer, _ in offers)
        return scan(spark, sources, offers, *more)

    monkeypatch.setattr(module, "scan", noting)
    report = land(spark, schema, tmp_path, **asked, also_pending=True)

    assert [batch.batch_id[-2:] for batch in report.landed] == ["10", "12"]
    assert report.skipped == ["readings_2013-07-11"]
    assert read == ["readings_2013-07-10.jsonl", "readings_2013-07-12.jsonl"]


def test_a_ledger_from_before_is_read_as_it_is_and_then_completed(spark, schema, tmp_path):
    spark.sql(
        f"""
        create table {schema}.deliveries (
            source string, day date, row_count bigint, _batch_id string, _ingested_at timestamp,
            _source_file string, _batch_digest string, _delivered_until timestamp
        ) using delta tblproperties ('delta.appendOnly' = 'true')
        """
    )
    spark.sql(
        f"""
        insert into {schema}.deliveries values
            ('readings', date'2013-11-02', 1, 'readings_2013-11-02', timestamp'2013-11-05', 'f', 'd1',
             timestamp'2013-11-03 04:00:00'),
            ('readings', date'2013-11-03', 1, 'readings_2013-11-03', timestamp'2013-11-05', 'f', 'd2',
             timestamp'2013-11-04 05:00:00'),
            ('readings', date'2013-11-04', 0, 'readings_2013-11-04T01', timestamp'2013-11-05', 'f', 'd3',
             timestamp'2013-11-04 07:00:00')
        """
    )
    # The day of 25 hours is whole, and an hour lacks after it.
    assert told_until(spark, schema) == ("11-04 05:00", "11-04 05:00", "11-04 06:00")
    deliver(tmp_path, "2013-11-04T00", readings(1))

    report = land(spark, schema, tmp_path)

    assert [batch.batch_id for batch in report.landed] == ["readings_2013-11-04T00"]
    assert told_until(spark, schema) == ("11-04 07:00", None, None)
    assert len(read_entries(schema)) == 4


def test_the_command_says_what_waits_and_exits_with_75(spark, tmp_path):
    folder = tmp_path / "airlines"
    folder.mkdir()
    growing = folder / "airlines_2013-06-02.csv"
    growing.write_text("carrier_code,airline_name,published_at\n")
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(0.05):
            with growing.open("a") as opened:
                opened.write("XX,Nobody,2013-06-01T00:00:00Z\n")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        done = subprocess.run(
            [Path(sys.executable).with_name("lakehouse"), "ingest", "--source", "airlines"],
            env=os.environ | {"LAKEHOUSE_LANDING": str(tmp_path), "LAKEHOUSE_SETTLE_SECONDS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        stop.set()
        writer.join()

    assert done.returncode == 75, done.stderr
    assert "airlines/airlines_2013-06-02.csv" in done.stdout and "still being written" in done.stdout
