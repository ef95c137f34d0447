"""The service's two ways to ask who has which alias: they say the same."""

from pathlib import Path

import pytest

from lakehouse import settings as module
from lakehouse.errors import LakehouseError
from ml.serving.registry import MlflowRegistry, Registered, Registry, SqliteRegistry, open_registry
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
    found = had(asked)
    assert found == had(SqliteRegistry(database))
    assert {alias: (each.version, each.digest) for alias, each in found.items()} == {
        CHAMPION: ("1", "1" * 64),
        CHALLENGER: ("2", "2" * 64),
    }
    assert (found[CHALLENGER].folder / "weights").read_text() == "2"

    client().set_registered_model_alias(NAME, CHAMPION, "2")
    assert had(asked)[CHAMPION].version == "2"
    assert asked.aliases("nobody") == {}


def test_a_version_whose_files_are_gone_keeps_no_other_out(database: Path, tmp_path: Path) -> None:
    client().create_model_version(NAME, "s3-of-old://gone/models/3", tags={WEIGHTS_DIGEST: "3" * 64})
    client().set_registered_model_alias(NAME, CHALLENGER, "3")
    for registry in (open_registry(), SqliteRegistry(database)):
        found = registry.aliases(NAME)
        assert isinstance(found[CHALLENGER], LakehouseError)
        champion = found[CHAMPION]
        assert isinstance(champion, Registered) and champion.version == "1"


def had(registry: Registry) -> dict[str, Registered]:
    found = registry.aliases(NAME)
    assert not any(isinstance(each, LakehouseError) for each in found.values())
    return {alias: each for alias, each in found.items() if isinstance(each, Registered)}
