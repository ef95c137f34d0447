"""dbt's project as its manifest tells it: roles, documentation, and a manifest that follows the files."""

import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lakehouse.dbt import manifest as manifests
from lakehouse.dbt.manifest import DbtModels, manifest
from lakehouse.dbt.project import DbtResult, node_done, run_dbt
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT


@pytest.fixture
def small_project(tmp_path: Path) -> Path:
    """A project of one model, with our profile."""
    shutil.copy(PROJECT_ROOT / "profiles.yml", tmp_path)
    (tmp_path / "dbt_project.yml").write_text(
        "name: small\nprofile: lakehouse\nmodel-paths: [dbt_project]\n"
        "flags: {send_anonymous_usage_stats: false}\n"
    )
    (tmp_path / "dbt_project").mkdir()
    (tmp_path / "dbt_project" / "one.sql").write_text("select 1 as x")
    return tmp_path


@pytest.mark.parametrize(
    ("user", "schema"),
    [("me", "dev_me"), ("john.doe", "dev_john_doe"), ("anna-lena", "dev_anna_lena"), ("zoë", "dev_zo_")],
)
def test_a_users_name_is_always_a_schema(
    small_project: Path, monkeypatch: pytest.MonkeyPatch, user: str, schema: str
) -> None:
    monkeypatch.delenv("LAKEHOUSE_DBT_SCHEMA", raising=False)
    run_dbt(["parse"], project=small_project, environment={"USER": user})
    parsed = json.loads((small_project / "target" / "manifest.json").read_text())
    assert parsed["nodes"]["model.small.one"]["schema"] == schema


@pytest.mark.parametrize("schema", ["jean-luc", "a.b", "", "x y"])
def test_a_schema_that_is_no_name_is_refused_when_dbt_parses(tmp_path: Path, schema: str) -> None:
    with pytest.raises(LakehouseError, match="LAKEHOUSE_DBT_SCHEMA") as refused:
        run_dbt(["parse"], target_path=tmp_path, environment={"LAKEHOUSE_DBT_SCHEMA": schema})
    assert f'"{schema}" is not a schema of its own' in " ".join(str(refused.value).split())


def test_training_and_scoring_agree_on_features_and_keys() -> None:
    labels = ("label", "label_time", "label_end")
    roles = DbtModels(manifest()).roles("flight_training_set")
    training = [pair for pair in roles.items() if pair[1] not in labels]
    assert training == list(DbtModels(manifest()).roles("flight_features").items())
    assert [name for name, role in roles.items() if role in labels] == [
        "is_late_15",
        "label_known_at",
        "label_superseded_at",
    ]
    assert roles["flight_id"] == "entity"
    assert roles["predict_at"] == "event_time"
    assert roles["flight_date"] == "partition"


def test_times_and_the_delay_behind_the_label_are_no_features() -> None:
    roles = DbtModels(manifest()).roles("flight_training_set")
    features = {name for name, role in roles.items() if role in ("numeric", "categorical")}
    assert not [name for name in features if name.endswith(("_at", "_as_of"))]
    assert "arr_delay_minutes" not in features
    assert {"sched_dep_hour", "origin_waiting", "previous_leg_status", "seat_count"} <= features


def test_every_model_and_column_is_documented_and_owned() -> None:
    nodes = [
        node
        for node in manifest()["nodes"].values()
        if node["resource_type"] in ("model", "seed") and node["package_name"] == "lakehouse"
    ]
    missing = [node["name"] for node in nodes if not node["description"] or not node["config"]["group"]]
    missing += [node["name"] for node in nodes if not node["columns"] or "Grain: " not in node["description"]]
    missing += [
        f"{node['name']}.{column['name']}"
        for node in nodes
        for column in node["columns"].values()
        if not column["description"]
    ]
    assert len(nodes) >= 20
    assert missing == []


def test_models_of_gated_layers_say_their_gate() -> None:
    gates = {
        node["name"]: node["config"]["meta"].get("gate")
        for node in manifest()["nodes"].values()
        if node["resource_type"] == "model"
    }
    assert gates["flight_features"] == gates["feat_origin_weather"] == "features"
    assert gates["flight_training_set"] == "training"
    assert gates["int_flights"] is gates["prediction_quality_daily"] is None


def test_an_unknown_model_and_one_without_roles_are_named() -> None:
    with pytest.raises(LakehouseError, match="no model flight_trainings_set"):
        DbtModels(manifest()).node("flight_trainings_set")
    with pytest.raises(LakehouseError, match="no column of dbt's model int_flights has a role"):
        DbtModels(manifest()).roles("int_flights")


def test_the_manifest_follows_the_files(small_project: Path) -> None:
    assert DbtModels(manifest(small_project)).node("one")["raw_code"] == "select 1 as x"
    (small_project / "dbt_project" / "one.sql").write_text("select 2 as x")
    assert DbtModels(manifest(small_project)).node("one")["raw_code"] == "select 2 as x"


def test_two_who_ask_for_a_changed_manifest_parse_it_once(
    small_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[Sequence[str]] = []

    def run(args: Sequence[str], **options: Any) -> DbtResult:
        parsed.append(args)
        return run_dbt(args, **options)

    monkeypatch.setattr(manifests, "run_dbt", run)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(manifest, [small_project, small_project]))
    assert found[0]["nodes"] == found[1]["nodes"] != {}
    assert parsed == [["parse"]]


def test_what_dbt_refuses_is_told_in_its_words(small_project: Path) -> None:
    (small_project / "dbt_project" / "two.sql").write_text("select * from {{ ref('three') }}")
    with pytest.raises(LakehouseError, match="depends on a node named 'three' which was not found"):
        run_dbt(["parse"], project=small_project)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "02:10:55  7 of 13 OK created sql incremental model dev.flight_labels .......... [OK in 30.05s]",
            "7 of 13 OK created sql incremental model dev.flight_labels [OK in 30.05s]",
        ),
        (
            "02:10:58  27 of 27 OK created sql incremental model rebuild_74b92886.flight_training_set  "
            "[OK in 9.81s]\n",
            "27 of 27 OK created sql incremental model rebuild_74b92886.flight_training_set [OK in 9.81s]",
        ),
        (
            "02:08:08  2 of 4 ERROR creating model a.b . [ERROR in 1.2s]",
            "2 of 4 ERROR creating model a.b [ERROR in 1.2s]",
        ),
        ("02:10:26  9 of 13 START test not_null_flight_training_set_flight_id ....... [RUN]", None),
        ("02:10:58  Completed successfully", None),
    ],
)
def test_a_node_that_is_done_is_told_however_long_its_name_is(line: str, said: str | None) -> None:
    assert node_done(line) == said
