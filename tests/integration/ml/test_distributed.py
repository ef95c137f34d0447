"""Training by two workers on the engine: TorchDistributor in a barrier stage."""

import mlflow
import pytest

from lakehouse.errors import LakehouseError
from lakehouse.settings import settings
from ml.data.training_rows import InMemoryRows
from ml.data.training_set import split_at
from ml.provenance.logged_run import logged_run
from ml.reproduction import reproduce
from ml.spec import Spec
from ml.tracking.registry import model_of_run
from ml.training.fit_bundle import fit_bundle
from ml.training.inputs import read_training_rows
from ml.training.train import train
from tests.integration.ml.conftest import AS_OF, Platform


def spec_of(platform: Platform, workers: int) -> Spec:
    """Without dropout, whose masks differ between one process and two."""
    name = f"workers_{workers}_{platform.schema}"
    spec = platform.spec
    training = spec.training.model_copy(update={"workers": workers, "epochs": 2})
    network = spec.network.model_copy(update={"dropout": 0.0})
    names = {"name": name, "registered_model": name}
    return spec.model_copy(update=names | {"training": training, "network": network})


@pytest.mark.slow
def test_distributed_equals_single_and_is_reproduced(platform: Platform) -> None:
    spark, said = platform.spark, list[str]()
    shared = train(spark, spec_of(platform, 2), AS_OF, said.append, platform.models)

    manifest = shared.manifest
    rows = read_training_rows(spark, manifest.spec, manifest.pinned)
    record = manifest.split
    parts = split_at(rows.column("flight_date"), record.validation_start, record.validation_end)
    in_memory = InMemoryRows.of(rows, parts, manifest.columns)
    _, single = fit_bundle(spec_of(platform, 1), manifest.pinned, in_memory)

    history = mlflow.MlflowClient().get_metric_history
    found = {each.step: each.value for each in history(shared.run_id, "train_loss")}
    assert found == pytest.approx({each.number: each.train_loss for each in single.epochs}, rel=1e-6)
    found = {each.step: each.value for each in history(shared.run_id, "validation_log_loss")}
    expected = {each.number: each.validation["log_loss"] for each in single.epochs}
    assert found == pytest.approx(expected, rel=1e-3)
    assert any(line.startswith("epoch 2/2: loss 0.") for line in said)
    assert not (settings().mlflow_dir / "checkpoints" / shared.run_id).exists()

    assert model_of_run(shared.run_id).version == "1"
    report = reproduce.retrain(spark, logged_run(shared.run_id))
    assert report.identical, report.differences


def test_more_workers_than_cores_are_refused(platform: Platform) -> None:
    with pytest.raises(LakehouseError, match="64 workers need as many cores at once"):
        train(platform.spark, spec_of(platform, 64), AS_OF, models=platform.models)
