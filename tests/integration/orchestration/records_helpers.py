"""What a process of its own does with MLflow's records and Dagster's history, wherever these are kept."""

from datetime import date
from typing import Any

import dagster as dg
from mlflow.entities import Run

from ml.tracking.runs import client
from orchestration.instance import open_instance
from orchestration.partitions import DAYS, ONE_RUN
from orchestration.run import materialize

JANUARY = (date(2013, 1, 1), date(2013, 1, 31))


def records() -> dict[str, Any]:
    """All that MLflow knows of runs and models."""
    connection = client()
    experiments = connection.search_experiments()
    runs = connection.search_runs([each.experiment_id for each in experiments], max_results=1000)
    return {
        "experiments": sorted(
            (each.experiment_id, each.name, each.artifact_location) for each in experiments
        ),
        "runs": {run.info.run_id: _run(run) for run in runs},
        "models": {model.name: dict(model.aliases) for model in connection.search_registered_models()},
        "versions": sorted(
            (each.name, str(each.version), each.run_id, each.source, dict(each.tags))
            for each in connection.search_model_versions()
        ),
    }


def _run(run: Run) -> dict[str, Any]:
    metrics = run.data.metrics
    history = {
        name: [
            (each.step, each.timestamp, each.value)
            for each in client().get_metric_history(run.info.run_id, name)
        ]
        for name in metrics
    }
    info = run.info
    return {
        "status": info.status,
        "times": [info.start_time, info.end_time],
        "files": info.artifact_uri,
        "params": run.data.params,
        "tags": run.data.tags,
        "metrics": {name: sorted(values) for name, values in history.items()},
    }


def graph_run() -> str:
    """A run of two assets, one with the days of January; returns its id."""

    @dg.asset(key=["kept", "table"], partitions_def=DAYS, backfill_policy=ONE_RUN)
    def table() -> None: ...

    @dg.asset(key=["kept", "model"], deps=[table])
    def model() -> None: ...

    graph = dg.Definitions([table, model], executor=dg.in_process_executor)
    return materialize("*", JANUARY, definitions=graph).run_id


def history() -> dict[str, Any]:
    """All that Dagster knows of runs and assets."""
    with open_instance() as instance:
        records = instance.get_run_records(order_by="id", ascending=True)
        latest = instance.get_latest_materialization_event(dg.AssetKey(["kept", "model"]))
        return {
            "runs": [
                [
                    record.dagster_run.run_id,
                    record.dagster_run.status.value,
                    dict(sorted(record.dagster_run.tags.items())),
                    record.start_time,
                    [
                        [
                            entry.timestamp,
                            entry.user_message,
                            entry.dagster_event_type and entry.dagster_event_type.value,
                        ]
                        for entry in instance.all_logs(record.dagster_run.run_id)
                    ],
                ]
                for record in records
            ],
            "days": sorted(instance.get_materialized_partitions(dg.AssetKey(["kept", "table"]))),
            "latest": latest and latest.run_id,
            "assets": sorted(key.to_user_string() for key in instance.get_asset_keys()),
        }
