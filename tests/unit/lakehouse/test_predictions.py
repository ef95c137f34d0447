"""A table of predictions is declared once: its names by the features' YAML, all else for all models alike."""

from typing import Any

import pytest

from lakehouse.dbt.manifest import current_models
from lakehouse.dbt.predictions import declaration
from lakehouse.errors import LakehouseError


def node(**roles: str) -> dict[str, Any]:
    return {
        "name": "m",
        "columns": {
            name: {"data_type": "string", "description": f"The {name} ", "config": {"meta": {"role": role}}}
            for name, role in roles.items()
        },
    }


def test_what_names_a_prediction_is_the_features_and_comes_first() -> None:
    found = declaration(node(x="numeric", day="partition", at="event_time", b="entity", a="entity"))
    assert [column.name for column in found.columns][:5] == ["a", "b", "at", "day", "score"]
    assert found.columns[0].text == "The a"
    assert found.cluster_by == "day"
    assert [column.name for column in found.columns if column.may_be_null] == ["unseen_categories"]
    assert found.checks == {"score_is_probability": "score between 0 and 1"}


@pytest.mark.parametrize(
    ("roles", "wrong"),
    [
        ({"a": "entity", "day": "partition"}, "0 columns of dbt's model m have the role event_time"),
        (
            {"a": "entity", "at": "event_time", "d": "partition", "e": "partition"},
            "2 columns of dbt's model m have the role partition",
        ),
    ],
)
def test_a_model_that_names_no_prediction_is_refused(roles: dict[str, str], wrong: str) -> None:
    with pytest.raises(LakehouseError, match=wrong):
        declaration(node(**roles))


def test_columns_without_a_type_are_named() -> None:
    untyped = node(day="partition", at="event_time", a="entity")
    untyped["columns"]["at"]["data_type"] = None
    with pytest.raises(LakehouseError, match="dbt's model m says no type of at"):
        declaration(untyped)


def test_the_shipped_source_lists_no_column_and_has_all() -> None:
    models = current_models()
    source = models.manifest["sources"]["source.lakehouse.predictions.arrival_delay"]
    declared = declaration(models.node("flight_features"))
    assert list(source["columns"]) == [column.name for column in declared.columns]
    assert source["config"]["meta"]["cluster_by"] == declared.cluster_by == "flight_date"
    kinds = {
        name: [each["type"] for each in column["constraints"]] for name, column in source["columns"].items()
    }
    assert kinds.pop("score") == ["not_null", "check"]
    assert kinds.pop("unseen_categories") == []
    assert set(map(tuple, kinds.values())) == {("not_null",)}
