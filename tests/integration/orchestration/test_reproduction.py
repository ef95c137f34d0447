"""The job that reproduces a run: its report is the run's metadata, and a difference fails it."""

from typing import Any

import dagster as dg
import pytest

from lakehouse.delta.table import location
from orchestration.reproduction import reproduce_job
from tests.integration.ml.conftest import Platform, build_platform, train_platform


@pytest.fixture
def own(spark, schema) -> Platform:
    return build_platform(spark, schema)


def _reproduce(instance: dg.DagsterInstance, run_id: str, **options: bool) -> dg.ExecuteInProcessResult:
    config: dict[str, Any] = {"run_id": run_id, **options}
    return reproduce_job.execute_in_process(
        run_config={"ops": {"reproduce_run": {"config": config}}}, instance=instance, raise_on_error=False
    )


def test_the_report_is_metadata_and_a_difference_fails_the_run(own: Platform) -> None:
    run = train_platform(own)
    with dg.DagsterInstance.ephemeral() as instance:
        result = _reproduce(instance, run.run_id, retrain=True)
        assert result.success
        (output,) = result.filter_events(lambda event: event.is_step_success or event.is_successful_output)[
            :1
        ]
        metadata = output.step_output_data.metadata
        assert metadata["result"].value == "identical"
        assert metadata["content_hash"].value == run.manifest.content.rows

        next(location(own.spark, own.training).glob("part-*.parquet")).unlink()
        failed = _reproduce(instance, run.run_id)
        assert not failed.success
        (event,) = [event for event in failed.all_events if event.is_step_failure]
        failure = event.step_failure_data.user_failure_data
        assert f"file {own.training}" in failure.description
        assert [record.data["what"] for record in failure.metadata["differences"].records] == ["file"]
