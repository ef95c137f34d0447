"""The lineage of a run is the graph that Dagster shows, with the versions that the run made and read."""

import json
from pathlib import Path

import dagster as dg
import pytest

from orchestration.definitions import defs
from orchestration.lineage import job_runs


def test_a_runs_lineage_is_the_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Where no table was built yet, no note of a commit says what was read.
    monkeypatch.setenv("LAKEHOUSE_WAREHOUSE", str(tmp_path / "warehouse"))
    graph = defs.resolve_asset_graph()
    nodes = {node.key.to_user_string(): node for node in graph.asset_nodes if node.is_materializable}
    versions = {key: number for number, key in enumerate(sorted(nodes))}

    @dg.op
    def all_of_it(context: dg.OpExecutionContext) -> None:
        for key, version in versions.items():
            metadata = {"delta_version": version}
            context.log_event(dg.AssetMaterialization(dg.AssetKey.from_user_string(key), metadata=metadata))

    @dg.job
    def run() -> None:
        all_of_it()

    with dg.DagsterInstance.ephemeral() as instance:
        done = run.execute_in_process(instance=instance)
        found = {each.job: each for each in job_runs(instance, done.run_id)}

    assert set(found) == set(nodes)
    read = {key: {each.name.replace(".", "/") for each in job.inputs} for key, job in found.items()}
    assert read == {
        key: {parent.to_user_string() for parent in node.parent_keys if parent.path[0] != "gates"}
        for key, node in nodes.items()
    }
    (output,) = found["marts/feature_drift_daily"].outputs
    assert (output.name, output.version) == (
        "marts.feature_drift_daily",
        versions["marts/feature_drift_daily"],
    )
    scores = {each.name: each.version for each in found["marts/feature_drift_daily"].inputs}
    assert scores["predictions.arrival_delay"] == versions["predictions/arrival_delay"]
    assert all(job.started_at is not None and job.started_at <= job.at for job in found.values())


def test_inputs_are_those_of_the_version_that_the_run_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def commit(version: int, read: int | None) -> dict[str, object]:
        metadata = None if read is None else json.dumps({"read": {"int_flights": {"version": read}}})
        at = f"2026-11-30 00:00:{version:02d}.0"
        return {"version": version, "timestamp": at, "operation": "WRITE", "userMetadata": metadata}

    # A later build has built the table again before the run is told; between them, files were compacted.
    history = [commit(9, read=31), commit(8, read=None), commit(7, read=30)]
    monkeypatch.setattr("orchestration.lineage.local_commits", lambda name, limit: history)

    @dg.op
    def made(context: dg.OpExecutionContext) -> None:
        key = dg.AssetKey(["features", "feat_origin_departures"])
        context.log_event(dg.AssetMaterialization(key, metadata={"delta_version": 8}))

    @dg.job
    def run() -> None:
        made()

    with dg.DagsterInstance.ephemeral() as instance:
        (told,) = job_runs(instance, run.execute_in_process(instance=instance).run_id)

    assert [(each.name, each.version) for each in told.inputs] == [("intermediate.int_flights", 30)]
