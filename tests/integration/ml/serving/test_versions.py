"""Versions change while the service answers: none fails, and one that cannot be loaded leaves the old one."""

import threading
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from ml.tracking.registry import model_version, promote
from tests.integration.ml.serving.light import (
    ENCODING,
    feature_rows,
    light,
    logged,
    running,
    scores,
)

FLIGHTS = [f"f{row:04d}" for row in range(40)]


def test_a_challenger_that_needs_a_new_column_does_not_stop_the_champion(tmp_path: Path) -> None:
    known = replace(
        ENCODING, edges={name: each for name, each in ENCODING.edges.items() if name != "wind_mph"}
    )
    made = light(tmp_path, known, rows=feature_rows().drop_columns(["wind_mph"]))
    made.register(1)
    replace(made, encoding=ENCODING, rows=feature_rows()).register(2)
    with running(made, tmp_path / "journal", canary=1.0) as found:
        models = found.client.get("/ready").json()["models"][made.spec.name]
        assert models["challenger"]["version"] == "2"
        assert scores(found.by_key(*FLIGHTS)) == made.bits("1")


def test_versions_change_under_load_and_no_request_fails(tmp_path: Path) -> None:
    made = light(tmp_path)
    made.register(1)
    with running(made, tmp_path / "journal", canary=0.3) as found:
        stop, answers = threading.Event(), []

        def load() -> None:
            with httpx.Client(base_url=found.address, timeout=30) as client:
                while not stop.is_set():
                    body = {"entities": [{"flight_id": flight} for flight in FLIGHTS]}
                    answers.append(client.post(f"/v1/models/{made.spec.name}/predict", json=body))

        threads = [threading.Thread(target=load, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()

        def versions() -> set[str]:
            return {each["model_version"] for each in answers[-1].json()["predictions"]}

        found.wait_until(lambda: len(answers) > 20)
        made.register(2)
        found.wait_until(lambda: "2" in versions())
        canaries = found.by_key(*FLIGHTS).json()["predictions"]
        promote(made.spec.registered_model, "2")
        found.wait_until(lambda: versions() == {"2"})
        stop.set()
        for thread in threads:
            thread.join()
        assert {each.status_code for each in answers} == {200}
        assert scores(found.by_key(*FLIGHTS)) == made.bits("2")
        # The same entities meet the canary each time; every score is that of the version it names.
        batch = {version: made.bits(version) for version in made.versions}
        by_canary = [each["served_by"] == "canary" for each in canaries]
        assert 3 < sum(by_canary) < 25
        assert [each["score"] for each in canaries] == [
            batch["2" if is_canary else "1"][row] for row, is_canary in enumerate(by_canary)
        ]
    noted = logged(tmp_path / "journal")
    shadows = [each for each in noted if each.role == "shadow"]
    assert shadows and {each.model_version for each in shadows} == {"2"}
    answered = sum(len(each.json()["predictions"]) for each in answers) + 2 * len(FLIGHTS)
    assert len([each for each in noted if each.role != "shadow"]) == answered


@pytest.mark.parametrize(
    ("file", "said"),
    [("weights.safetensors", "was registered"), ("encoding.json", "is not what the run wrote")],
)
def test_a_version_whose_files_were_changed_leaves_the_old_one(tmp_path: Path, file: str, said: str) -> None:
    made = light(tmp_path)
    made.register(1)
    with running(made, tmp_path / "journal") as found:
        made.register(2)
        folder = model_version(made.spec.registered_model, "2").folder
        whole = (folder / file).read_bytes()
        (folder / file).write_bytes(whole[:-1])
        promote(made.spec.registered_model, "2")
        found.wait_until(lambda: said in str(found.client.get("/ready").json()["problems"]))
        assert scores(found.by_key(*FLIGHTS)) == made.bits("1")
        (folder / file).write_bytes(whole)
        found.wait_until(lambda: found.client.get("/ready").json()["problems"] == {})
        assert scores(found.by_key(*FLIGHTS)) == made.bits("2")


def test_without_a_champion_it_is_not_ready_and_becomes_so(tmp_path: Path) -> None:
    made = light(tmp_path)
    with running(made, tmp_path / "journal") as found:
        assert found.client.get("/ready").status_code == 503
        assert found.by_key("f0001").status_code == 503
        made.register(1)
        found.wait_until(lambda: found.client.get("/ready").status_code == 200)
        assert scores(found.by_key(*FLIGHTS)) == made.bits("1")
