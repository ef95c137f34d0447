"""Specs, column roles, splits, and what dbt says."""

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from lakehouse.dbt.manifest import DbtModels
from lakehouse.errors import LakehouseError
from ml.data.columns import columns_from_roles, columns_of
from ml.data.training_set import split, start_of_day
from ml.provenance.differences import Difference, compare_content
from ml.provenance.manifest import Content
from ml.spec import SPECS_DIR, load_spec

ROLES = {
    "id": "entity",
    "at": "event_time",
    "day": "partition",
    "b": "numeric",
    "a": "numeric",
    "c": "categorical",
}


def test_features_are_ordered_by_name() -> None:
    assert columns_from_roles("m", ROLES).features == ("a", "b", "c")


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        (ROLES | {"x": "numerical"}, "unknown roles"),
        (ROLES | {"y": "label", "z": "label"}, "y, z all have the role label"),
        (
            {name: role for name, role in ROLES.items() if role != "event_time"},
            "no column has the role event_time",
        ),
        (
            {name: role for name, role in ROLES.items() if role != "entity"},
            "entity or feature columns are missing",
        ),
    ],
)
def test_roles_that_do_not_fit_together_are_refused(roles: dict[str, str], message: str) -> None:
    with pytest.raises(LakehouseError, match=message):
        columns_from_roles("m", roles)


def test_the_last_whole_month_validates_and_later_days_are_left_out() -> None:
    days = [date(2013, 8, 30) + timedelta(days=offset) for offset in range(40)]
    parts = split(pa.array(days), date(2013, 10, 5))
    assert [day for day, used in zip(days, parts.train, strict=True) if used] == days[:2]
    validation = [day for day, used in zip(days, parts.validation, strict=True) if used]
    assert (validation[0], validation[-1]) == (date(2013, 9, 1), date(2013, 9, 30))


def test_a_local_day_begins_at_its_own_midnight() -> None:
    assert start_of_day(date(2013, 12, 1), "America/New_York").hour == 5
    assert start_of_day(date(2013, 7, 1), "America/New_York").hour == 4


def spec_file(folder: Path, **changes: object) -> Path:
    spec = yaml.safe_load((SPECS_DIR / "arrival_delay.yml").read_text())
    (folder / "arrival_delay.yml").write_text(yaml.safe_dump(spec | changes))
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time_zone": "Mars/Olympus"}, "time_zone: .*no time zone 'Mars/Olympus'"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"name": "other"}, "says name: other"),
        ({"predictions_table": "no_schema"}, "predictions_table"),
        ({"training": {"epochs": 0}}, r"training\.epochs"),
    ],
)
def test_a_wrong_spec_is_refused_by_field(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(LakehouseError, match=message):
        load_spec("arrival_delay", spec_file(tmp_path, **changes))


def test_an_unknown_spec_names_the_known_ones() -> None:
    with pytest.raises(LakehouseError, match="known: arrival_delay"):
        load_spec("nonsense")


MANIFEST = {
    "sources": {"source.p.bronze.flights": {"schema": "bronze", "identifier": "flight_schedule"}},
    "nodes": {
        "model.p.stg": {
            "resource_type": "model", "name": "stg", "schema": "staging", "alias": "stg", "columns": {},
            "config": {"materialized": "view"}, "depends_on": {"nodes": ["source.p.bronze.flights"]},
        },
        "seed.p.zones": {
            "resource_type": "seed", "name": "zones", "schema": "staging", "alias": "zones", "columns": {},
            "config": {"materialized": "seed"}, "depends_on": {},
        },
        "model.p.feat": {
            "resource_type": "model", "name": "feat", "schema": "features", "alias": "feat", "columns": {},
            "config": {"materialized": "incremental"},
            "depends_on": {"nodes": ["model.p.stg", "seed.p.zones"]},
        },
        "model.p.set": {
            "resource_type": "model", "name": "set", "schema": "training", "alias": "set",
            "columns": {
                name: {"meta": {}, "config": {"meta": {"role": role}}} for name, role in ROLES.items()
            } | {"unused": {"meta": {}}},
            "config": {"materialized": "incremental"}, "depends_on": {"nodes": ["model.p.feat"]},
        },
    },
}  # fmt: skip


def test_upstream_tables_reach_down_to_bronze_through_views() -> None:
    models = DbtModels(MANIFEST)
    assert models.upstream("set") == ["bronze.flight_schedule", "features.feat"]
    assert models.table("set") == "training.set"
    assert columns_of(models, "set").entity == ("id",)
    with pytest.raises(LakehouseError, match="dbt has no model nonsense"):
        models.table("nonsense")


def test_differences_are_named_by_column() -> None:
    logged = Content(
        hash_version=1, row_count=3, rows="r", columns={"a": "1", "b": "2", "c": "3"}, key=("a",)
    )
    found = Content(hash_version=1, row_count=4, rows="s", columns={"a": "1", "b": "9", "d": "4"}, key=("a",))
    assert compare_content(logged, logged) == ()
    assert compare_content(logged, found) == (
        Difference("row count", "", "3", "4"),
        Difference("rows", "", "r", "s"),
        Difference("column", "b", "2", "9"),
        Difference("column missing", "c", "3", ""),
        Difference("column added", "d", "", "4"),
    )
