"""A killed training is resumed in its own run, with the weights of one that was never stopped."""

import json
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Run

from lakehouse.errors import LakehouseError
from lakehouse.settings import settings
from ml.model.bundle import Bundle
from ml.provenance.code_archive import archive
from ml.provenance.digests import record
from ml.reproduction.resume import resume
from ml.spec import Spec
from ml.tracking.registry import model_of_run
from ml.tracking.runs import ARCHIVE, artifact
from ml.training.checkpoint import STATE
from ml.training.train import TrainedModel, train
from tests.faults.engine_helpers import environment
from tests.integration.ml.conftest import AS_OF, Platform

# Trains what its standard input says, and stops to be killed when its second epoch has ended.
VICTIM = """
import json, sys
from datetime import date
from lakehouse.engine.session import spark_session
from lakehouse.dbt.manifest import DbtModels
from ml.spec import Spec
from ml.training.train import train

given = json.loads(sys.stdin.readline())

def progress(text):
    if text.startswith("epoch 2/"):
        print("killable", flush=True)
        sys.stdin.readline()

train(spark_session(), Spec.model_validate(given["spec"]), date.fromisoformat(given["as_of"]), progress,
      DbtModels(given["manifest"]))
"""


class StoppedError(Exception):
    """Stands for Ctrl-C."""


def spec_named(platform: Platform, name: str) -> Spec:
    """The platform's spec under another name: its runs and versions are this test's own."""
    return platform.spec.model_copy(update={"name": name, "registered_model": name})


def only_run(spec: Spec) -> Run:
    experiment = mlflow.get_experiment_by_name(spec.name)
    assert experiment is not None
    (run,) = mlflow.MlflowClient().search_runs([experiment.experiment_id])
    return run


def checkpoint_of(run_id: str) -> Path:
    return settings().mlflow_dir / "checkpoints" / run_id


def stopped_run(platform: Platform, name: str, at: str) -> str:
    """A run that was stopped when its progress said `at`."""

    def progress(text: str) -> None:
        if text.startswith(at):
            raise StoppedError

    spec = spec_named(platform, name)
    with pytest.raises(StoppedError):
        train(platform.spark, spec, AS_OF, progress, platform.models)
    return only_run(spec).info.run_id


def weights(run_id: str) -> str:
    return Bundle.load(model_of_run(run_id).folder).weights_hash()


@pytest.mark.slow
def test_a_killed_training_is_resumed_to_the_weights_of_one_never_stopped(
    platform: Platform, model: TrainedModel, warehouse: Path
) -> None:
    spec = spec_named(platform, f"killed_{platform.schema}")
    given = {"spec": spec.model_dump(mode="json"), "as_of": str(AS_OF), "manifest": platform.models.manifest}
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM],
        env=environment(warehouse),
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert victim.stdin is not None and victim.stdout is not None
    victim.stdin.write(json.dumps(given) + "\n")
    victim.stdin.flush()
    assert victim.stdout.readline().strip() == "killable"
    run_id = only_run(spec).info.run_id
    with pytest.raises(LakehouseError, match="being trained by another process"):
        resume(platform.spark, run_id)
    victim.kill()
    victim.wait(timeout=60)
    assert only_run(spec).info.status == "RUNNING", "nobody could tell MLflow"
    assert [path.name for path in checkpoint_of(run_id).glob("*.safetensors")] == ["epoch_2.safetensors"]

    lakehouse = Path(sys.executable).with_name("lakehouse")
    said = subprocess.run(
        [lakehouse, "train", "--resume", run_id, "--json"],
        env=environment(warehouse),
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert "going on after epoch 2" in said.stderr
    assert said.stderr.count("epoch 2/") == 1, "of the training anew, whose epochs nobody had done"

    assert json.loads(said.stdout)["run_id"] == run_id
    assert weights(run_id) == weights(model.run_id)
    run = only_run(spec)
    assert (run.info.status, run.data.tags["resumed"]) == ("FINISHED", "after epoch 2")
    for metric in ("train_loss", "validation_log_loss"):
        found, expected = (
            [(each.step, each.value) for each in mlflow.MlflowClient().get_metric_history(one, metric)]
            for one in (run_id, model.run_id)
        )
        assert found == expected
    assert not checkpoint_of(run_id).exists()
    assert artifact(run_id, "model_card.md").exists()
    with pytest.raises(LakehouseError, match="has ended"):
        resume(platform.spark, run_id)


def test_a_training_stopped_before_its_first_epoch_ended_starts_over(
    platform: Platform, model: TrainedModel
) -> None:
    run_id = stopped_run(platform, f"early_{platform.schema}", "encoding")
    assert resume(platform.spark, run_id).run_id == run_id
    assert weights(run_id) == weights(model.run_id)
    assert mlflow.get_run(run_id).data.tags["resumed"] == "after epoch 0"


def test_a_training_stopped_while_it_is_made_anew_goes_on_there(
    platform: Platform, model: TrainedModel
) -> None:
    said: list[str] = []

    def stop_in_the_second_training(text: str) -> None:
        said.append(text)
        if text.startswith("epoch 2/") and sum(line.startswith("epoch 2/") for line in said) == 2:
            raise StoppedError

    spec = spec_named(platform, f"anew_{platform.schema}")
    with pytest.raises(StoppedError):
        train(platform.spark, spec, AS_OF, stop_in_the_second_training, platform.models)
    run_id = only_run(spec).info.run_id

    said.clear()
    resume(platform.spark, run_id, said.append)
    epochs = [line.partition("/")[0] for line in said if line.startswith("epoch ")]
    assert epochs[0] == "epoch 3", "neither the first training nor what was done of the second is done again"
    assert "going on after epoch 6 and epoch 2 of the training anew" in said
    assert weights(run_id) == weights(model.run_id)
    for metric in ("train_loss", "refit_train_loss"):
        found, expected = (
            [(each.step, each.value) for each in mlflow.MlflowClient().get_metric_history(one, metric)]
            for one in (run_id, model.run_id)
        )
        assert found == expected


def test_what_cannot_go_on_is_refused_and_can_go_on_when_it_is_repaired(
    platform: Platform, model: TrainedModel, tmp_path: Path
) -> None:
    spark = platform.spark
    with pytest.raises(LakehouseError, match="there is no training run 'nonsense'"):
        resume(spark, "nonsense")
    with pytest.raises(LakehouseError, match=f"has ended, model {model.model_name} version 1"):
        resume(spark, model.run_id)

    run_id = stopped_run(platform, f"refused_{platform.schema}", "epoch 1/")
    code = artifact(run_id, ARCHIVE)
    as_it_was = code.read_bytes()
    (tmp_path / "ml" / "model").mkdir(parents=True)
    (tmp_path / "ml" / "model" / "fit.py").write_text("# another loop")
    code.write_bytes(archive(tmp_path))
    with pytest.raises(LakehouseError, match=r"code\.tar\.gz of run \w+ is not what the run wrote"):
        resume(spark, run_id)
    record(spark, run_id, {ARCHIVE: archive(tmp_path)})
    with pytest.raises(LakehouseError, match=r"begun with other .*ml/model/fit\.py"):
        resume(spark, run_id)
    code.write_bytes(as_it_was)

    state = checkpoint_of(run_id) / STATE
    whole = state.read_text()
    state.write_text(whole.replace('"best_epoch": 1', '"best_epoch": 2'))
    with pytest.raises(LakehouseError, match="is damaged"):
        resume(spark, run_id)
    state.write_text(whole)

    assert weights(resume(spark, run_id).run_id) == weights(model.run_id)
