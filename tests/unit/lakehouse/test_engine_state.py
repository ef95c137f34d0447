"""What lies in the engine's folder is read with care: it may be damaged, or another version's."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from lakehouse.engine import state
from lakehouse.errors import LakehouseError

STATE = state.EngineState("i", 1, 2, 3, "2026-01-01T00:00:00+00:00", 1024, "/clone", {"Java": "17"}, 4)
CLIENT = state.Client(1, "i", "s", "u", "dbt run", "2026-01-01T00:00:00+00:00")


def _write(folder: Path, **fields: object) -> None:
    (folder / "engine.json").write_text(json.dumps(fields))


def test_a_state_of_a_later_version_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    _write(tmp_path, **asdict(STATE), colour="blue")
    assert state.read_state(tmp_path) == STATE


def test_a_state_of_an_earlier_version_lacks_the_parent(tmp_path: Path) -> None:
    _write(tmp_path, **{name: value for name, value in asdict(STATE).items() if name != "parent_pid"})
    found = state.read_state(tmp_path)
    assert found is not None and found.parent_pid == 0


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"pid": 7}', "\x00\x00\x00"])
def test_a_damaged_state_is_named_with_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "engine.json").write_text(content)
    with pytest.raises(LakehouseError, match=r"(?s)engine\.json is damaged.*lakehouse down"):
        state.read_state(tmp_path)


def test_a_client_is_living_as_long_as_its_file_is_locked(tmp_path: Path) -> None:
    descriptor = state.register_client(tmp_path, CLIENT)
    assert state.living_clients(tmp_path, "i") == [CLIENT]
    assert state.living_clients(tmp_path, "another engine") == []
    os.close(descriptor)
    assert state.living_clients(tmp_path, "i") == []
    assert [client for _, client, _ in state.clients(tmp_path)] == [CLIENT]


def test_unreadable_files_of_dead_clients_are_found_and_no_clients(tmp_path: Path) -> None:
    os.close(state.register_client(tmp_path, CLIENT))
    empty = tmp_path / "clients" / "0f0f.json"
    empty.touch()
    assert state.unreadable_clients(tmp_path) == [empty]
    assert [client for _, client, _ in state.clients(tmp_path)] == [CLIENT]


def test_an_empty_token_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "token").touch()
    made = state.token(tmp_path)
    assert len(made) > 20
    assert state.token(tmp_path) == made


def test_what_was_never_given_its_name_is_cleared(tmp_path: Path) -> None:
    os.close(state.register_client(tmp_path, CLIENT))
    for name in (".engine.json.7.ab", ".token.7.ab", "clients/.half"):
        (tmp_path / name).touch()
    state.clear_scratch(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["s.json"]
