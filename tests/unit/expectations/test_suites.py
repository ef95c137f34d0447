"""The declared suites fit Great Expectations, the sources and the models they are about."""

from datetime import date
from typing import Any

import pytest

from expectations.row_rules import row_rules
from expectations.suite import (
    GATES,
    Expectation,
    Suite,
    day_column,
    day_ranges,
    delivery_day,
    local_day,
    within_days,
)
from expectations.suites import suites_of
from expectations.suites.models import _in_range, _suite
from lakehouse.dbt.manifest import DbtModels, manifest
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT

ALL = [suite for gate in GATES for suite in suites_of(gate)]


def _expectations(suite: Suite) -> list[Expectation]:
    profiles = [profile for profile in (suite.daily, suite.whole) if profile is not None]
    return [*suite.row_expectations, *(each for profile in profiles for each in profile.expectations)]


@pytest.mark.parametrize("suite", ALL, ids=lambda suite: suite.name)
def test_great_expectations_knows_each_expectation_and_its_arguments(suite: Suite) -> None:
    from great_expectations.core.expectation_suite import ExpectationSuite

    declared = [{"type": each.type, "kwargs": dict(each.kwargs)} for each in _expectations(suite)]
    assert len(ExpectationSuite(suite.name, expectations=declared).expectations) == len(declared) > 0


@pytest.mark.parametrize("suite", ALL, ids=lambda suite: suite.name)
def test_no_two_expectations_of_a_suite_say_the_same(suite: Suite) -> None:
    claims = [each.says for each in _expectations(suite)]
    assert sorted(set(claims)) == sorted(claims)


def test_every_source_and_every_feature_table_has_a_suite() -> None:
    sources = {f"bronze.{path.stem}" for path in (PROJECT_ROOT / "sources").glob("*.yml")}
    features = {
        f"features.{path.stem}" for path in (PROJECT_ROOT / "dbt_project/models/features").glob("*.sql")
    }
    assert {suite.table for suite in suites_of("bronze")} == sources
    assert {suite.table for suite in suites_of("features")} == features


def test_every_stored_feature_time_is_compared_with_the_prediction_time() -> None:
    sql = (PROJECT_ROOT / "dbt_project/models/features/flight_features.sql").read_text()
    final = sql.rpartition("\nselect\n")[2]
    times = {
        line.strip(" ,").rpartition(".")[2]
        for line in final.splitlines()
        if line.strip(" ,").endswith(("_known_at", "_as_of"))
    }
    (suite,) = (suite for suite in suites_of("features") if suite.table == "features.flight_features")
    assert times == {name.removesuffix("_before_prediction") for name in suite.rules} - {"two_hours_ahead"}


def test_the_suite_of_a_training_set_is_what_its_yaml_says() -> None:
    (suite,) = (suite for suite in suites_of("training") if suite.table == "training.flight_training_set")
    assert suite.key == ("flight_id", "label_known_at")
    assert suite.day is not None and suite.day.sql == "flight_date"
    assert suite.rules["delay_is_plausible"] == "arr_delay_minutes between -120 and 2880"
    assert suite.rules["label_known_after_prediction"] == "label_known_at > predict_at"
    (features,) = (suite for suite in suites_of("features") if suite.table == "features.flight_features")
    no_leak = {name: sql for name, sql in features.rules.items() if name.endswith("_before_prediction")}
    assert len(no_leak) == 17 and no_leak.items() <= suite.rules.items()
    claims = {each.says for each in _expectations(suite)}
    assert {
        "is_late_15 is there",
        "(flight_id, label_known_at) occurs once",
        "row_count is at most 2400",
        "label_share lies between 0.1 and 0.4",
        "flight_id is there",
        "predict_at is there",
    } <= claims
    # What flight_features was checked for is not checked again, but for keys, days and instants.
    checked_there = {each.says for each in _expectations(features)}
    assert {"temperature_f lies between -30 and 120", "carrier_code is there"} <= checked_there - claims


