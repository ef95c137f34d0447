"""What a model's YAML leaves to another model's stands there alone, and is found everywhere."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lakehouse.dbt.inherited_columns import fill_in
from lakehouse.dbt.manifest import current_models
from lakehouse.dbt.project import run_dbt
from lakehouse.errors import LakehouseError

TEXTS = {"id": "Key", "x": "A number", "y": "Another one"}


def model(name: str, columns: dict[str, str], columns_from: Any = None) -> Any:
    meta = {} if columns_from is None else {"columns_from": columns_from}
    return SimpleNamespace(
        name=name,
        resource_type="model",
        patch_path=f"{name}.yml",
        config=SimpleNamespace(meta=meta),
        columns={column: SimpleNamespace(description=text) for column, text in columns.items()},
    )


def filled(*models: Any) -> dict[str, dict[str, str]]:
    built: list[bool] = []
    nodes = {f"model.p.{each.name}": each for each in models}
    manifest: Any = SimpleNamespace(nodes=nodes, build_flat_graph=lambda: built.append(True))
    assert fill_in(manifest) is bool(built)
    return {each.name: {name: column.description for name, column in each.columns.items()} for each in models}


def test_all_or_some_columns_are_anothers_and_own_ones_stay() -> None:
    found = filled(
        model("a", TEXTS),
        model("b", {"label": "What happened", "x": "Of its own"}, "a"),
        model("c", {"label": "What happened"}, {"model": "a", "columns": ["y", "id"]}),
    )
    assert found["b"] == TEXTS | {"x": "Of its own", "label": "What happened"}
    assert found["c"] == {"y": "Another one", "id": "Key", "label": "What happened"}
    assert found["a"] == TEXTS


def test_a_project_that_leaves_none_stays_as_it_is() -> None:
    assert filled(model("a", TEXTS)) == {"a": TEXTS}


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("nonsense", "b: columns_from names nonsense, which is not a model"),
        ("b", "b: columns_from names b, which has columns_from itself"),
        ({"model": "a", "columns": ["id", "z"]}, "b: columns_from names z, which a does not have"),
    ],
)
def test_a_wrong_name_is_refused(said: Any, wrong: str) -> None:
    with pytest.raises(LakehouseError, match=wrong):
        filled(model("a", TEXTS), model("b", {}, said))


def test_the_shipped_training_set_has_its_features_texts_types_and_roles() -> None:
    models = current_models()
    features, training = (models.node(each)["columns"] for each in ("flight_features", "flight_training_set"))
    assert {name: training[name] for name in features} == features
    assert list(training)[len(features) :] == [
        "is_late_15", "label_known_at", "label_superseded_at", "arr_delay_minutes",
    ]  # fmt: skip


@pytest.mark.parametrize("options", [[], ["--no-write-json"]])
def test_every_command_of_dbt_finds_them(tmp_path: Path, options: list[str]) -> None:
    """Also one that writes no manifest, as `docs generate`."""
    listed = run_dbt(
        [*options, "--quiet", "ls", "--select", "flight_training_set", "--resource-type", "model",
         "--output", "json", "--output-keys", "columns"],
        target_path=tmp_path,
    ).output  # fmt: skip
    (line,) = [line for line in listed.splitlines() if line.startswith("{")]
    columns = json.loads(line)["columns"]
    assert len(columns) > 170
    assert columns["flight_code"]["description"].startswith("Carrier and flight number")
