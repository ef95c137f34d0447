"""One run for a range, and what it leaves in Dagster's history; a graph of two assets, no engine needed."""

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from lakehouse.errors import LakehouseError
from orchestration import LOCATION
from orchestration.instance import open_instance
from orchestration.partitions import DAYS, ONE_RUN, days_of
from orchestration.progress import progress_logger
from orchestration.run import materialize

JANUARY = (date(2013, 1, 1), date(2013, 1, 31))


def two_assets(name: str, fail: bool = False) -> dg.Definitions:
    @dg.asset(key=[name, "table"], partitions_def=DAYS, backfill_policy=ONE_RUN)
    def table(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        if fail:
            raise LakehouseError("table t of batch b is broken", "deliver it again")
        return dg.MaterializeResult(metadata={"days": str(days_of(context))})

    @dg.asset(key=[name, "model"], deps=[table])
    def model() -> None: ...

    return dg.Definitions(
        [table, model], loggers={"console": progress_logger}, executor=dg.in_process_executor
    )


def test_a_range_is_one_run_with_every_partition(warehouse: Path) -> None:
    summary = materialize("*", JANUARY, definitions=two_assets("range"))
    assert summary.materialized == {"range/table": 31, "range/model": 1}
    assert [step.name for step in summary.steps] == ["range/table", "range/model"]
    with open_instance() as instance:
        made = instance.get_materialized_partitions(dg.AssetKey(["range", "table"]))
        assert made == {f"2013-01-{day:02}" for day in range(1, 32)}
        run = instance.get_run_by_id(summary.run_id)
        assert run is not None and run.is_success
        # Without an origin the run is on no timeline of the UI.
        assert run.remote_job_origin is not None
        assert run.remote_job_origin.location_name == LOCATION
        assert run.tags[".dagster/repository"] == f"__repository__@{LOCATION}"


def test_a_failed_step_is_named_with_what_it_said(warehouse: Path) -> None:
    with pytest.raises(LakehouseError) as raised:
        materialize("*", JANUARY, definitions=two_assets("failing", fail=True))
    assert raised.value.what == "step failing/table failed: table t of batch b is broken"
    assert raised.value.hint.startswith("deliver it again")


@pytest.mark.parametrize(
    ("selection", "days", "said"),
    [
        ("group:nothing", JANUARY, "no asset that can be materialized"),
        ("group:(", JANUARY, "not understood"),
        ("*", None, "no day was given"),
        ("*", (date(2012, 12, 31), date(2013, 1, 1)), "2012-12-31 is not a day of the graph"),
        ("*", (date(2013, 2, 1), date(2013, 1, 1)), "is after"),
    ],
)
def test_a_bad_request_is_refused_before_anything_runs(
    warehouse: Path, selection: str, days: tuple[date, date] | None, said: str
) -> None:
    with pytest.raises(LakehouseError, match=said):
        materialize(selection, days, definitions=two_assets("refused"))
