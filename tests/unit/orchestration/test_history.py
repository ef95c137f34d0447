"""Old runs go, but for those that say how the graph stands."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from orchestration.history import prune

LATER = datetime.now(UTC) + timedelta(days=100)
DAYS = dg.DailyPartitionsDefinition("2013-01-01", end_date="2013-01-04")


@dg.asset(partitions_def=DAYS)
def daily() -> None:
    """An asset by day."""


@dg.asset
def whole() -> None:
    """An asset without days."""


def made(instance: dg.DagsterInstance, asset: dg.AssetsDefinition, day: str | None = None) -> str:
    return dg.materialize([asset], instance=instance, partition_key=day).run_id


def test_old_runs_go_and_what_the_graph_shows_stays() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        old = [made(instance, daily, "2013-01-01"), made(instance, whole)]
        kept = [
            made(instance, daily, "2013-01-02"),
            made(instance, daily, "2013-01-01"),
            made(instance, whole),
        ]
        assert prune(instance, 90) == 0, "nothing is old yet"
        assert prune(instance, 90, LATER) == len(old)
        assert {run.run_id for run in instance.get_runs()} == set(kept)
        assert instance.get_materialized_partitions(dg.AssetKey("daily")) == {"2013-01-01", "2013-01-02"}
        assert prune(instance, 90, LATER) == 0


def test_the_files_of_runs_that_went_go_with_them(tmp_path: Path) -> None:
    def run_files() -> set[str]:
        runs = {path.name.partition(".db")[0] for path in (tmp_path / "history" / "runs").glob("*-*.db*")}
        return runs | {path.name for path in (tmp_path / "storage").glob("*-*")}

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        old, kept = made(instance, whole), made(instance, whole)
        # One that was killed between a run's rows and its files.
        half = made(instance, whole)
        newest = made(instance, whole)
        instance.delete_run(half)
        assert {old, kept, half, newest} <= run_files()

        assert prune(instance, 90) == 0
        assert {old, kept, half, newest} <= run_files(), "nothing is old yet"
        assert prune(instance, 90, LATER) == 2
        assert run_files() == {newest}


def test_what_belongs_to_no_run_goes_but_for_the_newest(tmp_path: Path) -> None:
    key = dg.AssetKey("landing")

    def observed() -> list[str]:
        found = instance.fetch_observations(key, limit=100).records
        return sorted(
            str(record.asset_observation.metadata["seen"].value)
            for record in found
            if record.asset_observation
        )

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        for seen, day in (
            ("old", None),
            ("older day", "2013-01-01"),
            ("newest", None),
            ("day", "2013-01-01"),
        ):
            instance.report_runless_asset_event(
                dg.AssetObservation(key, partition=day, metadata={"seen": seen})
            )
        instance.report_runless_asset_event(dg.AssetMaterialization(key))
        for passed in (False, False, True):
            instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(asset_key=key, check_name="accepted", passed=passed)
            )
        prune(instance, 90)
        assert observed() == ["day", "newest", "old", "older day"], "nothing is old yet"
        prune(instance, 90, LATER)
        assert observed() == ["day", "newest"]
        assert instance.get_latest_materialization_event(key) is not None
        assert len(instance.all_logs("")) == 3
        (result,) = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(key, "accepted"), limit=10
        )
        assert result.event is not None and result.status.value == "SUCCEEDED"
