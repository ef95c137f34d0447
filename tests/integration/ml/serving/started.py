"""`lakehouse serve` on the tiny platform: a process of its own, with a day's features in its online store."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import httpx

from lakehouse.online.packing import key_text, schema_of
from lakehouse.online.sqlite_store import SqliteWriter
from lakehouse.online.state import Marker, PackedRow, Push
from lakehouse.settings import settings
from tests.integration.ml.conftest import Platform

SERVE = """
import json, sys
from lakehouse.dbt.manifest import DbtModels
from ml.serving.server import Options, serve
from ml.spec import Spec
with open(sys.argv[1]) as file:
    made = json.load(file)
serve([Spec.model_validate(made["spec"])], DbtModels(made["manifest"]), Options(),
      lambda address: print(address, flush=True))
"""


@dataclass
class Service:
    """`lakehouse serve` in a process of its own, on the tiny platform."""

    process: subprocess.Popen[str]
    address: str
    spec: str

    def scores(self, *flights: str) -> list[dict]:
        body = {"entities": [{"flight_id": each} for each in flights]}
        answer = httpx.post(f"{self.address}/v1/models/{self.spec}/predict", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()["predictions"]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait() == -signal.SIGKILL


class Starter:
    """Starts services; they die with it."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        self._platform, self._made = platform, folder / "platform.json"
        self._started: list[subprocess.Popen[str]] = []
        self._made.write_text(
            json.dumps({"spec": platform.spec.model_dump(mode="json"), "manifest": platform.models.manifest})
        )

    def __call__(self) -> Service:
        """One that is ready."""
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(self._made)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "LAKEHOUSE_SERVING_SEGMENT_SECONDS": "3600"},
        )
        self._started.append(process)
        assert process.stdout is not None
        return Service(process, process.stdout.readline().strip(), self._platform.spec.name)

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()


@contextmanager
def starting(platform: Platform, folder: Path, day: date) -> Generator[Starter]:
    """Services whose store has a day's features as they are published."""
    push_day(platform, day)
    starter = Starter(platform, folder)
    try:
        yield starter
    finally:
        starter.close()


def push_day(platform: Platform, day: date) -> None:
    """The day's features into the embedded store."""
    (features,) = platform.publish(platform.features)
    rows = platform.spark.table(platform.features).where(f"flight_date = '{day}'").toArrow()
    writer = SqliteWriter(settings().online_dir / "store.sqlite", 5)
    claim = writer.held(features.name).claim
    stamp = writer.begin(features.name, features.version, claim, {str(day): False}, 10**12)
    assert stamp is not None
    entity = ("flight_id",)
    made = Push(features.name, features.table_id, features.version, "r", stamp, entity, "flight_date", 10**12)
    schema = schema_of(rows.schema)
    packed = [
        PackedRow(key_text({"flight_id": row["flight_id"]}), str(day), made.wrapped(schema.pack_row(row)))
        for row in rows.to_pylist()
    ]
    writer.put(made, schema, packed)
    writer.finish(Marker("r", features.name, features.table_id, features.version, stamp, ""), [str(day)], ())
    writer.close()
