"""A small source of readings, its files, and an ingestion that is killed where a test says so."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.ingest.land import ingest
from lakehouse.ingest.ledger import frontier_sql, superseded_sql
from lakehouse.ingest.report import IngestReport
from lakehouse.ingest.source import Source
from lakehouse.settings import PROJECT_ROOT

# The process that is killed runs this: it evaluates an expression, and dies right after one of its commits,
# by number, in whatever table that is.
KILLED = """
import json, os, signal, sys
from pathlib import Path
import lakehouse.ingest.bronze, lakehouse.ingest.commit, lakehouse.ingest.ledger_table
from lakehouse.engine.session import spark_session
from lakehouse.ingest.decide import supersede
from lakehouse.ingest.land import ingest
from lakehouse.ingest.declarations import load_sources

landing, schema, declarations, kill_after, what = sys.argv[1:]
append_once = lakehouse.ingest.bronze.append_once
calls = 0

def killing(spark, name, *args, **more):
    global calls
    append_once(spark, name, *args, **more)
    calls += 1
    if calls == int(kill_after):
        print(name.split(".")[1], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

lakehouse.ingest.commit.append_once = lakehouse.ingest.ledger_table.append_once = killing
spark = spark_session()
options = dict(landing=Path(landing), schema=schema, declared=load_sources(Path(declarations)))
eval(what)
"""


def readings_source(name: str = "readings", **changes: object) -> Source:
    """A source of JSON lines with a station, a reading and a time."""
    declared = {
        "name": name,
        "description": "Readings of a station.",
        "owner": "weather",
        "format": "jsonl",
        "files": f"readings/{name}_{{delivery}}.jsonl",
        "arrives": "live",
        "time_zone": "America/New_York",
        "reported_time": "read_at",
        "delivery_delay_minutes": 0,
        "keys": ["station", "read_at"],
        "columns": [
            {"name": "station", "type": "string", "description": "Station."},
            {"name": "reading", "type": "int", "description": "Reading."},
            {"name": "read_at", "type": "timestamp", "description": "When."},
        ],
    }
    return Source.model_validate(declared | changes)


def readings(count: int, first: int = 0, **more: object) -> list[dict[str, object]]:
    """Rows of that source."""
    return [
        {"station": "A", "reading": first + number, "read_at": f"2013-07-10T10:{number:02}:00Z"} | more
        for number in range(count)
    ]


def deliver(
    landing: Path, period: str, rows: Iterable[Mapping[str, object]], source: str = "readings"
) -> Path:
    """Write a file of rows; one that is there is replaced."""
    path = landing / "readings" / f"{source}_{period}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def land(spark: SparkSession, schema: str, landing: Path, *sources: Source, **options: Any) -> IngestReport:
    """Ingest these sources; that of readings by default."""
    declared = {source.name: source for source in sources or (readings_source(),)}
    return ingest(spark, landing=landing, schema=schema, declared=declared, **options)


def ledger_rows(spark: SparkSession, schema: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The ledger's rows, by batch and kind."""
    rows = spark.table(f"{schema}.deliveries").toArrow().to_pylist()
    assert len({(row["_batch_id"], row["kind"]) for row in rows}) == len(rows)
    return {(row["_batch_id"], row["kind"]): row for row in rows}


def told_until(spark: SparkSession, schema: str, source: str = "readings") -> tuple[str | None, ...]:
    """The source's frontier and its gap, as text: delivered until, gap from, gap until."""
    declared = {source: readings_source(source)}
    (row,) = spark.sql(frontier_sql(f"{schema}.deliveries", [source], declared)).collect()
    return tuple(None if at is None else f"{at:%m-%d %H:%M}" for at in list(row)[1:])


def read_by_somebody(spark: SparkSession, schema: str, source: str = "readings") -> list[int]:
    """The readings that are read: those of no superseded batch."""
    rows = spark.sql(
        f"""
        select reading from {schema}.{source} as read
        left anti join ({superseded_sql(f"{schema}.deliveries")}) as gone
            on gone.source = '{source}' and gone.batch_id = read._batch_id
        order by reading
        """
    )
    return [row["reading"] for row in rows.collect()]


def commit_notes(spark: SparkSession, table: str) -> list[list[str]]:
    """The batches that each commit of rows names, oldest first."""
    history = spark.sql(f"describe history {table}").orderBy("version").collect()
    return [json.loads(row["userMetadata"])["batches"] for row in history if row["userMetadata"]]


def killed(
    tmp_path: Path, schema: str, after: int, what: str, *sources: Source
) -> subprocess.CompletedProcess[str]:
    """Run an ingestion in another process, killed after its commit `after`; it prints that table's name."""
    declarations = tmp_path / "declarations"
    declarations.mkdir(exist_ok=True)
    for source in sources or (readings_source(),):
        (declarations / f"{source.name}.yml").write_text(json.dumps(source.model_dump(mode="json")))
    return subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), schema, str(declarations), str(after), what],
        cwd=PROJECT_ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
