"""Which row each feature comes from, as dbt's YAML declares it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from lakehouse.dbt.manifest import DbtModels, current_models, times_of_rows
from lakehouse.errors import LakehouseError
from ml.data.columns import columns_of
from ml.explanation.feature_rows import RowOf, feature_rows


def node(
    name: str, columns: Mapping[str, Mapping[str, Any]], inputs: Sequence[Mapping[str, str]] = ()
) -> dict[str, Any]:
    return {
        "resource_type": "model", "name": name, "schema": "s", "alias": name,
        "config": {"inputs": inputs},
        "columns": {column: {"config": {"meta": meta}} for column, meta in columns.items()},
    }  # fmt: skip


def unique(model: str, *columns: str) -> dict[str, Any]:
    tested = (
        {"name": "unique", "kwargs": {"column_name": columns[0]}}
        if len(columns) == 1
        else {"name": "unique_combination", "kwargs": {"columns": list(columns)}}
    )
    return {
        "resource_type": "test",
        "name": f"unique_{model}",
        "attached_node": model,
        "test_metadata": tested,
    }


LEGS = {"model": "legs", "time": "known_at", "keys": {"flight_id": "previous_id"}}
FEATURES: dict[str, Mapping[str, Any]] = {
    "flight_id": {},
    "planned_at": {"row_of": {"model": "flights"}},
    "miles": {},
    "hour": {},
    "wind_known_at": {"row_of": {"model": "wind", "time": "known_at"}},
    "wind_mph": {},
    "wind_age": {"known_at": "wind_known_at"},
    "leg_known_at": {"row_of": LEGS},
    "status": {"known_at": "leg_known_at"},
}


def models(features: Mapping[str, Mapping[str, Any]] = FEATURES) -> DbtModels:
    plain: dict[str, tuple[str, ...]] = {
        "flights": ("flight_id", "miles", "origin"),
        "wind": ("origin", "known_at", "wind_mph"),
        "legs": ("flight_id", "known_at", "status"),
    }
    nodes = {name: node(name, {column: {} for column in columns}) for name, columns in plain.items()}
    return DbtModels(
        {
            "nodes": {
                "features": node("features", features, [{"model": "wind"}, {"source": "plan"}]),
                **nodes,
                "t1": unique("flights", "flight_id"),
                "t2": unique("wind", "origin", "known_at"),
                "t3": unique("legs", "flight_id", "known_at"),
            }
        }
    )


def test_a_feature_comes_from_the_row_with_its_name_or_the_one_that_it_names_or_the_entitys_own() -> None:
    found = feature_rows(models(), "features", ["hour", "miles", "origin", "status", "wind_age", "wind_mph"])
    assert found == [
        RowOf("flights", "planned_at", None, {"flight_id": "flight_id"}, ("miles", "origin"), ("hour",)),
        RowOf("wind", "wind_known_at", "known_at", {"origin": "origin"}, ("wind_mph",), ("wind_age",)),
        RowOf("legs", "leg_known_at", "known_at", {"flight_id": "previous_id"}, (), ("status",)),
    ]


def test_rows_that_no_feature_comes_from_are_left_out_but_for_the_entitys_own() -> None:
    assert [row.model for row in feature_rows(models(), "features", ["status"])] == ["flights", "legs"]


def test_a_column_of_a_model_of_which_no_row_is_declared_is_given_none() -> None:
    some = {name: meta for name, meta in FEATURES.items() if name != "wind_known_at"}
    (row,) = feature_rows(models(some), "features", ["hour", "wind_mph"])
    assert (row.model, row.computed) == ("flights", ("hour",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"leg_known_at": {"row_of": LEGS | {"time": "told_at"}}}, "told_at is not in the grain of legs"),
        ({"leg_known_at": {"row_of": {"model": "features"}}}, r"grain of features \(not tested\)"),
        (
            {"leg_known_at": {"row_of": {"model": "legs"}}},
            "planned_at, leg_known_at all name an entity's own",
        ),
        (
            {"other_at": {"row_of": {"model": "wind", "time": "known_at"}}},
            "wind_mph may come from the row of",
        ),
        ({"status": {"known_at": "hour"}}, "status is said to be known at hour, which has no `row_of`"),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LakehouseError, match=message):
        feature_rows(models({**FEATURES, **changes}), "features", ["status", "wind_mph"])


def test_every_time_that_is_tested_and_every_feature_of_this_project_has_its_row() -> None:
    found = current_models()
    features = columns_of(found, "flight_features").features
    rows = feature_rows(found, "flight_features", features)
    assert [row.known_at for row in rows] == times_of_rows(found.node("flight_features"))
    assert sorted(name for row in rows for name in row.copied + row.computed) == sorted(features)
