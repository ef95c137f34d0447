"""A real Triton server gives a registered version's scores the bits that batch scoring gives them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from lakehouse.engine.ports import free_port
from lakehouse.settings import PROJECT_ROOT
from ml.encoding.arrow import ArrowTable
from ml.model.bundle import Bundle
from ml.serving.triton.export import Exported, export
from ml.serving.triton.scorer import NULL
from ml.tracking.registry import model_by_alias
from ml.training.train import TrainedModel
from tests.integration.ml.conftest import Platform

# Installs the server, and starts it twice.
pytestmark = pytest.mark.slow

CLIENT = Path(__file__).with_name("triton_client.py")


@dataclass(frozen=True)
class Served:
    """A server that is ready, and what it serves."""

    http: str
    grpc_port: int
    exported: Exported
    bundle: Bundle


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    subprocess.run([PROJECT_ROOT / "scripts" / "install-triton.sh"], check=True)


@contextmanager
def serving(repository: Path, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, int]]:
    http_port, grpc_port = free_port(), free_port()
    with log.open("wb") as output:
        server = subprocess.Popen(
            [PROJECT_ROOT / "scripts" / "serve-triton.sh", repository, str(http_port), str(grpc_port)],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield server, f"http://127.0.0.1:{http_port}/v2", grpc_port
        finally:
            server.terminate()
            server.wait(timeout=60)


@pytest.fixture(scope="module")
def served(model: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("triton")
    version = model_by_alias(model.model_name, "champion")
    exported = export(version, folder / "models")
    with serving(exported.repository, folder / "log") as (server, http, grpc_port):
        for _ in range(240):
            assert server.poll() is None, (folder / "log").read_text()
            if answers(f"{http}/health/ready"):
                break
            time.sleep(0.5)
        yield Served(http, grpc_port, exported, Bundle.load(version.folder))


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def rows(platform: Platform, served: Served) -> ArrowTable:
    features = platform.spark.table(platform.features).orderBy("flight_id").toArrow()
    rows = features.select([*served.bundle.encoding.features])
    assert rows.num_rows == 736 and rows.column("wind_mph").null_count > 0
    # Beside the real ones, what no training row had.
    strange = pa.table(
        {
            "carrier_code": ["ZZ", None, ""],
            "origin_code": [None, "JFK", "Ü"],
            "hour": [None, 8, 100],
            "wait_minutes": [None, -5, 2**40],
            "wind_mph": [None, None, None],
        }
    ).select(rows.column_names)
    return pa.concat_tables([rows, strange.cast(rows.schema)])


def request_of(bundle: Bundle, rows: ArrowTable) -> dict[str, list[list[Any]]]:
    def columns(names: Any) -> list[list[Any]]:
        return [rows.column(name).to_pylist() for name in names]

    numeric, texts = columns(bundle.encoding.edges), columns(bundle.encoding.categories)
    return {
        "numeric": [[None if x is None else float(x) for x in row] for row in zip(*numeric, strict=True)],
        "categorical": [
            [NULL.decode() if text is None else text for text in row] for row in zip(*texts, strict=True)
        ],
    }


def bits_of(bundle: Bundle, rows: ArrowTable) -> list[int]:
    return bundle.predict(rows).view(np.int32).tolist()


def ask(served: Served, request: dict[str, list[list[Any]]]) -> httpx.Response:
    body = {
        "inputs": [
            {"name": name, "datatype": kind, "shape": [len(rows), len(rows[0])], "data": rows}
            for name, kind, rows in (
                ("numeric", "FP64", request["numeric"]),
                ("categorical", "BYTES", request["categorical"]),
            )
        ]
    }
    # NaN as Python and Triton write it; JSON's own words have none.
    text = json.dumps(body).replace("null", "NaN")
    return httpx.post(f"{served.http}/models/{served.exported.name}/infer", content=text)


def output(answer: httpx.Response, name: str) -> list[Any]:
    return next(each["data"] for each in answer.json()["outputs"] if each["name"] == name)


def test_http_gives_the_bits_of_batch_scoring(served: Served, rows: ArrowTable) -> None:
    answer = ask(served, request_of(served.bundle, rows))
    assert answer.status_code == 200, answer.text
    expected = served.bundle.score(rows)
    assert np.float32(output(answer, "score")).view(np.int32).tolist() == bits_of(served.bundle, rows)
    assert output(answer, "missing_features") == expected.missing.tolist()
    assert output(answer, "unseen") == expected.unseen.ravel().tolist()
    assert answer.json()["model_version"] == served.exported.version


def test_grpc_gives_each_of_many_requests_the_bits_of_batch_scoring(
    served: Served, rows: ArrowTable, tmp_path: Path
) -> None:
    parts = [rows.slice(start, 1) for start in range(0, 200)] + [rows.slice(200), rows.slice(700)]
    requests = tmp_path / "requests.json"
    requests.write_text(json.dumps([request_of(served.bundle, part) for part in parts]))
    told = subprocess.run(
        [sys.executable, CLIENT, str(served.grpc_port), served.exported.name, requests],
        env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT / ".setup" / "triton" / "client")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == [bits_of(served.bundle, part) for part in parts]
    counted = httpx.get(f"{served.http}/models/{served.exported.name}/stats").json()["model_stats"][0]
    # Requests that waited together were scored together.
    assert counted["execution_count"] < counted["inference_count"]


def test_a_text_that_is_not_utf8_is_that_requests_error_alone(served: Served, rows: ArrowTable) -> None:
    request = request_of(served.bundle, rows.slice(0, 1))
    request["categorical"][0][0] = "\udcff"
    answer = ask(served, request)
    assert answer.status_code >= 400
    assert ask(served, request_of(served.bundle, rows.slice(0, 1))).status_code == 200


def test_the_configuration_names_the_columns(served: Served) -> None:
    said = httpx.get(f"{served.http}/models/{served.exported.name}/config").json()
    names = json.loads(said["parameters"]["numeric_features"]["string_value"])
    assert names == list(served.bundle.encoding.edges)
    assert said["model_warmup"] and said["version_policy"] == {"specific": {"versions": [1]}}


def test_weights_that_were_changed_are_not_served(served: Served, tmp_path: Path) -> None:
    repository = tmp_path / "models"
    subprocess.run(["cp", "-r", served.exported.repository, repository], check=True)
    weights = next(repository.rglob("weights.safetensors"))
    content = bytearray(weights.read_bytes())
    # The last number's sign.
    content[-1] ^= 0x80
    weights.write_bytes(content)
    with serving(repository, tmp_path / "log") as (server, _, _):
        assert server.wait(timeout=120) != 0
    assert "golden rows' scores differ" in (tmp_path / "log").read_text()
