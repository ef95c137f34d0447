"""Every spec in ml/specs trains on the set that dbt built, and scores."""

import json
from datetime import date

import pytest

from lakehouse.dbt.manifest import DbtModels
from lakehouse.delta.publications import publish
from lakehouse.delta.table import current_version
from ml.provenance.manifest import manifest_of
from ml.scoring.score import score
from ml.spec import load_spec, spec_names
from ml.training.train import train

pytestmark = pytest.mark.slow

FIRST, VALIDATION, AS_OF = date(2013, 9, 1), date(2013, 9, 3), date(2013, 9, 5)


@pytest.mark.parametrize("name", spec_names())
def test_a_spec_trains_and_scores(story, name, monkeypatch) -> None:
    lakehouse = story.lakehouse
    spark, spec = lakehouse.spark, load_spec(name)
    spec = spec.model_copy(
        update={
            "registered_model": f"{name}_{lakehouse.schema}",
            "predictions_table": f"{lakehouse.predictions}.of_{name}",
            "training": spec.training.model_copy(update={"epochs": 1}),
        }
    )
    models = DbtModels(json.loads((lakehouse.target(lakehouse.schema) / "manifest.json").read_text()))
    tables = [models.table(each) for each in (spec.features_model, spec.training_model)]
    publish(spark, [current_version(spark, table) for table in tables], "test", "test")
    # Four days hold no whole month: the last two validate.
    monkeypatch.setattr("ml.training.inputs.validation_month", lambda _: (VALIDATION, AS_OF))

    trained = train(spark, spec, AS_OF, models=models)
    assert trained.alias == "champion"
    columns = manifest_of(trained.run_id).columns
    labels = spark.table(tables[1])
    now = labels.where(f"{columns.label_end} is null").selectExpr(f"avg(int({columns.label})) as rate")
    assert 0 < now.collect()[0]["rate"] < 0.5
    assert not {str(columns.label), str(columns.label_time)} & set(columns.features)

    scored = score(spark, spec, FIRST, date(2013, 9, 4), models=models)
    assert scored.rows_written == scored.rows_scored > 3000
    again = score(spark, spec, FIRST, date(2013, 9, 4), models=models)
    assert again.rows_written == 0
