"""Deliveries land in bronze once, whole or not at all, whoever offers them and how often."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.delta.table import current_version
from lakehouse.errors import LakehouseError
from lakehouse.ingest.land import IngestReport, ingest
from lakehouse.ingest.source import Source

SUFFIXES = {"csv": "csv", "jsonl": "jsonl", "parquet": "parquet"}


def declare(file_format: str, allow_new_columns: bool = False) -> Source:
    """A source named as its format: csv_readings and so on."""
    name = f"{file_format}_readings"
    return Source.model_validate(
        {
            "name": name,
            "description": "Readings of a station.",
            "owner": "weather",
            "format": file_format,
            "files": f"{name}/{name}_{{delivery}}.{SUFFIXES[file_format]}",
            "arrives": "live",
            "time_zone": "America/New_York",
            "reported_time": "read_at",
            "delivery_delay_minutes": 0,
            "keys": ["station", "read_at"],
            "allow_new_columns": allow_new_columns,
            "min_rows": {"hour": 0},
            "columns": [
                {"name": "station", "type": "string", "description": "Station."},
                {"name": "reading", "type": "int", "description": "Reading."},
                {"name": "read_at", "type": "timestamp", "description": "When."},
            ],
        }
    )


def deliver(landing: Path, source: Source, day: str, rows: list[dict[str, object]]) -> Path:
    """Write one delivery in the source's format."""
    assert source.files is not None
    path = landing / source.files.replace("{delivery}", day)
    path.parent.mkdir(parents=True, exist_ok=True)
    if source.format == "csv":
        lines = [",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
    elif source.format == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        table = pa.Table.from_pylist(rows)
        at = pa.array([str(row["read_at"]) for row in rows]).cast(pa.timestamp("us", "UTC"))
        pq.write_table(table.set_column(table.column_names.index("read_at"), "read_at", at), path)
    return path


def readings(count: int, first: int = 0, **more: object) -> list[dict[str, object]]:
    return [
        {"station": "A", "reading": first + number, "read_at": f"2013-07-10T10:{number:02}:00Z"} | more
        for number in range(count)
    ]


def land(spark: SparkSession, schema: str, landing: Path, *sources: Source) -> IngestReport:
    return ingest(spark, landing=landing, schema=schema, declared={source.name: source for source in sources})


OFFER = """
import sys, json
from dataclasses import asdict
from pathlib import Path
from lakehouse.engine.session import spark_session
from lakehouse.ingest.land import ingest
from lakehouse.ingest.declarations import load_sources
landing, schema, declarations = map(Path, sys.argv[1:])
spark = spark_session()
print("ready", flush=True)
sys.stdin.readline()
for _ in range(2):
    report = ingest(spark, landing=landing, schema=str(schema), declared=load_sources(declarations))
    print(json.dumps([[batch.batch_id for batch in report.landed], report.skipped]), flush=True)
"""


def test_batches_offered_by_several_processes_at_once_land_once(spark, schema, tmp_path):
    source = declare("csv")
    for day in range(10, 20):
        deliver(tmp_path, source, f"2013-07-{day}", readings(20))
    declarations = tmp_path / "sources"
    declarations.mkdir()
    (declarations / f"{source.name}.yml").write_text(json.dumps(source.model_dump(mode="json")))

    offering = [
        subprocess.Popen(
            [sys.executable, "-c", OFFER, str(tmp_path), schema, str(declarations)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in offering:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in offering:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=300)[0] for process in offering]

    assert [process.returncode for process in offering] == [0, 0]
    reports = [json.loads(line) for answer in answers for line in answer.splitlines()]
    landed = [batch_id for landed, _ in reports for batch_id in landed]
    assert sorted(landed) == [f"{source.name}_2013-07-{day}" for day in range(10, 20)]
    assert sum(len(skipped) for _, skipped in reports) == 4 * 10 - 10
    assert spark.table(f"{schema}.{source.name}").count() == 200
    assert spark.table(f"{schema}.deliveries").count() == 10
    assert current_version(spark, f"{schema}.{source.name}").version == 1


def test_broken_files_are_refused_by_name_and_the_others_land(spark, schema, tmp_path):
    sources = [declare("csv"), declare("jsonl"), declare("parquet")]
    for source in sources:
        deliver(tmp_path, source, "2013-07-10", readings(30))
        deliver(tmp_path, source, "2013-07-12", readings(30))
    of_csv, of_json, of_parquet = (
        deliver(tmp_path, source, "2013-07-11", readings(30)) for source in sources
    )
    of_csv.write_text(of_csv.read_text().replace("A,7,", "A,seven,").replace("A,8,", "A,eight,"))
    of_json.write_bytes(of_json.read_bytes()[:1000])
    of_parquet.write_bytes(of_parquet.read_bytes()[:600])
    (tmp_path / "csv_readings" / "csv_readings_yesterday.csv").write_text("")

    report = land(spark, schema, tmp_path, *sources)

    refused = {Path(refusal.file).name: refusal.reason for refusal in report.refused}
    assert set(refused) == {of_csv.name, of_json.name, of_parquet.name, "csv_readings_yesterday.csv"}
    assert refused[of_csv.name].startswith("line 9, column reading: ")
    assert "is cut off" in refused[of_json.name]
    assert refused[of_parquet.name].startswith("is cut off or damaged")
    assert [(batch.batch_id[-10:], batch.rows) for batch in report.landed] == 3 * [
        ("2013-07-10", 30),
        ("2013-07-12", 30),
    ]
    for source in sources:
        held = spark.table(f"{schema}.{source.name}").groupBy("_batch_id").count().collect()
        assert {row["_batch_id"][-10:]: row["count"] for row in held} == {"2013-07-10": 30, "2013-07-12": 30}
        assert report.versions[source.name].version == 1


def test_a_folder_of_parts_lands_as_one_batch_or_not_at_all(spark, schema, tmp_path):
    whole = declare("parquet")
    changes = {
        "files": "folders/parquet_readings_{delivery}/*.parquet",
        "allow_new_columns": True,
        "complete_when": "marker",
    }
    source = Source.model_validate(whole.model_dump() | changes)
    days = {
        "2013-07-10": [readings(3), readings(2, first=3, gust=1.5)],
        "2013-07-11": [readings(3), [{"station": "A", "reading": "x", "read_at": "2013-07-11T10:00:00Z"}]],
        "2013-07-12": [readings(1)],
    }
    for day, parts in days.items():
        folder = tmp_path / "folders" / f"parquet_readings_{day}"
        folder.mkdir(parents=True)
        for number, rows in enumerate(parts):
            deliver(tmp_path, whole, f"{number}", rows).rename(folder / f"part-{number}.parquet")
        (folder / ".part-0.parquet.crc").touch()
    (tmp_path / "folders" / "parquet_readings_2013-07-10" / "_SUCCESS").touch()
    (tmp_path / "folders" / "parquet_readings_2013-07-11.done").touch()

    report = land(spark, schema, tmp_path, source)

    assert [(batch.batch_id, batch.rows) for batch in report.landed] == [("parquet_readings_2013-07-10", 5)]
    assert [(each.file, each.reason) for each in report.refused] == [
        (
            "folders/parquet_readings_2013-07-11",
            "part-1.parquet: column reading is string, declared int",
        )
    ]
    assert [each.file for each in report.waiting] == ["folders/parquet_readings_2013-07-12"]
    rows = spark.table(f"{schema}.{source.name}").orderBy("reading").collect()
    assert [row["reading"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row["gust"] for row in rows] == [None, None, None, 1.5, 1.5]
    assert {row["_source_file"] for row in rows} == {
        f"folders/parquet_readings_2013-07-10/part-{number}.parquet" for number in (0, 1)
    }
    lines = subprocess.run(
        ["sha256sum", "part-0.parquet", "part-1.parquet"],
        cwd=tmp_path / "folders" / "parquet_readings_2013-07-10",
        capture_output=True,
        check=True,
    )
    assert {row["_batch_digest"] for row in rows} == {hashlib.sha256(lines.stdout).hexdigest()}

    again = land(spark, schema, tmp_path, source)
    assert (again.landed, again.skipped) == ([], ["parquet_readings_2013-07-10"])


def test_new_columns_whose_types_differ_are_read_as_the_first_one_says(spark, schema, tmp_path):
    one, parquet = declare("jsonl", allow_new_columns=True), declare("parquet", allow_new_columns=True)
    changes = {"files": "folders/jsonl_readings_{delivery}/*.jsonl", "max_bad_share": 0.5}
    folders = Source.model_validate(one.model_dump() | changes)
    folder = tmp_path / "folders" / "jsonl_readings_2013-07-10"
    folder.mkdir(parents=True)
    parts = [readings(2, gust=1.5), readings(1, first=2, gust="strong") + readings(2, first=3, gust=2.5)]
    for number, rows in enumerate(parts):
        deliver(tmp_path, one, f"{number}", rows).rename(folder / f"part-{number}.jsonl")
    deliver(tmp_path, parquet, "2013-07-10", readings(2, gust=1.5))
    deliver(tmp_path, parquet, "2013-07-11", readings(2, gust="strong"))

    report = land(spark, schema, tmp_path, folders, parquet)

    landed = {batch.batch_id: (batch.rows, batch.quarantined) for batch in report.landed}
    assert landed == {"jsonl_readings_2013-07-10": (4, 1), "parquet_readings_2013-07-10": (2, 0)}
    gusts = spark.table(f"{schema}.jsonl_readings").orderBy("reading").collect()
    assert [row["gust"] for row in gusts] == [1.5, 1.5, 2.5, 2.5]
    assert [(Path(each.file).stem, each.reason) for each in report.refused] == [
        ("parquet_readings_2013-07-11", "column gust is string, declared double")
    ]


def test_brokers_that_do_not_answer_keep_no_other_source_from_landing(spark, schema, tmp_path):
    files = declare("csv")
    deliver(tmp_path, files, "2013-07-10", readings(2))
    # Nothing listens there.
    stream = {"bootstrap_servers": "localhost:9", "topic": "readings", "value": "json"}
    changes = {"name": "topic_readings", "stream": stream}
    fields = {name: value for name, value in files.model_dump().items() if name not in ("format", "files")}
    topic = Source.model_validate(fields | changes)

    report = land(spark, schema, tmp_path, topic, files)

    assert [batch.batch_id for batch in report.landed] == ["csv_readings_2013-07-10"]
    assert [each.file for each in report.waiting] == ["readings"]
    assert "the brokers do not answer" in report.waiting[0].reason
    assert report.refused == []


def test_a_batch_with_other_content_is_refused_by_name(spark, schema, tmp_path):
    source = declare("csv")
    deliver(tmp_path, source, "2013-07-10", readings(3))
    before = land(spark, schema, tmp_path, source)
    deliver(tmp_path, source, "2013-07-10", readings(4))

    by_ledger = land(spark, schema, tmp_path, source)
    # As after a kill between the commit of the rows and that of the ledger.
    spark.sql(f"drop table {schema}.deliveries")
    by_rows = land(spark, schema, tmp_path, source)

    for report in (by_ledger, by_rows):
        assert [refusal.file for refusal in report.refused] == ["csv_readings/csv_readings_2013-07-10.csv"]
        assert "batch csv_readings_2013-07-10 landed on" in report.refused[0].reason
        assert (report.landed, report.skipped) == ([], [])
        assert report.versions == before.versions
    assert spark.table(f"{schema}.{source.name}").count() == 3


def test_a_lost_entry_of_the_ledger_comes_back_without_landing_again(spark, schema, tmp_path):
    source = declare("jsonl")
    deliver(tmp_path, source, "2013-07-10", readings(3))
    deliver(tmp_path, source, "2013-07-11T05", [])
    first = land(spark, schema, tmp_path, source)
    ledger = spark.table(f"{schema}.deliveries").orderBy("_batch_id").collect()
    spark.sql(f"drop table {schema}.deliveries")

    second = land(spark, schema, tmp_path, source)

    assert [(row["row_count"], str(row["_delivered_until"])) for row in ledger] == [
        (3, "2013-07-11 04:00:00"),
        (0, "2013-07-11 10:00:00"),
    ]
    assert second.versions == first.versions
    assert second.skipped == ["jsonl_readings_2013-07-10"]
    found = spark.table(f"{schema}.deliveries").orderBy("_batch_id").collect()
    assert [row.asDict() | {"_ingested_at": None} for row in found] == [
        row.asDict() | {"_ingested_at": None} for row in ledger
    ]


def test_a_new_column_is_taken_up_only_where_the_declaration_allows_it(spark, schema, tmp_path):
    strict, open_ = declare("csv"), declare("jsonl", allow_new_columns=True)
    for source in (strict, open_):
        deliver(tmp_path, source, "2013-07-10", readings(2))
    land(spark, schema, tmp_path, strict, open_)
    for source in (strict, open_):
        deliver(tmp_path, source, "2013-07-11", readings(2, gust=7))
    deliver(tmp_path, open_, "2013-07-12", readings(2, gust="strong"))
    deliver(tmp_path, open_, "2013-07-13", readings(2))

    report = land(spark, schema, tmp_path, strict, open_)

    assert {Path(refusal.file).stem: refusal.reason for refusal in report.refused} == {
        "csv_readings_2013-07-11": "has column gust, which is not declared",
        "jsonl_readings_2013-07-12": "line 1, column gust is string, declared double "
        "(more than 5% of its 2 rows cannot be read)",
    }
    assert "gust" not in spark.table(f"{schema}.{strict.name}").columns
    taken_up = spark.table(f"{schema}.{open_.name}").select("_batch_id", "gust").distinct().collect()
    assert {row["_batch_id"][-10:]: row["gust"] for row in taken_up} == {
        "2013-07-10": None,
        "2013-07-11": 7,
        "2013-07-13": None,
    }


def test_bronze_keeps_what_it_has(spark, schema, tmp_path):
    source = declare("csv")
    deliver(tmp_path, source, "2013-07-10", readings(2))
    land(spark, schema, tmp_path, source)
    table = f"{schema}.{source.name}"

    properties = {row["key"]: row["value"] for row in spark.sql(f"show tblproperties {table}").collect()}

    assert properties["delta.logRetentionDuration"] == properties["delta.deletedFileRetentionDuration"]
    with pytest.raises(PySparkException, match="append"):
        spark.sql(f"delete from {table} where reading = 1").collect()
    columns = [column.model_copy(update={"type": "bigint"}) for column in source.columns]
    deliver(tmp_path, source, "2013-07-11", readings(2))
    with pytest.raises(LakehouseError, match=r"csv_readings.station is string, but sources/csv_readings.yml"):
        land(spark, schema, tmp_path, source.model_copy(update={"columns": columns}))


def test_the_command_names_the_refused_file_and_exits_with_1(spark, tmp_path):
    folder = tmp_path / "airlines"
    folder.mkdir()
    (folder / "airlines_2013-06-01.csv").write_text("carrier_code,airline_name\n")

    done = subprocess.run(
        [Path(sys.executable).with_name("lakehouse"), "ingest", "--source", "airlines", "--json"],
        env=os.environ | {"LAKEHOUSE_LANDING": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert json.loads(done.stdout)["refused"] == [
        {"file": "airlines/airlines_2013-06-01.csv", "reason": "lacks column published_at"}
    ]
