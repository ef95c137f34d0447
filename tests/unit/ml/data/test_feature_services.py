"""Feast's definitions say what dbt's YAML says, and no more."""

import importlib.util

from lakehouse.dbt.manifest import current_models, meta_of
from lakehouse.online.feast_repo import definitions
from ml.data.columns import columns_of
from ml.data.feature_services import feature_services
from ml.spec import load_spec, spec_names


def test_views_and_services_say_what_dbt_and_the_specs_say() -> None:
    models = current_models()
    made = definitions(models, feature_services(models))

    (view,) = made.views
    node = models.node("flight_features")
    assert view.name == "flight_features"
    assert view.batch_source.table == "published.flight_features"
    assert view.batch_source.timestamp_field == "predict_at"
    assert view.entities == ["flight_id"]
    assert view.owner == "features@example.com"
    assert view.description == node["description"].strip()
    said = {field.name: (field.description, field.tags.get("role")) for field in view.schema}
    assert said == {
        name: (column["description"].strip(), meta_of(column).get("role"))
        for name, column in node["columns"].items()
        if name != "predict_at"
    }
    assert [each.name for each in made.services] == spec_names()
    for service in made.services:
        (part,) = service.feature_view_projections
        inputs = columns_of(models, load_spec(service.name).training_model).features
        assert sorted(field.name for field in part.features) == sorted(inputs)


def test_feast_has_nothing_that_reports_its_use() -> None:
    assert importlib.util.find_spec("feast.usage") is None