def test_every_model_gated_as_a_training_set_has_a_suite() -> None:
    gated = {
        f"{node['schema']}.{node['alias']}"
        for node in manifest()["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["meta"].get("gate") == "training"
    }
    assert {suite.table for suite in suites_of("training")} == gated != set()


def test_rules_of_bronze_are_those_of_dbts_yaml() -> None:
    (suite,) = (suite for suite in suites_of("bronze") if suite.table == "bronze.weather_observations")
    assert suite.rules == row_rules("bronze.weather_observations")
    assert "wind_speed_mph" in suite.rules["has_plausible_wind"]


def test_rules_of_an_undeclared_source_are_refused_by_name() -> None:
    with pytest.raises(LakehouseError, match=r"bronze\.trains"):
        row_rules("bronze.trains")


def test_a_row_keeps_all_rules_or_is_not_accepted() -> None:
    suite = Suite("s.t", "bronze", ("id",), rules={"a": "x > 0", "b": "y > 0"}, quarantines=True)
    assert suite.accepted == "coalesce(x > 0, false) and coalesce(y > 0, false)"
    assert suite.row_expectations == ()


def test_days_are_asked_for_as_ranges() -> None:
    days = [date(2013, 2, 28), date(2013, 3, 2), date(2013, 3, 1), date(2013, 3, 5), date(2013, 3, 5)]
    assert day_ranges(days) == [(date(2013, 2, 28), date(2013, 3, 2)), (date(2013, 3, 5), date(2013, 3, 5))]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (day_column("d"), "(d between date'2013-01-31' and date'2013-01-31' and "),
        (local_day("at", "UTC"), "(at >= timestamp'2013-01-30' and at < timestamp'2013-02-02' and "),
        (delivery_day("w"), "(_batch_id >= 'w_2013-01-31' and _batch_id < 'w_2013-02-01' and "),
    ],
    ids=["column", "local day", "delivery"],
)
def test_files_are_skipped_by_stored_columns(day, expected) -> None:
    condition = within_days(day, [date(2013, 1, 31)])
    assert condition.startswith(f"({expected}")
    assert condition.endswith(f"{day.sql} between date'2013-01-31' and date'2013-01-31'))")


def test_no_days_are_no_rows() -> None:
    assert within_days(day_column("d"), []) == "false"


def test_a_training_set_is_checked_itself_for_what_nobody_checked_before() -> None:
    def node(name: str, columns: dict[str, Any], **meta: Any) -> dict[str, Any]:
        declared = {
            column: {"name": column, "constraints": [], "config": {"meta": of_column}}
            for column, of_column in columns.items()
        }
        return {
            "name": name, "resource_type": "model", "schema": "s", "alias": name, "columns": declared,
            "config": {"meta": meta, "materialized": "incremental", "event_date": "day"},
            "patch_path": None, "depends_on": {"nodes": []},
        }  # fmt: skip

    features = {
        "id": {"role": "entity"}, "day": {"role": "partition"}, "at": {"role": "event_time"},
        "x": {"role": "numeric", "range": [0, 1]}, "y": {"role": "numeric", "range": [0, 1]},
    }  # fmt: skip
    labels = {"late": {"role": "label"}, "known": {"role": "label_time"}, "ends": {"role": "label_end"}}
    # Its own y is not the features' y.
    own = features | labels | {"y": {"role": "numeric", "range": [0, 2]}}
    test = {
        "resource_type": "test", "name": "u", "attached_node": "model.p.set",
        "test_metadata": {"name": "unique_combination", "kwargs": {"columns": ["id", "known"]}},
    }  # fmt: skip

    def claims(gate: dict[str, str]) -> set[str]:
        nodes = {
            "model.p.f": node("f", features, **gate),
            "model.p.set": node("set", own, gate="training", columns_from="f"),
            "test.p.u": test,
        }
        models = DbtModels({"nodes": nodes, "sources": {}})
        return {each.says for each in _suite("training", models.node("set"), models).row_expectations}

    gated, ungated = claims({"gate": "features"}), claims({})
    assert {"id is there", "late is there", "known is there", "y lies between 0 and 2"} <= gated
    assert ungated - gated == {"x lies between 0 and 1"}


@pytest.mark.parametrize("declared", [[None, None], [1], 5, ["a", "b"]])
def test_a_range_that_bounds_nothing_is_refused(declared: Any) -> None:
    with pytest.raises(LakehouseError, match=r"f\.x: range .* bounds nothing"):
        _in_range("f.x", "x", declared)


def test_a_range_may_be_open_on_one_side() -> None:
    assert _in_range("f.x", "x", [0, None]).says == "x is at least 0"
    assert _in_range("f.x", "x", [None, 1.5]).says == "x is at most 1.5"
