"""What is tried again: what may pass by itself, and nothing that a person has to mend."""

import pytest
from dagster_dbt.errors import DagsterDbtCliRuntimeError
from pyspark.errors import AnalysisException, PySparkException

from lakehouse.errors import LakehouseError
from orchestration import retries
from orchestration.retries import may_pass


class ConflictError(PySparkException):
    def getCondition(self) -> str:  # noqa: N802 - Spark's
        return "DELTA_CONCURRENT_APPEND"


CASES = [
    (LakehouseError("gate bronze failed"), False, False),
    (AnalysisException("there is no such column"), False, True),
    (DagsterDbtCliRuntimeError("dbt failed"), False, True),
    (ConflictError("another came first"), True, True),
    (ValueError("a bug"), False, False),
]


@pytest.mark.parametrize(("error", "while_it_runs", "when_it_died"), CASES)
def test_what_may_pass(
    error: Exception, while_it_runs: bool, when_it_died: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "is_gone", lambda: False)
    assert may_pass(error) == while_it_runs
    monkeypatch.setattr(retries, "is_gone", lambda: True)
    assert may_pass(error) == when_it_died
