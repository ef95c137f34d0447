"""What a run prints, and what it leaves out."""

import dagster as dg
import pytest

from orchestration.progress import progress_logger


@dg.multi_asset(specs=[dg.AssetSpec("a"), dg.AssetSpec("b")], name="bronze")
def bronze():
    raise dg.Failure("no files")


@dg.asset(deps=["a", "b"])
def gate(): ...


@dg.asset(deps=["gate"])
def model(): ...


CHECK = dg.AssetCheckSpec("suite", asset="table")


@dg.multi_asset(
    specs=[dg.AssetSpec("checked")], check_specs=[CHECK], can_subset=True, allow_arbitrary_check_specs=True
)
def looking():
    yield dg.AssetCheckResult(asset_key="table", check_name="suite", passed=True)
    yield dg.MaterializeResult(asset_key="checked")


def printed(capsys: pytest.CaptureFixture[str], assets: list[dg.AssetsDefinition], *keys: str) -> list[str]:
    graph = dg.Definitions(
        assets, loggers={"console": progress_logger}, executor=dg.in_process_executor
    ).resolve_implicit_global_asset_job_def()
    graph.execute_in_process(
        asset_selection=[dg.AssetKey(key) for key in keys] or None,
        run_config={"loggers": {"console": {}}},
        raise_on_error=False,
    )
    lines = [line.strip() for line in capsys.readouterr().err.splitlines()]
    # Whether a step's start is printed is the instance's to say.
    return [line for line in lines if line[0] not in "…✓"]


def test_a_step_that_is_not_run_names_what_failed_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, [bronze, gate, model])
    assert lines == ["✗ bronze", "- gate (not run, as bronze failed)", "- model (not run)"]


def test_a_check_that_nobody_asked_for_is_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, [looking], "checked") == []
