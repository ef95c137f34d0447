"""dbt as a resource: what Dagster must not miss of a build, and what its process is told."""

import os

import dagster as dg
import pytest

from orchestration.resources import _in_environment, _require_all_told, lost_to_another_writer

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


@pytest.mark.parametrize(
    ("messages", "again"),
    [
        (["[DELTA_CONCURRENT_APPEND.WITHOUT_HINT] Transaction conflict detected"], True),
        (["[DELTA_METADATA_CHANGED] MetadataChangedException", "[DELTA_CONCURRENT_DELETE_READ]"], True),
        (["[DELTA_CONCURRENT_APPEND]", "[UNRESOLVED_COLUMN] A column cannot be resolved"], False),
        (["Got 3 results, configured to fail if != 0"], False),
        ([None], False),
        ([], False),
    ],
)
def test_only_a_build_that_lost_to_another_writer_is_done_again(
    messages: list[str | None], again: bool
) -> None:
    failed = [{"unique_id": "model.a", "status": "error", "message": message} for message in messages]
    rest = [
        {"unique_id": "model.b", "status": "success", "message": "OK"},
        {"unique_id": "model.c", "status": "skipped", "message": "Depends on DELTA_CONCURRENT_APPEND"},
    ]
    assert lost_to_another_writer({"results": [*failed, *rest]}) is again
