"""A training that streams its rows is logged, registered, reproduced and resumed as any other."""

from datetime import timedelta

import pytest

import ml.data.training_rows
from ml.model.bundle import Bundle
from ml.provenance.logged_run import logged_run
from ml.reproduction.reproduce import retrain
from ml.reproduction.resume import resume
from ml.tracking.registry import model_of_run
from ml.tracking.runs import artifact
from ml.training.train import TrainedModel, train
from tests.integration.ml.conftest import AS_OF, Platform
from tests.integration.ml.test_resume import StoppedError, only_run, spec_named


def weights(run_id: str) -> str:
    return Bundle.load(model_of_run(run_id).folder).weights_hash()


def test_a_streamed_training_is_logged_reproduced_and_resumed(
    platform: Platform, model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The platform's 496 rows take 19 KiB: the budget is one of KiB here.
    monkeypatch.setattr(ml.data.training_rows, "MB", 2**10)
    said: list[str] = []
    spec = spec_named(platform, f"streamed_{platform.schema}")
    spec = spec.model_copy(update={"training": spec.training.model_copy(update={"memory_mb": 16})})

    streamed = train(platform.spark, spec, AS_OF, said.append, platform.models)

    assert any("encoded rows to" in line for line in said)
    assert weights(streamed.run_id) != weights(model.run_id)
    assert streamed.metrics["auc"] == pytest.approx(model.metrics["auc"], abs=0.05)
    assert streamed.manifest.split == model.manifest.split
    assert streamed.manifest.split.validation_start + timedelta(days=31) == AS_OF
    card = artifact(streamed.run_id, "model_card.md").read_text()
    assert "| origin_code | " in card or "values of origin_code" in card

    report = retrain(platform.spark, logged_run(streamed.run_id))
    assert report.identical, report.differences

    def stop(text: str) -> None:
        if text.startswith("epoch 2/"):
            raise StoppedError

    again = spec.model_copy(update={"name": f"again_{spec.name}", "registered_model": f"again_{spec.name}"})
    with pytest.raises(StoppedError):
        train(platform.spark, again, AS_OF, stop, platform.models)
    resumed = resume(platform.spark, only_run(again).info.run_id)
    assert weights(resumed.run_id) == weights(streamed.run_id)
