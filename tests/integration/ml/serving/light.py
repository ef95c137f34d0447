"""A served model without a training: a random network, registered in MLflow, and rows in an online store."""

import threading
import time
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import torch
import uvicorn

from lakehouse.dbt.manifest import DbtModels
from lakehouse.engine.session import spark_session
from lakehouse.online.packing import key_text, schema_of
from lakehouse.online.sqlite_store import SqliteStore, SqliteWriter
from lakehouse.online.state import Marker, OnlineWriter, PackedRow, Push
from lakehouse.settings import settings
from ml.data.columns import columns_of
from ml.encoding.encode import Cross, Encoding
from ml.model.bundle import Bundle
from ml.model.network import Shape, TabularNetwork
from ml.provenance.digests import record
from ml.serving.app import Limits, Service, create_app
from ml.serving.journal import Journal
from ml.serving.records import Scored, rows, segments
from ml.serving.registry import open_registry
from ml.serving.schema import served
from ml.spec import ServingSpec, Spec
from ml.tracking import runs
from ml.tracking.registry import log_and_register
from tests.integration.ml.conftest import ROLES, _node, small_spec

ENCODING = Encoding(
    edges={
        "hour": (8.0, 11.0, 15.0),
        "wait_minutes": (0.0, 30.0, 60.0, 119.0),
        "wind_mph": (0.0, 20.0, 39.9),
    },
    categories={"carrier_code": ("AA", "B6", "UA"), "origin_code": ("EWR", "JFK")},
    crosses=(Cross("carrier_code", "origin_code", (10, 11, 15)),),
)
SHAPE = Shape((16,), 2, 3, 0.1, 0.0)
ROWS = 40


def bundle(seed: int, encoding: Encoding = ENCODING, shape: Shape = SHAPE) -> Bundle:
    torch.manual_seed(seed)
    return Bundle(TabularNetwork(encoding, shape).eval(), encoding, shape)


