"""A file is taken once it is whole: it has stood still, or what lies beside it says so."""

import hashlib
import json
import os
import threading
import time
from pathlib import Path

import pytest

from lakehouse.ingest.complete import (
    WrongManifestError,
    await_settled,
    check_digest,
    check_rows,
    is_complete,
    read_manifest,
)
from lakehouse.ingest.delivery import Delivery
from lakehouse.ingest.source import Source

DECLARED = {
    "name": "readings",
    "description": "Readings.",
    "owner": "weather",
    "format": "csv",
    "files": "readings_{delivery}.csv",
    "arrives": "live",
    "time_zone": "UTC",
    "reported_time": "read_at",
    "delivery_delay_minutes": 0,
    "keys": ["read_at"],
    "columns": [{"name": "read_at", "type": "timestamp", "description": "When."}],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "readings_2013-07-10.csv"
    path.write_text("read_at\n")
    return path


def _offer(path: Path, complete_when: str = "settled") -> tuple[Source, Delivery]:
    source = Source.model_validate(DECLARED | {"complete_when": complete_when})
    delivery = source.delivery(path)
    assert delivery is not None
    return source, delivery


def _age(path: Path, seconds: float) -> None:
    at = time.time() - seconds
    os.utime(path, (at, at))


def test_a_file_that_has_stood_still_is_not_waited_for(file):
    _age(file, 60)
    began = time.monotonic()

    assert await_settled([_offer(file)], settle_seconds=30) == {}
    assert time.monotonic() - began < 5
    assert is_complete(*_offer(file), 30)


def test_a_young_file_is_waited_for_by_its_own_clock(file):
    _age(file, 29)
    began = time.monotonic()

    assert not is_complete(*_offer(file), 30)
    assert await_settled([_offer(file)], settle_seconds=30) == {}
    assert 0.5 < time.monotonic() - began < 10


def test_a_file_that_is_still_being_written_waits(file):
    goes_on = threading.Event()

    def write() -> None:
        while not goes_on.wait(0.05):
            with file.open("a") as opened:
                opened.write("2013-07-10T00:00Z\n")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert await_settled([_offer(file)], settle_seconds=1) == {file: "it is still being written"}
    finally:
        goes_on.set()
        writer.join()


def test_a_clock_that_runs_ahead_is_waited_for_no_longer_than_the_setting(file):
    _age(file, -3600)
    began = time.monotonic()

    assert await_settled([_offer(file)], settle_seconds=1) == {}
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(("complete_when", "ending"), [("marker", ".done"), ("manifest", ".manifest")])
def test_a_file_waits_for_its_marker_however_old_it_is(file, complete_when, ending):
    _age(file, 3600)
    offer = _offer(file, complete_when)

    assert not is_complete(*offer, 0)
    assert await_settled([offer], 0) == {file: f"its {complete_when} {file.name}{ending} is not there yet"}
    file.with_name(file.name + ending).touch()
    assert is_complete(*offer, 30)
    assert await_settled([offer], 30) == {}


def test_a_manifest_is_compared_with_the_file(file):
    source, _ = _offer(file, "manifest")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    manifest = file.with_name(file.name + ".manifest")
    manifest.write_text(json.dumps({"rows": 0, "sha256": digest.upper()}))

    said = read_manifest(source, file)

    check_digest(said, digest)
    check_rows(said, 0)
    with pytest.raises(WrongManifestError, match=r"its sha256 is .* but its manifest says"):
        check_digest(said, "0" * 64)
    with pytest.raises(WrongManifestError, match="it has 1 rows, but its manifest says 0"):
        check_rows(said, 1)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"rows": 1}', '{"rows": true, "sha256": "a"}', '{"rows": "1", "sha256": "a"}']
)
def test_a_manifest_that_is_none_is_refused_by_name(file, text):
    file.with_name(file.name + ".manifest").write_text(text)

    with pytest.raises(WrongManifestError, match=r"readings_2013-07-10.csv.manifest"):
        read_manifest(_offer(file, "manifest")[0], file)
