"""What is expected of training sets, made from what dbt's YAML says of each: none has Python of its own.

Every model with `meta: {gate: training}` is checked. Its columns' roles say which are keys, times and label;
its test `known_by`, which times no feature may be later than; and beside `gate` in its meta stand

    rows_per_day     at most so many rows on one day
    label_share      [low, high]: how often the label is true, from 5,000 labels on
    expected_rows    {sql, says}: how many entities each day must have, by what stands upstream (ExpectedRows)
    row_rules        name → SQL condition that each row meets (NULL counts as broken)
"""

from collections.abc import Mapping
from typing import Any

from expectations.suite import ExpectedRows, Profile, Suite, at_most, between, day_column, not_null, unique
from lakehouse.dbt.manifest import current_models
from lakehouse.errors import LakehouseError

# Below so many labels their share says little: single days go from almost none to almost all.
_LABELS = 5000
_ROLES = ("partition", "event_time", "label", "label_time", "label_end")


def suites() -> tuple[Suite, ...]:
    """A suite for each training set, by name."""
    models = current_models()
    gated = [node for node in models if node["config"]["meta"].get("gate") == "training"]
    return tuple(_suite(node, models.roles(node["name"])) for node in gated)


def _suite(node: Mapping[str, Any], roles: Mapping[str, str]) -> Suite:
    meta = node["config"]["meta"]
    entity = tuple(column for column, role in roles.items() if role == "entity")
    named = {role: column for column, role in roles.items()}
    missing = [role for role in _ROLES if role not in named]
    if missing or not entity:
        raise LakehouseError(
            f"training set {node['name']}: no column has the role {', '.join(missing) or 'entity'}",
            f"give it in {node['patch_path'] or 'a YAML'}: config: {{meta: {{role: …}}}}",
        )
    day, asked_at, label, known_at, ends_at = (named[role] for role in _ROLES)
    most_rows = [meta["rows_per_day"]] if "rows_per_day" in meta else []
    low, high = meta.get("label_share", (0, 1))
    return Suite(
        table=f"{node['schema']}.{node['alias']}",
        gate="training",
        key=(*entity, known_at),
        day=day_column(day),
        rows=(*not_null(*entity, day, asked_at, label, known_at), unique(*entity, known_at)),
        rules={
            **{str(name): str(sql) for name, sql in meta.get("row_rules", {}).items()},
            "label_known_after_prediction": f"{known_at} > {asked_at}",
            "label_superseded_later": f"{ends_at} is null or {ends_at} > {known_at}",
            **{
                f"{time}_before_prediction": f"{time} is null or {time} <= {asked_at}"
                for time in feature_times(node["unique_id"])
            },
        },
        daily=Profile(
            {"excess_labels": f"count_if({ends_at} is null) - count(distinct {', '.join(entity)})"},
            (*(at_most("row_count", each) for each in most_rows), at_most("excess_labels", 0)),
        ),
        expected_rows=_expected(meta, entity),
        may_be_empty="expected_rows" not in meta,
        whole=Profile(
            {"label_share": f"if(count(*) >= {_LABELS}, avg(cast({label} as int)), null)"},
            (between("label_share", low, high),),
        ),
    )


def _expected(meta: Mapping[str, Any], entity: tuple[str, ...]) -> ExpectedRows | None:
    declared = meta.get("expected_rows")
    if declared is None:
        return None
    return ExpectedRows(str(declared["sql"]), str(declared["says"]), f"count(distinct {', '.join(entity)})")


def feature_times(model: str) -> list[str]:
    """The columns that a model's test `known_by` compares with the time of the prediction.

    Args:
        model: dbt's unique id of it.
    """
    return [
        str(time)
        for test in current_models().manifest["nodes"].values()
        if test.get("attached_node") == model and test.get("test_metadata", {}).get("name") == "known_by"
        for time in test["test_metadata"]["kwargs"]["times"]
    ]
