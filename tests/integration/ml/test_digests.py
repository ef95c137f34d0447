"""What somebody replaced in MLflow's folder is not run, and does not score."""

from datetime import date
from pathlib import Path

import pytest

from lakehouse.errors import LakehouseError
from ml.model.bundle import ENCODING, WEIGHTS
from ml.provenance import digests
from ml.provenance.digests_here import TABLE
from ml.provenance.first_digests import trust_registered
from ml.provenance.logged_run import logged_run, measured_bundle
from ml.scoring.score import score
from ml.tracking.registry import model_by_alias
from ml.tracking.runs import ARCHIVE, MANIFEST, artifact
from ml.training.train import TrainedModel
from tests.integration.ml.conftest import Platform

# Of the shared platform, which nobody else scores.
DAY = date(2013, 9, 26)


@pytest.mark.parametrize("name", [ARCHIVE, MANIFEST])
def test_a_run_whose_code_or_manifest_was_replaced_is_refused(model: TrainedModel, name: str) -> None:
    file = artifact(model.run_id, name)
    was = file.read_bytes()
    file.write_bytes(was + b" ")
    try:
        with pytest.raises(LakehouseError, match=rf"{name} of run {model.run_id} is not what the run wrote"):
            logged_run(model.run_id)
    finally:
        file.write_bytes(was)
    assert logged_run(model.run_id).run_id == model.run_id


@pytest.mark.parametrize("name", [WEIGHTS, ENCODING])
def test_a_model_whose_files_were_replaced_scores_nothing(
    platform: Platform, model: TrainedModel, name: str
) -> None:
    file: Path = model_by_alias(model.model_name, "champion").folder / name
    was = file.read_bytes()
    file.write_bytes(was[:-1] + bytes([was[-1] ^ 1]))
    try:
        with pytest.raises(LakehouseError, match="is not what the run wrote"):
            score(platform.spark, platform.spec, DAY, DAY, models=platform.models)
    finally:
        file.write_bytes(was)


def test_versions_of_before_go_on_when_the_first_run_is_written_down(
    platform: Platform, model: TrainedModel
) -> None:
    """A warehouse of before has no table: its champion scores on, and no stranger does."""
    spark = platform.spark
    spark.sql(f"drop table {TABLE}")
    assert not digests.has_begun(spark) and trust_registered(spark) >= 1
    digests.record(spark, "the next run", {WEIGHTS: b"new"})
    assert trust_registered(spark) == 0
    assert logged_run(model.run_id).run_id == model.run_id
    measured_bundle(model_by_alias(model.model_name, "champion"))
    score(spark, platform.spec, DAY, DAY, models=platform.models)
    with pytest.raises(LakehouseError, match="was never written by a run here") as refused:
        digests.require(spark, "a stranger's run", {WEIGHTS: b"theirs"})
    assert "another warehouse trained it" in refused.value.hint
