"""What is expected of feature tables and training sets, as dbt's YAML says it: none has Python of its own.

Every model with a `gate` in its meta is checked. Its key is what its test `unique_combination` or `unique`
says, its day the config's `event_date`; a value is there where a constraint says `not_null`. No time of a row
that a feature was made from (`row_of`) is later than the column whose role is `event_time`. Beside `gate`
stand, each optional,

    rows_per_day     rows on one day, at most
    expected_rows    how many rows each day must have, by what stands upstream: `says`, and either `sql` (see
                     ExpectedRows) or what to count there: `from`, `day`, `where`, `least`, `most`. Of a
                     source only rows count that keep its row rules. Without it, a day may be empty
    row_rules        name → SQL condition that each row meets (NULL counts as broken)
    measures         name → {sql: an aggregate of a day's rows, at_least: …, at_most: …}
    label_share      of a training set: [low, high], how often the label is true, from 5,000 labels on

and in a column's meta `range: [low, high]`, either of them null for no bound, and `values: […]`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from expectations.row_rules import accepted_sql
from expectations.suite import (
    Expectation,
    ExpectedRows,
    Gate,
    Profile,
    Suite,
    at_least,
    at_most,
    between,
    day_column,
    not_null,
    one_of,
    unique,
)
from expectations.suites.bronze import superseded
from lakehouse.dbt.graph import Node, event_date, table_of
from lakehouse.dbt.inherited_columns import KEY as COLUMNS_FROM
from lakehouse.dbt.manifest import DbtModels, current_models, meta_of, roles_of, times_of_rows
from lakehouse.errors import LakehouseError

# Below so many labels their share says little: single days go from almost none to almost all.
_LABELS = 5000
_LABEL_ROLES = ("label", "label_time", "label_end")
_ROW_ROLES = ("entity", "event_time", "partition")


def suites(gate: Gate) -> tuple[Suite, ...]:
    """A suite for each model of a gate; one that reads others of the gate comes after them.

    Raises:
        LakehouseError: a model has no key, or a training set lacks a role.
    """
    models = current_models()
    gated = [node for node in models if meta_of(node).get("gate") == gate]
    depth = {table_of(node): len(models.upstream(node["name"])) for node in gated}
    return tuple(_suite(gate, node, models) for node in sorted(gated, key=lambda node: depth[table_of(node)]))


def _suite(gate: Gate, node: Node, models: DbtModels) -> Suite:
    meta = meta_of(node)
    key = models.grain(node["name"])
    if not key:
        raise LakehouseError(
            f"{node['name']} has the gate {gate}, and no test says which columns name a row",
            f"add `unique` or `unique_combination` to {node['patch_path'] or 'its YAML'}",
        )
    labels = _label_columns(node) if gate == "training" else None
    entity = tuple(name for name, role in roles_of(node).items() if role == "entity") or key
    measures, of_measures = _measures(meta.get("measures", {}))
    daily = [*(at_most("row_count", most) for most in _listed(meta.get("rows_per_day"))), *of_measures]
    required = {*key, *(labels or ())[:2], *(entity if labels else ())}
    rules = {str(name): str(sql) for name, sql in meta.get("row_rules", {}).items()}
    whole = None
    if labels is not None:
        label, known_at, ends_at = labels
        asked_at = _column_of(node, "event_time")
        rules["label_known_after_prediction"] = f"{known_at} > {asked_at}"
        rules["label_superseded_later"] = f"{ends_at} is null or {ends_at} > {known_at}"
        measures["excess_labels"] = f"count_if({ends_at} is null) - count(distinct {', '.join(entity)})"
        daily.append(at_most("excess_labels", 0))
        share = {"label_share": f"if(count(*) >= {_LABELS}, avg(cast({label} as int)), null)"}
        whole = Profile(share, (between("label_share", *meta.get("label_share", (0, 1))),))
    return Suite(
        table=table_of(node),
        gate=gate,
        key=key,
        day=day_column(event_date(node)),
        rows=(*_of_columns(node, _checked_upstream(node, models), required), unique(*key)),
        rules=rules | _no_leak(node),
        daily=Profile(measures, tuple(daily)) if daily else None,
        whole=whole,
        expected_rows=_expected(meta, f"count(distinct {', '.join(entity)})" if labels else "count(*)"),
        may_be_empty="expected_rows" not in meta,
    )


def _checked_upstream(node: Node, models: DbtModels) -> set[str]:
    """Columns as another gated model has them (`columns_from`), but for those that name the rows."""
    said = meta_of(node).get(COLUMNS_FROM)
    if said is None:
        return set()
    other = models.node(str(said["model"] if isinstance(said, Mapping) else said))
    if "gate" not in meta_of(other):
        return set()
    roles, own = roles_of(other), node["columns"]
    return {
        name
        for name, column in other["columns"].items()
        if own.get(name) == column and roles.get(name) not in _ROW_ROLES
    }


def _of_columns(node: Node, left_out: set[str], required: Iterable[str]) -> Iterable[Expectation]:
    for name, column in node["columns"].items():
        if name in left_out:
            continue
        if name in required or any(each["type"] == "not_null" for each in column["constraints"]):
            yield from not_null(name)
        meta = meta_of(column)
        if "range" in meta:
            yield _in_range(f"{node['name']}.{name}", name, meta["range"])
        if "values" in meta:
            yield one_of(name, meta["values"])


def _in_range(where: str, name: str, declared: Any) -> Expectation:
    match declared:
        case [int() | float() as low, int() | float() as high]:
            return between(name, low, high)
        case [int() | float() as low, None]:
            return at_least(name, low)
        case [None, int() | float() as high]:
            return at_most(name, high)
        case _:
            raise LakehouseError(
                f"{where}: range {declared!r} bounds nothing", "write [low, high]; null leaves one side open"
            )


def _no_leak(node: Node) -> dict[str, str]:
    times = times_of_rows(node)
    asked_at = _column_of(node, "event_time") if times else ""
    return {f"{time}_before_prediction": f"{time} is null or {time} <= {asked_at}" for time in times}


def _label_columns(node: Node) -> tuple[str, ...]:
    return tuple(_column_of(node, role) for role in _LABEL_ROLES)


def _column_of(node: Node, role: str) -> str:
    found = [name for name, each in roles_of(node).items() if each == role]
    if not found:
        raise LakehouseError(
            f"{node['name']}: no column has the role {role}",
            f"give it in {node['patch_path'] or 'a YAML'}: config: {{meta: {{role: {role}}}}}",
        )
    return found[0]


def _measures(declared: Mapping[str, Any]) -> tuple[dict[str, str], list[Expectation]]:
    bounds = {"at_least": at_least, "at_most": at_most}
    expected = [
        make(name, measure[bound])
        for name, measure in declared.items()
        for bound, make in bounds.items()
        if bound in measure
    ]
    return {name: str(measure["sql"]) for name, measure in declared.items()}, expected


def _expected(meta: Mapping[str, Any], rows: str) -> ExpectedRows | None:
    declared = meta.get("expected_rows")
    if declared is None:
        return None
    says = str(declared["says"])
    if "sql" in declared:
        return ExpectedRows(str(declared["sql"]), says, rows)
    upstream = str(declared["from"])
    conditions = [*_listed(declared.get("where")), *accepted_sql(upstream)]
    schema, _, source = upstream.partition(".")
    if schema == "bronze":
        conditions.append(f"_batch_id not in ({superseded(source, '{bronze.deliveries}')})")
    where = " and ".join(f"({each})" for each in conditions) or "true"
    sql = f"""
    select
        {declared["day"]} as day,
        {declared.get("least", "null")} as least_rows,
        {declared.get("most", "null")} as most_rows
    from {{{upstream}}}
    where {where}
    group by 1
    """
    return ExpectedRows(sql, says, rows)


def _listed(value: Any) -> list[Any]:
    return [] if value is None else [value]
