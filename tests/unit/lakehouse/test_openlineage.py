"""Lineage events reach a real receiver, which writes down the graph; one that is away stops nothing."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from lakehouse import settings as module
from lakehouse.dbt.graph import table_of
from lakehouse.dbt.manifest import current_models
from lakehouse.engine.ports import free_port
from lakehouse.lineage.openlineage import JobRun, Table, job_run_id, send

AT = datetime(2013, 10, 1, 12, tzinfo=UTC)
RUN = "0b7bd5b4-7c1c-4a51-8b0e-4f0e3f7a9f53"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture(autouse=True)
def receiver_is_named(monkeypatch: pytest.MonkeyPatch, port: int) -> Iterator[None]:
    monkeypatch.setenv("LAKEHOUSE_OPENLINEAGE_URL", f"http://127.0.0.1:{port}")
    module.settings.cache_clear()
    yield
    module.settings.cache_clear()


@pytest.fixture
def written(port: int) -> Iterator[list[dict[str, Any]]]:
    """What a receiver on loopback was posted."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/api/v1/lineage"
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(201)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = HTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield got
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_graph_that_a_receiver_writes_down_is_dbts(written: list[dict[str, Any]]) -> None:
    models = current_models()
    parents = {
        table_of(node): {
            f"{each['schema']}.{each.get('alias') or each['identifier']}"
            for name in node["depends_on"]["nodes"]
            for each in [models.manifest["nodes"].get(name) or models.manifest["sources"][name]]
        }
        for node in models
    }
    runs = [
        JobRun(
            job=name.replace(".", "/"),
            run_id=RUN,
            inputs=tuple(Table(each, 7) for each in sorted(read)),
            outputs=(
                Table(
                    *(name, 8, {"flight_id": ("string", "Key of the flight")}),
                    {"flight_id": [("intermediate.int_flights", "flight_id")]},
                ),
            ),
            outcome="COMPLETE",
            at=AT,
        )
        for name, read in parents.items()
    ]
    assert send(runs) is None
    assert [event["eventType"] for event in written] == ["START", "COMPLETE"] * len(runs)
    done = [event for event in written if event["eventType"] == "COMPLETE"]
    graph = {event["outputs"][0]["name"]: {each["name"] for each in event["inputs"]} for event in done}
    assert graph == parents and len(graph) > 25
    (features,) = (event for event in done if event["outputs"][0]["name"] == "features.flight_features")
    assert features["outputs"][0]["facets"]["version"]["datasetVersion"] == "8"
    assert features["inputs"][0]["facets"]["version"]["datasetVersion"] == "7"
    assert features["outputs"][0]["facets"]["schema"]["fields"][0]["name"] == "flight_id"
    (origin,) = features["outputs"][0]["facets"]["columnLineage"]["fields"]["flight_id"]["inputFields"]
    assert (origin["name"], origin["field"]) == ("intermediate.int_flights", "flight_id")
    assert features["run"]["facets"]["parent"]["run"]["runId"] == RUN
    assert len({event["run"]["runId"] for event in written}) == len(runs)
    assert features["run"]["runId"] == job_run_id(
        next(run for run in runs if run.job == "features/flight_features")
    )


def test_a_receiver_that_is_away_stops_nothing_and_is_named(port: int) -> None:
    said = send([JobRun("bronze/flights", RUN, (), (Table("bronze.flights", 1),), "COMPLETE", AT)])
    assert said is not None and said.startswith(
        f"2 of 2 lineage events were not taken by http://127.0.0.1:{port}"
    )


def test_without_the_setting_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch, written: list[dict[str, Any]]
) -> None:
    monkeypatch.delenv("LAKEHOUSE_OPENLINEAGE_URL")
    module.settings.cache_clear()
    assert send([JobRun("bronze/flights", RUN, (), (), "COMPLETE", AT)]) is None
    assert written == []
