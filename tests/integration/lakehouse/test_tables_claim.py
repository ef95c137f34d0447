"""One engine writes the tables of an object store; a second one is refused by name."""

import fcntl
import socket
from pathlib import Path

import pytest

from lakehouse.engine import server, tables_claim
from lakehouse.errors import LakehouseError
from lakehouse.settings import Settings
from tests.object_store import BUCKET
from tests.object_store import object_store as object_store  # a fixture


def _settings(warehouse: Path, address: str) -> Settings:
    return Settings(warehouse=warehouse, tables=f"s3a://{BUCKET}/lake", s3_endpoint=address)


def test_a_second_warehouse_is_refused_until_the_first_lets_go(object_store: str, tmp_path: Path) -> None:
    first, second = (_settings(tmp_path / name, object_store) for name in ("first", "second"))
    tables_claim.take(first)
    with pytest.raises(LakehouseError, match=f"{first.warehouse} on {socket.gethostname()}") as refused:
        tables_claim.take(second)
    assert "s3a://lake/lake/_engine.json" in str(refused.value)
    # Who never had it takes nothing away.
    tables_claim.release(second)
    # The first one's next engine, after a kill.
    tables_claim.take(first)
    tables_claim.release(first)
    tables_claim.take(second)


def test_down_takes_back_what_a_killed_engine_left(object_store: str, tmp_path: Path) -> None:
    first, second = (_settings(tmp_path / name, object_store) for name in ("first", "second"))
    tables_claim.take(first)
    # Killed together with its parent: nobody was left to take the claim back.
    assert not server.stop_engine(first)
    tables_claim.take(second)
    assert not server.stop_engine(first), "a claim of another is let alone"
    with pytest.raises(LakehouseError, match="is written by the engine of"):
        tables_claim.take(first)


def test_the_claim_of_an_engine_that_lives_stays(object_store: str, tmp_path: Path) -> None:
    first, second = (_settings(tmp_path / name, object_store) for name in ("first", "second"))
    tables_claim.take(first)
    first.engine_dir.mkdir(parents=True)
    with (first.engine_dir / "alive.lock").open("w") as engine:
        fcntl.flock(engine, fcntl.LOCK_EX)
        # Another engine's parent ends late.
        tables_claim.release(first)
    with pytest.raises(LakehouseError, match="is written by the engine of"):
        tables_claim.take(second)
    tables_claim.release(first)
    tables_claim.take(second)


def test_a_store_that_is_away_keeps_the_claim_and_says_so(object_store: str, tmp_path: Path) -> None:
    away = Settings(warehouse=tmp_path, tables=f"s3a://{BUCKET}/lake", s3_endpoint="http://127.0.0.1:9")
    with pytest.raises(LakehouseError, match="claim on s3a://lake/lake could not be taken back"):
        server.stop_engine(away)


def test_wrong_credentials_are_told_before_an_engine_starts(object_store: str, tmp_path: Path) -> None:
    nowhere = Settings(warehouse=tmp_path, tables="s3a://no-such-bucket/lake", s3_endpoint=object_store)
    away = Settings(warehouse=tmp_path, tables=f"s3a://{BUCKET}/lake", s3_endpoint="http://127.0.0.1:9")
    with pytest.raises(LakehouseError, match=f"s3a://{BUCKET}/lake cannot be written"):
        tables_claim.take(away)
    with pytest.raises(LakehouseError, match="s3a://no-such-bucket/lake cannot be written"):
        tables_claim.take(nowhere)
