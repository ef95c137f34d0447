"""Delivered files into bronze, against Spark's bare read of the same files into Delta.

    python -m benchmarks.ingest [--megabytes 10 100 1000] [--formats csv jsonl parquet] [--parts 1]
                                [--files 1]

A source of nine columns is delivered in one file, as a folder of parts, or as a file for each of many days.
`lakehouse ingest` reads it strictly, with digest, provenance, ledger and exactly-once; Spark reads it
with the same schema and writes a Delta table. First both run once on a small file; then they take turns,
and must hold the same rows. CPU seconds are the engine's with its Python workers; memory is the largest
resident size that was sampled.
"""

import argparse
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from rich.console import Console
from rich.table import Table

from lakehouse.delta.content_hash import content_hash
from lakehouse.engine.session import spark_session
from lakehouse.engine.state import read_state
from lakehouse.ingest.land import ingest
from lakehouse.ingest.source import Source
from lakehouse.settings import settings

DAY = date(2013, 7, 10)
COLUMNS = {
    "carrier_code": "string",
    "flight_number": "int",
    "origin_code": "string",
    "sched_dep_at": "timestamp",
    "event_type": "string",
    "event_at": "timestamp",
    "delay_minutes": "int",
    "distance_miles": "double",
    "reported_at": "timestamp",
}
GOALS = {"csv": 1.5, "jsonl": 1.5, "parquet": 1.2}
_CHUNK_ROWS = 200_000
_PARQUET_ROW_BYTES = 33


def declared(file_format: str, parts: int) -> Source:
    """A source of these columns."""
    name = f"events_{file_format}"
    ending = f".{file_format}" if parts == 1 else f"/*.{file_format}"
    return Source.model_validate(
        {
            "name": name,
            "description": "Events.",
            "owner": "benchmarks",
            "format": file_format,
            "files": f"{name}/{name}_{{delivery}}{ending}",
            "arrives": "live",
            "time_zone": "UTC",
            "reported_time": "reported_at",
            "delivery_delay_minutes": 0,
            "keys": ["carrier_code", "flight_number", "sched_dep_at"],
            "columns": [{"name": each, "type": sql, "description": each} for each, sql in COLUMNS.items()],
        }
    )


def chunk(seed: int) -> pa.Table:
    """Some rows, a few of whose values are missing."""
    random = np.random.default_rng(seed)
    count = _CHUNK_ROWS
    base = np.datetime64("2013-07-10T00:00:00", "us")
    at = base + random.integers(0, 86_400, count).astype("timedelta64[s]")
    delays = random.integers(-20, 300, count)

    def times(values: np.ndarray) -> pa.Array:
        return pa.array(values).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))

    return pa.table(
        {
            "carrier_code": random.choice(["AA", "B6", "DL", "EV", "UA", "WN"], count),
            "flight_number": random.integers(1, 9000, count).astype("int32"),
            "origin_code": random.choice(["EWR", "JFK", "LGA"], count),
            "sched_dep_at": times(at),
            "event_type": random.choice(["departed", "arrived", "cancelled"], count),
            "event_at": times(at + delays.astype("timedelta64[m]")),
            "delay_minutes": pa.array(delays.astype("int32"), mask=random.random(count) < 0.02),
            "distance_miles": random.random(count) * 3000,
            "reported_at": times(at + np.timedelta64(1, "D")),
        }
    )


