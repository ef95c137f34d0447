"""The service's two ways to ask who has which alias: they say the same."""

from pathlib import Path

import pytest

from lakehouse import settings as module
from ml.serving.registry import MlflowRegistry, SqliteRegistry, open_registry
from ml.tracking.names import CHALLENGER, CHAMPION, WEIGHTS_DIGEST
from ml.tracking.runs import client, training_run

NAME = "served"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A database that the settings name, with two versions of a model whose files lie here."""
    path = tmp_path / "team.db"
    monkeypatch.setenv("LAKEHOUSE_WAREHOUSE", str(tmp_path / "warehouse"))
    monkeypatch.setenv("LAKEHOUSE_MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    module.settings.cache_clear()
    try:
        with training_run("served", "a run") as run_id:
            pass
        client().create_registered_model(NAME)
        for number, alias in (("1", CHAMPION), ("2", CHALLENGER)):
            folder = tmp_path / "models" / number
            (folder / "artifacts" / "bundle").mkdir(parents=True)
            (folder / "artifacts" / "bundle" / "weights").write_text(number)
            tags = {WEIGHTS_DIGEST: number * 64}
            client().create_model_version(NAME, folder.as_uri(), run_id, tags=tags)
            client().set_registered_model_alias(NAME, alias, number)
        yield path
    finally:
        module.settings.cache_clear()


def test_a_teams_database_is_asked_through_mlflow_with_the_same_answer(database: Path) -> None:
    asked = open_registry()
    assert isinstance(asked, MlflowRegistry)
    found = asked.aliases(NAME)
    assert found == SqliteRegistry(database).aliases(NAME)
    assert {alias: (each.version, each.digest) for alias, each in found.items()} == {
        CHAMPION: ("1", "1" * 64),
        CHALLENGER: ("2", "2" * 64),
    }
    assert (found[CHALLENGER].folder / "weights").read_text() == "2"

    client().set_registered_model_alias(NAME, CHAMPION, "2")
    assert asked.aliases(NAME)[CHAMPION].version == "2"
    assert asked.aliases("nobody") == {}
