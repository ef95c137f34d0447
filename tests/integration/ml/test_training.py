"""Training on a small published table: what the run holds, what is read, and that it can be repeated."""

import io
import json
import tarfile
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import mlflow
import numpy as np
import pytest
from pyspark.sql import functions as F

from lakehouse.dbt.manifest import DbtModels
from lakehouse.delta.table import TableVersion, current_version, location
from lakehouse.errors import LakehouseError
from ml.data.columns import columns_of
from ml.data.read import read_arrow
from ml.data.training_rows import InMemoryRows
from ml.data.training_set import Split, split, training_set
from ml.encoding.tensors import labels_of
from ml.evaluation.metrics import metrics
from ml.model.bundle import Bundle
from ml.provenance.manifest import load_manifest, manifest_of
from ml.tracking.registry import model_by_alias, model_of_run
from ml.tracking.runs import MANIFEST, artifact, client
from ml.training.fit_bundle import fit_bundle, refit_bundle
from ml.training.inputs import read_training_rows
from ml.training.train import TrainedModel, train
from tests.integration.ml.conftest import AS_OF, Platform


def test_a_training_run_holds_all_it_takes_to_repeat_it(platform: Platform, model: TrainedModel) -> None:
    manifest = manifest_of(model.run_id)

    assert manifest.training_set.table == TableVersion(platform.training, manifest.training_set.table_id, 0)
    assert manifest.content.row_count == 62 * 8
    assert {pinned.name: pinned.pinned_by for pinned in manifest.upstream} == {
        platform.features: "published",
        f"{platform.schema}.bronze_flights": "as of",
    }
    assert manifest.split.validation_start == date(2013, 8, 1)
    with tarfile.open(fileobj=io.BytesIO(artifact(model.run_id, "code.tar.gz").read_bytes())) as tar:
        assert {"dbt_project.yml", "ml/specs/arrival_delay.yml", "requirements.lock"} <= set(tar.getnames())
    written = json.loads(artifact(model.run_id, "training_set.json").read_text())
    assert set(written["content"]["columns"]) >= {"is_late", "wind_mph", "arr_delay_minutes"}
    assert written["environment"]["packages"]["torch"]
    run = client().get_run(model.run_id)
    (given,) = run.inputs.dataset_inputs
    assert (given.dataset.name, given.tags[0].value) == (f"{platform.training}@v0", "training")
    assert json.loads(given.dataset.source)["delta_table_name"] == f"spark_catalog.{platform.training}"
    assert manifest.content.rows.startswith(given.dataset.digest)
    assert run.data.tags["mlflow.source.git.commit"] == manifest.code.commit
    assert run.data.tags["mlflow.note.content"].startswith(manifest.spec.description)


def test_a_trained_model_is_registered_with_its_curves_and_without_pickle(model: TrainedModel) -> None:
    assert model.alias == "champion"
    assert model.metrics["auc"] > 0.8
    history = mlflow.MlflowClient().get_metric_history(model.run_id, "validation_auc")
    assert [metric.step for metric in history] == list(range(1, len(history) + 1))
    assert set(model.pictures) == {"loss", "roc", "precision_recall", "calibration", "feature_importance"}
    assert all(path.stat().st_size > 5000 for path in model.pictures.values())
    files = {
        path.suffix for path in model_by_alias(model.model_name, "champion").folder.parents[1].rglob("*.*")
    }
    assert files.isdisjoint({".pkl", ".pickle", ".pt", ".pth", ".bin"})


def test_what_is_served_has_seen_the_month_that_it_was_measured_on_before(
    platform: Platform, model: TrainedModel
) -> None:
    spark, spec, pinned = platform.spark, platform.spec, model.manifest.pinned
    rows = read_training_rows(spark, spec, pinned)
    labels = labels_of(rows, "is_late")
    in_august = split(rows.column("flight_date"), AS_OF).validation

    measured = Bundle.load(artifact(model.run_id, "validated"))
    served = Bundle.load(model_of_run(model.run_id).folder)
    scores = measured.predict(rows)
    assert metrics(labels[in_august], scores[in_august]) == pytest.approx(model.metrics, abs=1e-6)
    everything = Split(np.ones_like(in_august), np.zeros_like(in_august), AS_OF, AS_OF)
    best = int(np.argmin(history_of(model.run_id, "validation_log_loss"))) + 1
    assert len(history_of(model.run_id, "refit_train_loss")) == best
    expected = refit_bundle(spec, pinned, InMemoryRows.of(rows, everything, pinned.columns), best)
    assert served.weights_hash() == expected.weights_hash() != measured.weights_hash()


def history_of(run_id: str, metric: str) -> list[float]:
    return [each.value for each in mlflow.MlflowClient().get_metric_history(run_id, metric)]


def test_the_model_card_is_made_from_the_run(model: TrainedModel) -> None:
    card = artifact(model.run_id, "model_card.md").read_text()
    assert f"lakehouse reproduce {model.run_id} --rebuild --retrain" in card
    assert f"`{model.manifest.training_set.table}`, 496 rows" in card
    assert f"| auc | {model.metrics['auc']:.4f} [" in card
    assert "| month | 2013-08 | 248 |" in card
    assert "then trained again on these as well" in card
    assert "2 values of" not in card
    assert "3 values of origin_code have fewer than 200 rows" in card
    version = mlflow.MlflowClient().get_model_version(model.model_name, model.model_version)
    assert version.description == card


def test_a_column_that_is_not_there_is_named(platform: Platform) -> None:
    spec = platform.spec.model_copy(update={"segments": ("runway",)})
    with pytest.raises(LakehouseError, match="has no column runway"):
        train(platform.spark, spec, AS_OF, models=platform.models)


