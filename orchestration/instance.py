"""Dagster's own state (runs, events, schedules): where it lies, and how it is set up."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from lakehouse.settings import PROJECT_ROOT, settings
from orchestration import LOCATION, MODULE

# Neither Dagster nor what its steps run tells anybody anything.
QUIET = {
    "DAGSTER_DISABLE_TELEMETRY": "yes",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "GX_ANALYTICS_ENABLED": "false",
}

# Where `dagster.yaml` looks for its database's address, which holds a password: the file does not.
_DATABASE = "LAKEHOUSE_DAGSTER_DATABASE"


def environment() -> dict[str, str]:
    """The variables with which every process of Dagster runs."""
    database = settings().dagster_database
    return {
        **QUIET,
        "DAGSTER_HOME": str(prepare_home()),
        **({} if database is None else {_DATABASE: database}),
    }


def open_instance() -> dg.DagsterInstance:
    """The instance that the command line, the UI and the daemon share."""
    os.environ.update(environment())
    return dg.DagsterInstance.from_config(str(settings().dagster_home))


def as_in_the_ui(instance: dg.DagsterInstance) -> dg.DagsterInstance:
    """The instance, whose runs belong to the code location of the UI from now on.

    A run without one is on no timeline, in no job's history, and the UI cannot execute it again.
    """
    target = LoadableTargetOrigin(
        executable_path=sys.executable, module_name=MODULE, working_directory=str(PROJECT_ROOT)
    )
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, location_name=LOCATION)
    origin = RemoteJobOrigin(
        RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME), IMPLICIT_ASSET_JOB_NAME
    )
    label = {REPOSITORY_LABEL_TAG: origin.repository_origin.get_label()}
    create: Callable[..., dg.DagsterRun] = instance.create_run_for_job

    def made(*, tags: Mapping[str, str] | None = None, **options: Any) -> dg.DagsterRun:
        return create(tags={**(tags or {}), **label}, **{**options, "remote_job_origin": origin})

    # Dagster's own way to run a job in this process takes no origin.
    setattr(instance, "create_run_for_job", made)  # noqa: B010 - a method of its class
    return instance


def prepare_home() -> Path:
    """Dagster's folder with its `dagster.yaml`, rewritten when it is not ours as it should be."""
    home = settings().dagster_home
    home.mkdir(parents=True, exist_ok=True)
    wanted = yaml.safe_dump(_storage(home) | _CONFIGURATION, sort_keys=False)
    path = home / "dagster.yaml"
    if not path.is_file() or path.read_text(encoding="utf-8") != wanted:
        path.write_text(wanted, encoding="utf-8")
    return home


def _storage(home: Path) -> dict[str, object]:
    """Where Dagster keeps its state: in the settings' database, or in SQLite files of the warehouse."""
    if settings().dagster_database is not None:
        return {"storage": {"postgres": {"postgres_url": {"env": _DATABASE}}}}
    return embedded_storage(home)


def embedded_storage(home: Path) -> dict[str, object]:
    """The part of `dagster.yaml` that names the warehouse's SQLite files."""

    def sqlite(module: str, name: str, folder: Path) -> dict[str, object]:
        return {"module": module, "class": name, "config": {"base_dir": str(folder)}}

    history = home / "history"
    return {
        "run_storage": sqlite("dagster._core.storage.runs", "SqliteRunStorage", history),
        "event_log_storage": sqlite(
            "dagster._core.storage.event_log", "SqliteEventLogStorage", history / "runs"
        ),
        "schedule_storage": sqlite(
            "dagster._core.storage.schedules", "SqliteScheduleStorage", home / "schedules"
        ),
    }


_CONFIGURATION: dict[str, object] = {
    "telemetry": {"enabled": False},
    # No invitation to a newsletter on top of the first page.
    "nux": {"enabled": False},
    # All runs share one Spark engine, and two writers of one table would only wait for each other.
    "concurrency": {"runs": {"max_concurrent_runs": 1}},
    # Judges the sources' freshness; its lines say how old what landed may be.
    "freshness": {"enabled": True},
    "retention": {"schedule": {"purge_after_days": 90}, "sensor": {"purge_after_days": 30}},
    # Dagster tries again only what says so by a tag. Days are asked for again by their sensor, which
    # knows what they lack; with both, each failure would be tried twice.
    "run_retries": {"enabled": True, "max_retries": 0},
    # A run that lost its process fails, instead of running for ever.
    "run_monitoring": {"enabled": True, "start_timeout_seconds": 300},
}
