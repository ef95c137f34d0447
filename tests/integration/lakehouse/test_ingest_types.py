"""What Spark writes is read, and what was read is written: every declared type, and old calendars."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.delta.content_hash import content_hash
from lakehouse.ingest.land import ingest
from lakehouse.ingest.source import Source
from tests.unit.lakehouse.readings import declared, read_content, readings

TYPES = {"price": "decimal(12,2)", "tags": "array<string>", "sizes": "array<decimal(5,1)>"}
AT = datetime(2013, 7, 10, 10, tzinfo=UTC)
ROWS = [
    {"price": Decimal("1234567890.12"), "tags": ["a", None, ""], "sizes": [Decimal("0.5")], "read_at": AT},
    {"price": None, "tags": [], "sizes": None, "read_at": AT},
]


def _source(file_format: str) -> Source:
    name = f"of_{file_format}"
    files = {"name": name, "files": f"{name}/{name}_{{delivery}}.{file_format}"}
    return Source.model_validate(declared(file_format, TYPES) | files)


def test_decimals_and_arrays_land_alike_from_json_and_parquet(spark, schema, tmp_path):
    sources = {source.name: source for source in (_source("jsonl"), _source("parquet"))}
    for name in sources:
        (tmp_path / name).mkdir()
    lines = [json.dumps(row, default=lambda value: str(value).replace(" ", "T")) for row in ROWS]
    of_json = tmp_path / "of_jsonl" / "of_jsonl_2013-07-10.jsonl"
    of_json.write_text("".join(f"{line}\n" for line in [*lines, lines[0].replace("0.5", "0.55")]))
    written = pa.schema(
        [
            ("price", pa.decimal128(20, 4)),
            ("tags", pa.list_(pa.string())),
            ("sizes", pa.list_(pa.decimal128(5, 1))),
            ("read_at", pa.timestamp("ns", "UTC")),
        ]
    )
    table = pa.Table.from_pylist(ROWS, written)
    pq.write_table(table, tmp_path / "of_parquet" / "of_parquet_2013-07-10.parquet")

    report = ingest(spark, landing=tmp_path, schema=schema, declared=sources)

    assert not report.refused
    assert {batch.source: (batch.rows, batch.quarantined) for batch in report.landed} == {
        "of_jsonl": (2, 1),
        "of_parquet": (2, 0),
    }
    tables = [spark.table(f"{schema}.{name}").select(*TYPES, "read_at") for name in sources]
    assert [each.dtypes[:3] for each in tables] == [list(TYPES.items())] * 2
    first, second = (content_hash(each) for each in tables)
    assert first == second
    kept = {row["price"]: (row["tags"], row["sizes"]) for row in tables[0].collect()}
    assert kept == {row["price"]: (row["tags"], row["sizes"]) for row in ROWS}


@pytest.mark.parametrize("kind", ["TIMESTAMP_MICROS", "INT96"])
def test_what_spark_writes_in_the_old_calendar_is_read_as_the_same_days(spark, tmp_path, kind):
    days = ["0001-01-01", "1500-03-01", "1582-10-04", "1582-10-15", "2013-07-10"]
    settings = {
        "spark.sql.parquet.outputTimestampType": kind,
        "spark.sql.parquet.datetimeRebaseModeInWrite": "LEGACY",
        "spark.sql.parquet.int96RebaseModeInWrite": "LEGACY",
    }
    before = {name: spark.conf.get(name) for name in settings}
    for name, value in settings.items():
        spark.conf.set(name, value)
    try:
        listed = ", ".join(f"(date '{day}', timestamp '{day} 10:00:00')" for day in days)
        rows = spark.sql(f"select col1 as x, col2 as read_at from values {listed}")
        rows.coalesce(1).write.parquet(str(tmp_path / "old"))
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)
    content = next((tmp_path / "old").glob("*.parquet")).read_bytes()
    at = {"type": "timestamp", "time_zone": "UTC"}

    refused = read_content(readings("parquet", {"x": "date", "read_at": at}), content, "file", {})
    rebased = read_content(
        readings("parquet", {"x": "date", "read_at": at}, parquet={"legacy_calendar": "rebase"}),
        content,
        "file",
        {},
    )

    assert [row.line for row in refused.unreadable] == [1, 2, 3]
    assert not rebased.unreadable
    assert [f"{day:%Y-%m-%d}".rjust(10, "0") for day in rebased.rows.column("x").to_pylist()] == days
    hours = [f"{moment:%Y-%m-%d %H}".rjust(13, "0") for moment in rebased.rows.column("read_at").to_pylist()]
    assert hours == [f"{day} 10" for day in days]