def test_the_same_rows_and_seed_give_the_same_weights_however_they_are_stored(platform: Platform) -> None:
    spark, spec = platform.spark, platform.spec
    columns = columns_of(platform.models, spec.training_model)

    def weights(seed: int) -> str:
        pinned = training_set(current_version(spark, platform.training), columns, AS_OF, spec.time_zone)
        rows = read_training_rows(spark, spec, pinned)
        training = spec.training.model_copy(update={"seed": seed})
        seeded = spec.model_copy(update={"training": training})
        parts = split(rows.column("flight_date"), AS_OF)
        bundle, _ = fit_bundle(seeded, pinned, InMemoryRows.of(rows, parts, columns))
        return bundle.weights_hash()

    before = weights(1)
    rewritten = spark.table(platform.training).repartition(3, "wind_mph")
    rewritten.write.format("delta").mode("overwrite").saveAsTable(platform.training)

    assert weights(1) == before
    assert weights(2) != before


def test_only_the_labels_that_were_known_by_then_are_read(platform: Platform) -> None:
    spark = platform.spark
    corrected_at = datetime(2013, 8, 20, tzinfo=UTC)
    original = spark.table(platform.training).where("flight_id = 'f0001'")
    original.withColumns({"is_late": ~F.col("is_late"), "label_known_at": F.lit(corrected_at)}).writeTo(
        platform.training
    ).append()
    spark.sql(
        f"update {platform.training} set label_superseded_at = timestamp'{corrected_at}' "
        f"where flight_id = 'f0001' and label_known_at < timestamp'{corrected_at}'"
    )
    columns = columns_of(platform.models, platform.spec.training_model)
    now, folder = current_version(spark, platform.training), location(spark, platform.training)

    def labels(as_of: date) -> list[bool]:
        pinned = training_set(now, columns, as_of, platform.spec.time_zone)
        rows = read_arrow(folder, pinned, ("is_late",)).to_pylist()
        return [row["is_late"] for row in rows if row["flight_id"] == "f0001"]

    before, after = labels(date(2013, 8, 1)), labels(date(2013, 9, 1))
    assert len(before) == len(after) == 1
    assert before != after
    assert labels(date(2013, 7, 1)) == []


def test_a_leak_planted_in_a_feature_is_refused_before_there_is_a_run(platform: Platform) -> None:
    spark, name = platform.spark, f"leaky_{platform.schema}"
    is_late_mostly = "if(is_late and cast(substr(flight_id, 2) as int) % 15 > 0, 'B', 'A')"
    published = platform.training.replace(platform.schema, "published", 1)
    spark.sql(
        f"create table {platform.schema}.{name} using delta as "
        f"select *, {is_late_mostly} as gate from {published}"
    )
    platform.publish(f"{platform.schema}.{name}")
    nodes = dict(platform.models.manifest["nodes"])
    gate = {"gate": {"name": "gate", "config": {"meta": {"role": "categorical"}}}}
    columns = nodes["model.training"]["columns"] | gate
    nodes["model.leaky"] = nodes["model.training"] | {"name": name, "alias": name, "columns": columns}
    models = DbtModels({"sources": platform.models.manifest["sources"], "nodes": nodes})
    spec = platform.spec.model_copy(update={"name": name, "training_model": name})

    with pytest.raises(LakehouseError, match=r"^gate \(AUC 0\.9\d+\): alone this tells is_late") as refused:
        train(spark, spec, AS_OF, models=models)
    assert "known_at <= predict_at" in refused.value.hint
    assert client().get_experiment_by_name(name) is None

    honest = spec.model_copy(update={"leak_auc": 0.999})
    assert train(spark, honest, AS_OF, models=models).metrics["auc"] > 0.9


def test_another_table_of_the_same_name_is_refused(platform: Platform) -> None:
    columns = columns_of(platform.models, platform.spec.training_model)
    pinned = training_set(current_version(platform.spark, platform.training), columns, AS_OF, "UTC")
    other = replace(pinned, table=replace(pinned.table, table_id="another"))
    with pytest.raises(LakehouseError, match="not another"):
        read_arrow(location(platform.spark, platform.training), other, ("is_late",))


def test_an_unpublished_training_set_is_refused(platform: Platform) -> None:
    nodes = dict(platform.models.manifest["nodes"])
    nodes["model.training"] = nodes["model.training"] | {"alias": "never_published"}
    models = DbtModels({"sources": platform.models.manifest["sources"], "nodes": nodes})
    with pytest.raises(LakehouseError, match="never_published has not been published"):
        train(platform.spark, platform.spec, AS_OF, models=models)


def test_a_date_without_a_month_to_validate_with_is_refused(platform: Platform) -> None:
    with pytest.raises(LakehouseError, match="0 rows in December 2013"):
        train(platform.spark, platform.spec, date(2014, 1, 1), models=platform.models)


def test_a_manifest_of_before_scores_were_made_from_the_features_is_read(
    model: TrainedModel, tmp_path: Path
) -> None:
    told = json.loads(artifact(model.run_id, MANIFEST).read_text())
    told["spec"]["scoring_model"] = "flight_scoring_set"
    older = tmp_path / MANIFEST
    older.write_text(json.dumps(told))
    assert load_manifest(older) == manifest_of(model.run_id)
    told["spec"]["unknown"] = 1
    older.write_text(json.dumps(told))
    with pytest.raises(LakehouseError, match="unknown"):
        load_manifest(older)