def write(file_format: str, path: Path, size: int) -> None:
    """A file of about `size` bytes."""
    rows = chunk(1)
    if file_format == "parquet":
        rows = rows.slice(0, max(1, size // _PARQUET_ROW_BYTES))
        with pq.ParquetWriter(path, rows.schema) as writer:
            seed = 1
            while path.stat().st_size < size:
                writer.write_table(rows)
                seed += 1
                rows = chunk(seed)
        return
    texts = rows.set_column(3, "sched_dep_at", _text(rows, "sched_dep_at"))
    texts = texts.set_column(5, "event_at", _text(rows, "event_at"))
    texts = texts.set_column(8, "reported_at", _text(rows, "reported_at"))
    if file_format == "csv":
        sink = pa.BufferOutputStream()
        options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")
        pyarrow.csv.write_csv(texts, sink, options)
        body, head = sink.getvalue().to_pybytes(), (",".join(COLUMNS) + "\n").encode()
    else:
        body, head = "".join(json.dumps(row) + "\n" for row in texts.to_pylist()).encode(), b""
    with path.open("wb") as file:
        file.write(head)
        while file.tell() < size:
            end = len(body) if size - file.tell() >= len(body) else body.find(b"\n", size - file.tell()) + 1
            file.write(body[:end])


def _text(rows: pa.Table, name: str) -> pa.Array:
    return pa.compute.strftime(rows.column(name).cast(pa.timestamp("s", "UTC")), "%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Cost:
    """What a run took: wall and CPU in seconds, memory in bytes."""

    wall: float = 0
    cpu: float = 0
    client: int = 0
    workers: int = 0


@contextmanager
def measured() -> Iterator[Cost]:
    """Sample this process, the engine and its Python workers."""
    state = read_state(settings().engine_dir)
    assert state is not None
    engine, cost, done = psutil.Process(state.pid), Cost(), threading.Event()

    def cpu() -> float:
        times = [engine.cpu_times()]
        for child in engine.children(recursive=True):
            try:
                times.append(child.cpu_times())
            except psutil.NoSuchProcess:
                continue
        return sum(each.user + each.system for each in times)

    def sample() -> None:
        me = psutil.Process()
        while not done.wait(0.1):
            cost.client = max(cost.client, me.memory_info().rss)
            sizes = [_rss(child) for child in engine.children(recursive=True)]
            cost.workers = max(cost.workers, *sizes, 0)

    sampler = threading.Thread(target=sample)
    before, started = cpu(), time.perf_counter()
    sampler.start()
    try:
        yield cost
    finally:
        cost.wall, cost.cpu = time.perf_counter() - started, cpu() - before
        done.set()
        sampler.join()


def _rss(process: psutil.Process) -> int:
    """Of a Python worker; what else the engine starts for a moment is a copy of its own memory."""
    try:
        return process.memory_info().rss if process.name().startswith("python") else 0
    except psutil.NoSuchProcess:
        return 0


def bare(spark: SparkSession, file_format: str, path: Path, table: str) -> None:
    """Spark's own read, with the declared schema, into Delta."""
    schema = ", ".join(f"{name} {sql}" for name, sql in COLUMNS.items())
    # Parts lie a folder deeper.
    reader = spark.read.schema(schema).option("recursiveFileLookup", "true")
    if file_format == "csv":
        rows: DataFrame = reader.option("header", "true").csv(str(path))
    else:
        rows = reader.json(str(path)) if file_format == "jsonl" else reader.parquet(str(path))
    rows.write.format("delta").mode("overwrite").saveAsTable(table)


def main() -> None:
    """Print a line per format and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--formats", nargs="+", default=list(GOALS))
    parser.add_argument("--parts", type=int, default=1, help="of each delivery")
    parser.add_argument("--files", type=int, default=1, help="deliveries, each of another day")
    asked = parser.parse_args()
    spark, console = spark_session(), Console()
    table = Table(
        "format", "MB", "files", "Spark s", "ours s", "ratio", "CPU ratio", "goal", "client MB", "worker MB"
    )
    schema = "bench_ingest"
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as scratch:
        for file_format in asked.formats:
            for size in [1, *asked.megabytes]:
                costs = _compare(spark, schema, Path(scratch), file_format, size, asked.parts, asked.files)
                if size == 1:
                    continue
                theirs, ours = costs
                table.add_row(
                    file_format,
                    f"{size}",
                    f"{asked.files * asked.parts}",
                    f"{theirs.wall:.1f}",
                    f"{ours.wall:.1f}",
                    f"{ours.wall / theirs.wall:.2f}",
                    f"{ours.cpu / theirs.cpu:.2f}",
                    f"{GOALS[file_format]}",
                    f"{ours.client >> 20}",
                    f"{ours.workers >> 20}",
                )
                console.print(table)
    spark.sql(f"drop schema if exists {schema} cascade")


def _compare(
    spark: SparkSession,
    schema: str,
    scratch: Path,
    file_format: str,
    megabytes: int,
    parts: int,
    files: int,
) -> tuple[Cost, Cost]:
    spark.sql(f"drop schema if exists {schema} cascade")
    spark.sql(f"create schema {schema}")
    source = declared(file_format, parts)
    landing = scratch / "landing"
    shutil.rmtree(landing, ignore_errors=True)
    folder = landing / source.folder
    folder.mkdir(parents=True)
    size = megabytes * 2**20 // files // parts
    first = scratch / f"first.{file_format}"
    write(file_format, first, size)
    for back in range(files):
        delivery = folder / f"{source.name}_{DAY - timedelta(days=back)}"
        if parts == 1:
            shutil.copy(first, delivery.with_name(f"{delivery.name}.{file_format}"))
            continue
        delivery.mkdir()
        for number in range(parts):
            shutil.copy(first, delivery / f"part-{number:05}.{file_format}")
    first.unlink()

    def land() -> None:
        report = ingest(
            spark, landing=landing, declared={source.name: source}, schema=schema, settle_seconds=0
        )
        assert not report.refused and len(report.landed) == files, report

    works: list[Callable[[], None]] = [
        lambda: bare(spark, file_format, folder, f"{schema}.bare"),
        land,
    ]
    costs: list[Cost] = []
    for work in works:
        with measured() as cost:
            work()
        costs.append(cost)
    hashes = {
        content_hash(spark.table(f"{schema}.{name}").select(*COLUMNS)).rows for name in ("bare", source.name)
    }
    assert len(hashes) == 1, "not the same rows"
    return costs[0], costs[1]


if __name__ == "__main__":
    main()
