"""The whole graph, compared with `graph.txt`: whoever changes it sees in the diff what they changed.

`python tests/unit/orchestration/test_graph.py` writes the file anew.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from expectations.suite import Gate
from expectations.suites import suites_of
from lakehouse.settings import PROJECT_ROOT
from ml.spec import load_spec, spec_names
from orchestration import LOCATION, MODULE
from orchestration.assets.gates import tables_of
from orchestration.gated_tests import left_to_gates, says

SNAPSHOT = Path(__file__).with_name("graph.txt")


def describe() -> str:
    """One block an asset: key, group, kinds, owners, whether daily, checks, and what it depends on."""
    from orchestration.definitions import defs

    graph = defs.resolve_asset_graph()
    blocks: list[str] = []
    for node in sorted(graph.asset_nodes, key=lambda node: (node.group_name, node.key)):
        daily = "daily" if node.is_partitioned else "whole"
        head = f"{node.key.to_user_string()}  [{node.group_name}] {' '.join(sorted(node.kinds))} · {daily}"
        lines = [head, f"    owners  {' '.join(sorted(node.owners))}"]
        lines += [f"    check   {key.name}" for key in sorted(node.check_keys)]
        lines += [f"    from    {key.to_user_string()}" for key in sorted(node.parent_keys)]
        blocks.append("\n".join(lines))
    return "\n".join(blocks) + "\n"


@pytest.fixture(scope="module")
def graph() -> AssetGraph:
    from orchestration.definitions import defs

    return defs.resolve_asset_graph()


def test_servers_can_load_the_whole_graph() -> None:
    """A webserver or a daemon loads all at once and refuses two things of one name; a run here does not."""
    from orchestration.definitions import defs

    defs.get_repository_def().load_all_definitions()


def test_the_graph_is_what_it_was() -> None:
    assert describe() == SNAPSHOT.read_text(encoding="utf-8")


def test_every_asset_says_what_it_is_and_who_answers_for_it(graph: AssetGraph) -> None:
    for node in graph.asset_nodes:
        assert node.description, node.key
        assert node.owners, node.key
        assert node.kinds, node.key
        assert node.group_name != "default", node.key


def test_every_model_seed_and_snapshot_of_dbt_is_in_one_definition(graph: AssetGraph) -> None:
    from lakehouse.dbt.manifest import manifest

    built = {
        node["unique_id"]: f"{node['schema']}/{node['alias']}"
        for node in manifest()["nodes"].values()
        if node["resource_type"] in ("model", "seed", "snapshot")
        and node["config"]["materialized"] != "ephemeral"
    }
    keys = {node.key.to_user_string() for node in graph.asset_nodes if node.is_materializable}
    assert set(built.values()) <= keys


def test_every_dbt_test_is_a_check(graph: AssetGraph) -> None:
    from lakehouse.dbt.manifest import manifest

    tests = {
        node["name"]
        for node in manifest()["nodes"].values()
        if node["resource_type"] == "test"
        # A test of what others write runs where that is checked: ingestion, and scoring.
        and not all(parent.startswith("source.") for parent in node["depends_on"]["nodes"])
        # Views and seeds as a whole are tested by `dbt build`; the gates look at the days that changed.
        and "every_row" not in node["tags"]
    } - set(left_to_gates(manifest()))
    checks = {key.name for key in graph.asset_check_keys}
    assert len(tests) >= 10
    assert tests <= checks


def test_what_a_gate_looks_at_is_not_tested_twice(graph: AssetGraph) -> None:
    from lakehouse.dbt.manifest import manifest

    left = left_to_gates(manifest())
    assert "unique_flight_features_flight_id" in left
    assert "unique_combination_flight_training_set_flight_id__label_known_at" in left
    assert "unique_int_flights_flight_id" not in left
    assert not set(left) & {key.name for key in graph.asset_check_keys}


def test_only_what_the_suite_claims_is_left_to_it() -> None:
    [suite] = [suite for suite in suites_of("features") if suite.table == "features.flight_features"]

    def node(
        name: str, severity: str = "ERROR", where: str | None = None, **arguments: object
    ) -> dict[str, Any]:
        return {
            "config": {"severity": severity, "where": where},
            "test_metadata": {"name": name, "kwargs": arguments},
        }

    assert says(suite, node("unique", column_name="flight_id"))
    assert not says(suite, node("unique", column_name="carrier_code"))
    assert not says(suite, node("unique", column_name="flight_id", severity="warn"))
    assert not says(suite, node("unique", column_name="flight_id", where="flight_date > '2013-01-01'"))
    assert says(suite, node("known_by", column_name="predict_at", times=["weather_known_at"]))
    assert not says(suite, node("known_by", column_name="predict_at", times=["weather_known_at", "label_at"]))
    assert says(suite, node("known_by", column_name="predict_at"), ["weather_known_at"])
    assert not says(suite, node("known_by", column_name="predict_at"), ["weather_known_at", "label_at"])
    assert not says(suite, node("known_by", column_name="predict_at"))
    assert not says(suite, node("accepted_values", column_name="origin_code", values=["EWR", "JFK", "LGA"]))


def test_nothing_reads_a_gated_table_across_its_gate(graph: AssetGraph) -> None:
    gates: tuple[Gate, ...] = ("features", "training")
    gated = {table.replace(".", "/") for gate in gates for table in tables_of(gate)}
    assert {"features/feat_aircraft_legs", "training/flight_training_set"} <= gated
    for node in graph.asset_nodes:
        if node.group_name in ("features", "gates", "published"):
            continue
        crossed = {key.to_user_string() for key in node.parent_keys} & gated
        assert not crossed, f"{node.key.to_user_string()} reads {crossed}"


@pytest.mark.parametrize("name", spec_names())
def test_every_spec_has_its_training_set_model_champion_and_scores(graph: AssetGraph, name: str) -> None:
    spec = load_spec(name)

    def parents(key: str) -> set[str]:
        found = graph.get(dg.AssetKey.from_user_string(key)).parent_keys
        return {parent.to_user_string() for parent in found}

    assert f"training/{spec.training_model}" in parents("gates/training")
    assert parents(f"models/{name}") == {f"published/{spec.training_model}"}
    assert parents(f"champions/{name}") == {f"models/{name}"}
    assert f"champions/{name}" in parents(spec.predictions_table.replace(".", "/"))


def test_a_days_run_scores_every_spec_and_trains_none() -> None:
    from orchestration.definitions import defs

    def of_job(name: str) -> set[str]:
        keys = defs.resolve_job_def(name).asset_layer.executable_asset_keys
        return {key.to_user_string() for key in keys if key.path[0] in ("models", "champions", "predictions")}

    names = spec_names()
    assert of_job("daily") == {load_spec(name).predictions_table.replace(".", "/") for name in names}
    models = {f"{kind}/{name}" for name in names for kind in ("models", "champions")}
    assert of_job("retrain") == models | of_job("daily")


def test_what_runs_by_itself_is_on_and_one_setting_turns_it_off() -> None:
    code = (
        "from orchestration.definitions import defs\n"
        "print(sorted((each.name, each.default_status.value) for each in defs.sensors))"
    )

    def statuses(automation: str) -> str:
        environment = {**os.environ, "LAKEHOUSE_AUTOMATION": automation}
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        ).stdout

    names = ("follow_models", "new_deliveries", "outside_sources", "retraining")
    off = statuses("false")
    assert [name for name in names if f"('{name}', 'STOPPED')" not in off] == []
    from orchestration.definitions import defs

    sensors = list(defs.sensors or ())
    # The others tell people and other tools what happened, and start no run.
    assert set(names) <= {sensor.name for sensor in sensors}
    assert {sensor.name for sensor in sensors if sensor.has_jobs} <= set(names)
    assert all(sensor.default_status is dg.DefaultSensorStatus.RUNNING for sensor in sensors)


if __name__ == "__main__":
    SNAPSHOT.write_text(describe(), encoding="utf-8")


def test_the_ui_loads_what_the_command_line_runs() -> None:
    declared = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["dagster"]
    assert declared == {"module_name": MODULE, "code_location_name": LOCATION}
