"""dbt as a resource: what Dagster must not miss of a build, and what its process is told."""

import os

import dagster as dg
import pytest

from orchestration.resources import _in_environment, _require_all_told

RESULTS = {
    "results": [
        {"unique_id": "operation.lakehouse.on-run-start-0"},
        {"unique_id": "model.lakehouse.stg_airlines"},
        {"unique_id": "test.lakehouse.unique_stg_airlines"},
    ]
}


def test_a_node_without_an_event_fails_the_step_by_name() -> None:
    _require_all_told(RESULTS, {"model.lakehouse.stg_airlines", "test.lakehouse.unique_stg_airlines"})
    with pytest.raises(dg.Failure, match=r"1 nodes .*test\.lakehouse\.unique_stg_airlines"):
        _require_all_told(RESULTS, {"model.lakehouse.stg_airlines"})


def test_variables_are_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_ONE", "2013-01-01")
    monkeypatch.delenv("LAKEHOUSE_OTHER", raising=False)
    with _in_environment({"LAKEHOUSE_ONE": "2013-02-02", "LAKEHOUSE_OTHER": "2013-02-03"}):
        assert os.environ["LAKEHOUSE_OTHER"] == "2013-02-03"
    assert os.environ["LAKEHOUSE_ONE"] == "2013-01-01"
    assert "LAKEHOUSE_OTHER" not in os.environ