def feature_rows(count: int = ROWS) -> pa.Table:
    """Rows f0000, f0001, …; every eleventh without wind, every ninth from an unseen airport."""
    random = np.random.default_rng(3)
    return pa.table(
        {
            "flight_id": [f"f{row:04d}" for row in range(count)],
            "flight_date": pa.array([date(2013, 7, 1) + timedelta(row // 8) for row in range(count)]),
            "predict_at": pa.array(
                [datetime(2013, 7, 1, 8, tzinfo=UTC) + timedelta(hours=row) for row in range(count)],
                pa.timestamp("us", "UTC"),
            ),
            "carrier_code": random.choice(["AA", "B6", "UA"], count),
            "origin_code": [["EWR", "JFK", "LGA"][0 if row % 9 else 2] for row in range(count)],
            "hour": pa.array(random.integers(8, 16, count), pa.int32()),
            "wait_minutes": pa.array(random.integers(0, 120, count), pa.int64()),
            "wind_mph": pa.array(
                [
                    None if row % 11 == 0 else Decimal(int(value)) / 10
                    for row, value in enumerate(random.integers(0, 400, count))
                ],
                pa.decimal128(5, 1),
            ),
        }
    )


@dataclass
class Light:
    """A spec with a registered model, and its rows in an online store of its own."""

    spec: Spec
    models: DbtModels
    store: Path
    rows: pa.Table
    encoding: Encoding = ENCODING
    shape: Shape = SHAPE
    versions: dict[str, Bundle] = field(default_factory=dict)

    @property
    def table(self) -> str:
        return self.models.table(self.spec.features_model)

    def register(self, seed: int) -> str:
        """Register another version: the first is the champion, others the challenger."""
        columns = columns_of(self.models, self.spec.features_model)
        made = bundle(seed, self.encoding, self.shape)
        with runs.training_run(self.spec.name, "made") as run_id:
            record(spark_session(), run_id, made.to_files())
            version, _ = log_and_register(made, self.spec.registered_model, columns, self.rows.slice(0, 5))
        self.versions[version] = made
        return version

    def having(self, **rule: Any) -> "Light":
        """The same with another rule for serving."""
        return replace(self, spec=self.spec.model_copy(update={"serving": ServingSpec(**rule)}))

    def bits(self, version: str, rows: pa.Table | None = None) -> list[float]:
        """What batch scoring says of the rows."""
        torch.set_num_threads(1)
        scores = self.versions[version].score(self.rows if rows is None else rows)
        return scores.probability.astype("float64").tolist()


def light(
    folder: Path, encoding: Encoding = ENCODING, shape: Shape = SHAPE, rows: pa.Table | None = None
) -> Light:
    """One of its own, without a registered version."""
    name = f"l{uuid.uuid4().hex[:8]}"
    roles = {column: role for column, role in ROLES.items() if role not in ("numeric", "categorical")}
    roles |= dict.fromkeys(encoding.edges, "numeric") | dict.fromkeys(encoding.categories, "categorical")
    models = DbtModels(
        {"sources": {}, "nodes": {"model.f": _node(name, f"features_{name}", roles, "incremental", [])}}
    )
    made = Light(
        small_spec(name, f"features_{name}", f"training_{name}"),
        models,
        folder / "store.sqlite",
        feature_rows() if rows is None else rows,
        encoding,
        shape,
    )
    push(made.store, made.table, made.rows)
    return made


def push(path: Path, table: str, rows: pa.Table) -> None:
    """Put rows into an embedded store, as a push does."""
    put(SqliteWriter(path, 5), table, rows)


def put(writer: OnlineWriter, table: str, rows: pa.Table, release: str = "r1", version: int = 3) -> None:
    """Put rows into a store."""
    schema = schema_of(rows.schema)
    days = sorted({str(day) for day in rows["flight_date"].to_pylist()})
    ttl_ms = 10**12
    stamp = writer.begin(table, version, writer.held(table).claim, dict.fromkeys(days, False), ttl_ms)
    assert stamp is not None
    made = Push(table, "id-of-features", version, release, stamp, ("flight_id",), "flight_date", ttl_ms)
    packed = [
        PackedRow(
            key_text({"flight_id": row["flight_id"]}),
            str(row["flight_date"]),
            made.wrapped(schema.pack_row(row)),
        )
        for row in rows.to_pylist()
    ]
    assert writer.put(made, schema, packed) == rows.num_rows
    marker = Marker(release, table, "id-of-features", version, stamp, "2013-01-01T00:00:00Z")
    assert writer.finish(marker, days, ())
    writer.close()


LIMITS = Limits(max_rows=200, max_body_bytes=2**20, max_in_flight=64, requests_per_second=0)


@dataclass
class Running:
    """A service in this process, called over HTTP."""

    client: httpx.Client
    spec: Spec
    journal: Path
    address: str

    def predict(self, body: Mapping[str, Any]) -> httpx.Response:
        return self.client.post(f"/v1/models/{self.spec.name}/predict", json=body)

    def by_key(self, *flights: str) -> httpx.Response:
        return self.predict({"entities": [{"flight_id": each} for each in flights]})

    def wait_until(self, holds: Callable[[], bool], seconds: float = 20) -> None:
        """Poll for what another thread of the service does."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, "it did not come about"
            time.sleep(0.02)


@contextmanager
def running(
    of: Light, journal: Path, limits: Limits = LIMITS, hosts: Sequence[str] = ("127.0.0.1",), **more: Any
) -> Generator[Running]:
    """Serve on a free port of loopback."""
    service = Service(
        specs=[served(of.spec, of.models)],
        registry=open_registry(),
        open_store=more.pop("open_store", lambda: SqliteStore(of.store, 0.5)),
        journal=Journal(
            journal,
            uuid.uuid4().hex[:8],
            segment_bytes=2**24,
            segment_seconds=more.pop("segment_seconds", 3600),
            max_bytes=more.pop("max_bytes", 2**30),
        ),
        limits=limits,
        hosts=hosts,
        **more,
    )
    server = uvicorn.Server(uvicorn.Config(create_app(service), port=0, log_config=None, ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield Running(client, of.spec, journal, f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        thread.join(30)
    assert not thread.is_alive()


def warehouse() -> Path:
    return settings().warehouse


def scores(answer: httpx.Response) -> list[float]:
    """The scores of an answer that is one."""
    assert answer.status_code == 200, answer.text
    return [each["score"] for each in answer.json()["predictions"]]


def logged(journal: Path) -> list[Scored]:
    """The rows of a journal."""
    with segments(journal) as found:
        return list(rows(found))
