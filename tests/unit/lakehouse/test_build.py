"""What macros are told of a build: versions, conditions and previews, without an engine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lakehouse.dbt.build import Asked, Build, asked_days
from lakehouse.dbt.graph import Graph
from lakehouse.dbt.reads import NotBuiltYetError, Options, Reads
from lakehouse.dbt.snapshot import Snapshot
from lakehouse.delta.table import TableVersion
from lakehouse.errors import LakehouseError

FLIGHTS, WEATHER, FEATURES, TRAINING = (
    "intermediate.flights",
    "bronze.weather",
    "features.feat",
    "training.set",
)


def model(name: str, schema: str, **config: Any) -> dict[str, Any]:
    return {
        "unique_id": f"model.p.{name}", "resource_type": "model", "name": name, "alias": name,
        "schema": schema,
        "raw_code": f"select * from {name}", "package_name": "p", "depends_on": {"nodes": [], "macros": []},
        "config": {"materialized": "incremental", "incremental_strategy": "replace_where", **config},
    }  # fmt: skip


NODES = [
    model("flights", "intermediate", event_date="flight_date", inputs=[{"source": "weather", "day": "d"}]),
    model(
        "feat",
        "features",
        event_date="as_of_date",
        meta={"gate": "features"},
        inputs=[
            {"model": "flights", "lookback": 2},
            {"source": "weather", "as": "stg_weather", "day": "to_date(at)", "time": "at", "lookback": 1},
        ],
    ),
    model("set", "training", event_date="day", meta={"gate": "training"}, inputs=[{"model": "feat"}]),
    model("stg_weather", "staging", materialized="view"),
]
GRAPH = {
    "nodes": {node["unique_id"]: node for node in NODES},
    "sources": {
        "source.p.bronze.weather": {
            "source_name": "bronze", "name": "weather", "schema": "bronze", "identifier": "weather",
        }
    },
}  # fmt: skip
BY_NAME = {node["name"]: node for node in NODES}


class Logs:
    """A database of logs: each table's commits, newest first."""

    def __init__(self, **tables: Sequence[Mapping[str, Any]]) -> None:
        self.tables = {name.replace("__", "."): commits for name, commits in tables.items()}

    def query(self, sql: str) -> Sequence[Mapping[str, Any]]:
        assert sql.startswith("describe history "), sql
        return self.tables[sql.split()[2]]

    def kind(self, table: str) -> str | None:
        return "table" if table in self.tables else None


def commit(version: int, metadata: str | None = None) -> dict[str, Any]:
    at = f"2025-01-01 00:00:0{version}.000000"
    return {"version": version, "timestamp": at, "operation": "WRITE", "userMetadata": metadata}


def note(days: str, **read: int) -> str:
    seen = ", ".join(
        f'"{name.replace("__", ".")}": {{"version": {version}, "at": "2025-01-01 00:00:0{version}.000000"}}'
        for name, version in read.items()
    )
    return f'{{"days": {days}, "read": {{{seen}}}, "frontier": null}}'


def build(logs: Logs, *, pins: bool = False, command: str = "build", **versions: int) -> Build:
    found = {
        name.replace("__", "."): TableVersion(name.replace("__", "."), "id", v)
        for name, v in versions.items()
    }
    checked: list[TableVersion] = []
    snapshot = Snapshot(found, found, checked.append)
    options = Options(pins, command == "build", "bronze", "UTC", Path("nowhere"))
    graph = Graph(GRAPH)
    reads = Reads(logs, graph, options, lambda: snapshot)
    return Build(logs, graph, reads, {}, options, Asked(command, empty=False, days=()))


NEW_DAY = '[["2013-03-02", "2013-03-02"]]'
LOGS = Logs(
    intermediate__flights=[commit(1, note(NEW_DAY)), commit(0, note('"all"'))],
    bronze__weather=[commit(0, '{"batches": []}')],
    features__feat=[commit(0, note('"all"', flights=0, bronze__weather=0))],
)


