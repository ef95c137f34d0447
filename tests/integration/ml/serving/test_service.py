"""The service over HTTP: batch scoring's bits, and refusals with reasons."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakehouse.online.redis_store import RedisStore, RedisWriter
from lakehouse.online.sqlite_store import SqliteStore
from lakehouse.online.store import OnlineStoreUnavailable
from tests.integration.ml.serving.light import (
    ENCODING,
    LIMITS,
    Light,
    Running,
    light,
    logged,
    push,
    put,
    running,
    scores,
)
from tests.redis_server import RedisServer

FLIGHTS = [f"f{row:04d}" for row in range(40)]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Light:
    made = light(tmp_path_factory.mktemp("served"))
    made.register(1)
    return made


@pytest.fixture(scope="module")
def service(served: Light, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(served, tmp_path_factory.mktemp("journal")) as found:
        yield found


def given_rows(of: Light) -> list[dict[str, Any]]:
    """The features of the rows as a client has them: JSON knows no decimal."""
    return [
        {
            name: float(row[name]) if isinstance(row[name], Decimal) else row[name]
            for name in ENCODING.features
        }
        for row in of.rows.to_pylist()
    ]


def test_scores_by_key_and_by_value_have_the_bits_of_batch_scoring(served: Light, service: Running) -> None:
    batch = served.bits("1")
    assert scores(service.by_key(*FLIGHTS)) == batch
    assert [scores(service.by_key(flight))[0] for flight in FLIGHTS] == batch
    assert scores(service.predict({"features": given_rows(served)})) == batch
    assert len(set(batch)) > 30


def test_an_answer_says_what_made_it_and_what_the_model_did_not_know(service: Running) -> None:
    (first,) = service.by_key("f0000").json()["predictions"]
    assert first["entity"] == {"flight_id": "f0000"}
    assert first["features"]["version"] == 3 and first["features"]["release_id"] == "r1"
    assert (first["missing_features"], first["unseen_categories"]) == (1, ["origin_code"])
    assert (first["model_version"], first["served_by"], first["broken_rules"]) == ("1", "champion", [])
    found = next(each for each in logged(service.journal) if each.prediction_id == first["prediction_id"])
    assert (found.key, found.score, str(found.day)) == ({"flight_id": "f0000"}, first["score"], "2013-07-01")


def test_unknown_entities_are_named(service: Running) -> None:
    answer = service.by_key("f0001", "nobody")
    assert answer.status_code == 404
    assert answer.json()["unknown"] == [{"flight_id": "nobody"}]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"features": [{"hour": "9"}]}, ["features", 0, "hour"]),
        ({"features": [{"hour": True}]}, ["features", 0, "hour"]),
        ({"features": [{"hour": 1e39}]}, ["features", 0, "hour"]),
        ({"features": [{}, {"hours": 9}]}, ["features", 1, "hours"]),
        ({"features": [{"carrier_code": 7}]}, ["features", 0, "carrier_code"]),
        ({"entities": [{"flight": "f0001"}]}, ["entities", 0, "flight_id"]),
        ({"entities": [{"flight_id": 1}]}, ["entities", 0, "flight_id"]),
        ({"entities": []}, ["entities"]),
        ({"entities": [{"flight_id": "f0001"}] * 201}, ["entities"]),
        ({"rows": []}, ["rows"]),
        ({}, []),
        ({"entities": [{"flight_id": "f0001"}], "features": [{}]}, []),
    ],
)
def test_a_wrong_field_is_named(service: Running, body: dict[str, Any], place: list[Any]) -> None:
    answer = service.predict(body)
    assert answer.status_code == 422
    assert ["body", *place] in [each["loc"] for each in answer.json()["detail"]]


def test_declared_ranges_hold(served: Light, tmp_path: Path) -> None:
    manifest = json.loads(json.dumps(served.models.manifest))
    manifest["nodes"]["model.f"]["columns"]["hour"]["config"]["meta"]["range"] = [0, 23]
    with running(replace(served, models=type(served.models)(manifest)), tmp_path) as found:
        answer = found.predict({"features": [{"hour": 24}]})
        assert answer.status_code == 422 and answer.json()["detail"][0]["loc"][-1] == "hour"
        assert found.predict({"features": [{"hour": 23}]}).status_code == 200


def test_what_is_no_json_too_large_or_for_no_model_is_refused(service: Running) -> None:
    path = f"/v1/models/{service.spec.name}/predict"
    assert service.client.post("/v1/models/none/predict", json={}).status_code == 404
    assert service.client.post(path, content=b"{}").status_code == 415
    json_type = {"content-type": "application/json"}
    assert service.client.post(path, content=b"{", headers=json_type).status_code == 422
    large = b"[" + b" " * LIMITS.max_body_bytes
    assert service.client.post(path, content=large, headers=json_type).status_code == 413
    in_chunks = (large[start : start + 65536] for start in range(0, len(large), 65536))
    assert service.client.post(path, content=in_chunks, headers=json_type).status_code == 413
    assert service.by_key("f0001").status_code == 200


def test_foreign_hosts_are_refused_and_answers_carry_their_headers(service: Running) -> None:
    refused = service.client.get("/health", headers={"host": "evil.example"})
    assert refused.status_code == 400
    answer = service.client.get("/docs")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "http" not in answer.text.replace("</html>", "")


def test_its_own_description_fits(service: Running) -> None:
    document = service.client.get("/openapi.json").json()
    features = document["components"]["schemas"][f"{service.spec.name}_Features"]["properties"]
    assert set(features) == set(ENCODING.features)
    assert f"/v1/models/{service.spec.name}/predict" in document["paths"]
    metrics = service.client.get("/metrics").text
    assert 'lakehouse_rows_scored_total{role="champion",version="1"}' in metrics
    assert service.client.get("/ready").json()["models"][service.spec.name]["champion"]["blocks"] == [16, 64]


def test_a_token_is_asked_for_and_stands_in_no_answer(served: Light, tmp_path: Path) -> None:
    token = "a-secret-of-twenty-letters"
    with running(served, tmp_path, token=token) as found:
        assert found.by_key("f0001").status_code == 401
        wrong = {"authorization": "Bearer a-secret-of-twenty-lettert"}
        assert found.client.get("/metrics", headers=wrong).status_code == 401
        assert found.client.get("/health").status_code == 200
        found.client.headers["authorization"] = f"Bearer {token}"
        assert found.by_key("f0001").status_code == 200
        assert token not in found.client.get("/metrics").text + found.client.get("/openapi.json").text


def test_more_requests_a_second_than_allowed_are_turned_away(served: Light, tmp_path: Path) -> None:
    with running(served, tmp_path, replace(LIMITS, requests_per_second=2)) as found:
        answers = [found.by_key("f0001") for _ in range(12)]
    statuses = [answer.status_code for answer in answers]
    assert statuses[0] == 200 and 429 in statuses and set(statuses) == {200, 429}
    assert next(each for each in answers if each.status_code == 429).headers["retry-after"] == "1"


def test_overload_is_answered_at_once_instead_of_queueing(served: Light, tmp_path: Path) -> None:
    let_go, entered = threading.Event(), threading.Event()

    class Slow(SqliteStore):
        def rows(self, table, keys):
            entered.set()
            assert let_go.wait(30)
            return super().rows(table, keys)

    limits = replace(LIMITS, max_in_flight=2)
    with running(served, tmp_path, limits, open_store=lambda: Slow(served.store, 0.5)) as found:
        answers: list[httpx.Response] = []
        threads = [threading.Thread(target=lambda: answers.append(found.by_key("f0001"))) for _ in range(2)]
        for thread in threads:
            thread.start()
        assert entered.wait(10)
        in_flight = "lakehouse_requests_in_flight 2.0"
        found.wait_until(lambda: in_flight in found.client.get("/metrics").text)
        assert found.by_key("f0002").status_code == 429
        # What is told of the service itself waits for nobody.
        assert found.client.get("/health").status_code == 200
        let_go.set()
        for thread in threads:
            thread.join()
        assert [each.status_code for each in answers] == [200, 200]
        assert found.by_key("f0002").status_code == 200


def test_a_store_that_is_away_is_told_at_once_and_comes_back_by_itself(served: Light, tmp_path: Path) -> None:
    away, asked = threading.Event(), []

    class Store(SqliteStore):
        def rows(self, table, keys):
            asked.append(keys)
            if away.is_set():
                raise OnlineStoreUnavailable("the store was killed")
            return super().rows(table, keys)

        def release(self, table):
            if away.is_set():
                raise OnlineStoreUnavailable("the store was killed")
            return super().release(table)

    with running(served, tmp_path, open_store=lambda: Store(served.store, 0.5)) as found:
        away.set()
        first = found.by_key("f0001")
        assert first.status_code == 503 and "the store was killed" in first.json()["detail"]
        before = len(asked)
        assert [found.by_key("f0001").status_code for _ in range(5)] == [503] * 5
        assert len(asked) == before, "while it is away nobody is kept waiting for it"
        assert found.predict({"features": [{"hour": 9}]}).status_code == 200
        away.clear()
        found.wait_until(lambda: found.by_key("f0001").status_code == 200)


def test_a_redis_that_is_killed_is_told_at_once_and_its_return_is_noticed(
    served: Light, tmp_path: Path, own_redis: RedisServer
) -> None:
    put(RedisWriter(own_redis.address, "w", 5), served.table, served.rows)
    open_store = lambda: RedisStore(own_redis.address, "w", 0.5)  # noqa: E731
    with running(served, tmp_path / "journal", open_store=open_store) as found:
        assert scores(found.by_key(*FLIGHTS)) == served.bits("1")
        own_redis.kill()
        killed = time.monotonic()
        assert [found.by_key("f0001").status_code for _ in range(20)] == [503] * 20
        assert time.monotonic() - killed < 10
        assert found.predict({"features": [{"hour": 9}]}).status_code == 200
        own_redis.start()
        put(RedisWriter(own_redis.address, "w", 5), served.table, served.rows)
        found.wait_until(lambda: found.by_key("f0001").status_code == 200)
        assert scores(found.by_key(*FLIGHTS)) == served.bits("1")


def test_a_journal_that_is_full_refuses_instead_of_answering_unlogged(served: Light, tmp_path: Path) -> None:
    with running(served, tmp_path, max_bytes=600) as found:
        assert found.by_key("f0001").status_code == 200
        refused = found.by_key("f0002")
        assert refused.status_code == 503 and "serve flush" not in refused.text
        assert [each.key["flight_id"] for each in logged(tmp_path)] == ["f0001"]


def test_rows_that_break_the_specs_rule_are_refused_or_say_so(served: Light, tmp_path: Path) -> None:
    stale = {"max_age_minutes": 60.0, "max_missing": 0}
    with running(served.having(**stale), tmp_path / "told") as found:
        answer = found.by_key("f0000", "f0001").json()["predictions"]
        assert [each["broken_rules"] for each in answer] == [["missing", "stale"], ["stale"]]
    with running(served.having(**stale, otherwise="refuse"), tmp_path / "refused") as found:
        refused = found.by_key("f0000", "f0001")
        assert refused.status_code == 409
        assert refused.json()["refused"][1] == {"row": 1, "broken_rules": ["stale"]}
    assert logged(tmp_path / "refused") == []


def test_a_column_that_left_the_store_is_not_taken_for_missing(served: Light, tmp_path: Path) -> None:
    without = replace(served, store=tmp_path / "store.sqlite")
    push(without.store, without.table, served.rows.drop_columns(["wind_mph"]))
    with running(without, tmp_path / "journal") as found:
        refused = found.by_key("f0001")
    assert refused.status_code == 503 and "needs wind_mph" in refused.json()["detail"]
