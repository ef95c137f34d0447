"""The job that reproduces a run: its report is the run's metadata, and a difference fails it."""

from typing import Any

import dagster as dg
import pytest

from lakehouse.delta.table import location
from ml.reproduction.retrain import SAME
from ml.tracking.runs import artifact
from orchestration.reproduction import compare_job, reproduce_job
from tests.integration.ml.conftest import Platform, build_platform, train_platform


@pytest.fixture
def own(spark, schema) -> Platform:
    return build_platform(spark, schema)


def _reproduce(instance: dg.DagsterInstance, run_id: str, **options: bool) -> dg.ExecuteInProcessResult:
    config: dict[str, Any] = {"run_id": run_id, **options}
    return reproduce_job.execute_in_process(
        run_config={"ops": {"reproduce_run": {"config": config}}}, instance=instance, raise_on_error=False
    )


def _metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    assert result.success
    (output,) = result.filter_events(lambda event: event.is_successful_output)
    return dict(output.step_output_data.metadata)


def test_two_runs_are_compared_in_figures_and_as_a_picture(own: Platform) -> None:
    first = train_platform(own)
    own.spark.sql(f"update {own.training} set wind_mph = 1.5 where flight_id in ('f0003', 'f0004')")
    own.publish(own.training)
    second = train_platform(own)
    config = {"run_a": first.run_id, "run_b": second.run_id}
    with dg.DagsterInstance.ephemeral() as instance:
        result = compare_job.execute_in_process(
            run_config={"ops": {"compare_two_runs": {"config": config}}}, instance=instance
        )
    shown = _metadata(result)
    assert [shown[name].value for name in ("rows_first", "changed", "added")] == [62 * 8, 2, 0]
    assert [record.data for record in shown["changed_columns"].records] == [
        {"column": "wind_mph", "rows": "2", "for example": "f0003, f0004"}
    ]
    assert shown["picture"].value.startswith("![](data:image/png;base64,")
    assert artifact(second.run_id, f"plots/diff_from_{first.run_id[:8]}.png").stat().st_size > 5000


def test_the_report_is_metadata_and_a_difference_fails_the_run(own: Platform) -> None:
    run = train_platform(own)
    with dg.DagsterInstance.ephemeral() as instance:
        result = _reproduce(instance, run.run_id, retrain=True)
        metadata = _metadata(result)
        assert metadata["result"].value == "identical"
        assert metadata["trained_by"].value == SAME
        assert metadata["content_hash"].value == run.manifest.content.rows

        next(location(own.spark, own.training).glob("part-*.parquet")).unlink()
        failed = _reproduce(instance, run.run_id)
        assert not failed.success
        (event,) = [event for event in failed.all_events if event.is_step_failure]
        failure = event.step_failure_data.user_failure_data
        assert f"file {own.training}" in failure.description
        assert [record.data["what"] for record in failure.metadata["differences"].records] == ["file"]