def test_an_input_is_read_for_the_days_that_are_computed_and_those_before_that_they_look_at() -> None:
    feat = BY_NAME["feat"]
    made = build(LOGS)
    assert made.in_days(feat, False, "as_of_date") == (
        "((as_of_date between date'2013-03-02' and date'2013-03-04'))"
    )
    assert made.days_of(feat, False, "flights", reads_back=2) == (
        "((flight_date between date'2013-02-28' and date'2013-03-04'))"
    )
    weather = made.days_of(feat, False, "stg_weather")
    assert weather.startswith("((to_date(at) between date'2013-03-01' and date'2013-03-04')) and ((at >= ")
    assert "timestamp'2013-02-27 00:00:00'" in weather and "timestamp'2013-03-07 00:00:00'" in weather
    assert made.plan(feat, False)["summary"] == "3 days, 2013-03-02 to 2013-03-04"


def test_a_full_refresh_reads_everything() -> None:
    made = build(LOGS)
    assert made.days_of(BY_NAME["feat"], True, "flights") == "true"
    assert made.plan(BY_NAME["feat"], True)["summary"] == "all days"


@pytest.mark.parametrize(
    ("ref", "back", "problem"),
    [
        ("flights", 3, "reads 3 days back in flights, but its input says 2"),
        ("other", 0, "not among its inputs"),
    ],
)
def test_sql_that_reads_more_than_is_declared_is_refused(ref: str, back: int, problem: str) -> None:
    with pytest.raises(LakehouseError, match=problem):
        build(LOGS).days_of(BY_NAME["feat"], False, ref, reads_back=back)


def test_production_reads_bronze_as_it_passed_and_other_gates_as_released() -> None:
    made = build(LOGS, pins=True, bronze__weather=7, features__feat=5)
    assert made.table("bronze", "weather", "features") == f"{WEATHER} version as of 7"
    assert made.table("features", "feat", "training") == f"{FEATURES} version as of 5"
    # Within its gate, and without one, as it was just built.
    assert made.table("features", "feat", "features") == f"{FEATURES} version as of 0"
    assert made.table("intermediate", "flights", "features") == f"{FLIGHTS} version as of 1"
    assert build(LOGS).table("bronze", "weather") == WEATHER


def test_what_never_passed_was_never_released_or_is_missing_is_refused_by_name() -> None:
    made = build(LOGS, pins=True)
    with pytest.raises(LakehouseError, match=r"bronze\.weather has not passed its gate"):
        made.table("bronze", "weather")
    with pytest.raises(LakehouseError, match=r"published\.feat does not exist yet"):
        made.table("features", "feat", "training")
    with pytest.raises(NotBuiltYetError, match=r"intermediate\.gone does not exist"):
        made.table("intermediate", "gone")
    # A command that only looks at SQL reads what there is.
    assert build(LOGS, pins=True, command="compile").table("bronze", "weather") == WEATHER


def test_a_preview_passes_days_on_and_shows_what_they_come_from() -> None:
    shown = {each["model"]: each for each in build(LOGS).preview(["model.p.feat", "model.p.set"], False)}
    assert shown["feat"]["ranges"] == [["2013-03-02", "2013-03-04"]]
    assert shown["feat"]["because"] == {"flights": 1}
    assert (shown["set"]["builds"], shown["set"]["everything"]) == ("create", True)
    assert shown["feat"]["sql_changed"] is False


def test_a_preview_shows_that_sql_changed() -> None:
    older = note('"all"', flights=1, bronze__weather=0).replace(
        '"frontier"', '"sql": "of before", "frontier"'
    )
    logs = Logs(**{name.replace(".", "__"): commits for name, commits in LOGS.tables.items()})
    logs.tables[FEATURES] = [commit(0, older)]
    (shown,) = build(logs).preview(["model.p.feat"], False)
    assert (shown["ranges"], shown["sql_changed"]) == ([], True)
    assert build(logs).plan(BY_NAME["feat"], False)["is_idle"] is True


@pytest.mark.parametrize(
    ("first", "last"), [("2013-01-01", None), (None, "2013-01-01"), ("2013-01-02", "2013-01-01"), ("x", "y")]
)
def test_half_a_range_of_days_is_refused(first: str | None, last: str | None) -> None:
    with pytest.raises(LakehouseError):
        asked_days(first, last)
