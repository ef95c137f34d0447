"""MLflow's own client finds everything of a copied folder there, and what lay elsewhere where it was."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from ml.tracking.relocate import relocate


@pytest.fixture(autouse=True)
def _own_store() -> Iterator[None]:
    tracking, registry = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    yield
    mlflow.set_tracking_uri(tracking)
    mlflow.set_registry_uri(registry)


def _client(folder: Path) -> MlflowClient:
    # A registry looks for a logged model in the process's stores, whatever the client's are.
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.set_registry_uri(f"sqlite:///{folder / 'mlflow.db'}")
    return MlflowClient()


def test_runs_and_models_of_a_copied_folder_are_found_in_it(tmp_path: Path) -> None:
    first, second, beside = tmp_path / "first", tmp_path / "sécond 2", tmp_path / "first-beside"
    first.mkdir()
    client = _client(first)
    experiment = client.create_experiment("ours", artifact_location=(first / "artifacts").as_uri())
    other = client.create_experiment("theirs", artifact_location=beside.as_uri())
    run_id = client.create_run(experiment).info.run_id
    model_id = client.create_logged_model(experiment, name="model", source_run_id=run_id).model_id
    client.log_text(run_id, "kept", "note.txt")
    client.create_registered_model("model")
    client.create_model_version("model", source=f"models:/{model_id}", run_id=run_id, model_id=model_id)
    client.create_model_version("model", source=(first / "artifacts" / "by-hand").as_uri())

    shutil.move(first, second)
    relocate(second, first, second)

    moved, inside = _client(second), f"{second.as_uri()}/artifacts"
    assert moved.get_experiment(experiment).artifact_location == inside
    assert moved.get_experiment(other).artifact_location == beside.as_uri()
    assert moved.get_run(run_id).info.artifact_uri == f"{inside}/{run_id}/artifacts"
    assert Path(moved.download_artifacts(run_id, "note.txt")).read_text() == "kept"
    model = f"{inside}/models/{model_id}/artifacts"
    assert moved.get_logged_model(model_id).artifact_location == model
    assert moved.get_model_version_download_uri("model", "1") == model
    assert moved.get_model_version("model", "2").source == f"{inside}/by-hand"


def test_a_warehouse_that_never_trained_has_nothing_to_change(tmp_path: Path) -> None:
    relocate(tmp_path / "mlflow", tmp_path / "first", tmp_path / "second")
    assert not (tmp_path / "mlflow").exists()
