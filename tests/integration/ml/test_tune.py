"""A search on a small published table: its runs, its budget, and how it goes on."""

import json
import time
from datetime import date
from pathlib import Path

import mlflow
import numpy as np
import optuna
import pyarrow as pa
import pytest
from mlflow.entities import Run

from lakehouse.delta.table import TableVersion
from lakehouse.engine.state import exclusive
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings
from ml.data.columns import Columns
from ml.data.training_rows import InMemoryRows
from ml.data.training_set import Split, training_set
from ml.provenance.manifest import manifest_of
from ml.spec import Spec
from ml.tracking import runs as tracking
from ml.training.fit_bundle import encode_parts
from ml.training.study import Trial, open_study, retry_unfinished, run_trials, trials_of
from ml.training.tune import Tuned, study_lock, tune
from tests.integration.ml.conftest import AS_OF, Platform, small_spec

SPACE = {
    "training.learning_rate": {"low": 0.001, "high": 0.1, "log": True},
    "network.hidden": {"choices": [[16], [16, 8]]},
    "encoding.bins": {"low": 4, "high": 8},
}


RATES: dict[str, object] = {"training.learning_rate": {"low": 0.001, "high": 0.5, "log": True}}


def searched(spec: Spec, space: dict[str, object], **training: object) -> Spec:
    data = spec.model_dump()
    return Spec.model_validate(data | {"training": data["training"] | training, "tune": space})


def nested(parent: str) -> dict[str, Run]:
    connection = tracking.client()
    experiment = connection.get_run(parent).info.experiment_id
    runs = connection.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'")
    return {str(run.info.run_name): run for run in runs}


def test_a_search_has_nested_runs_and_goes_on_where_it_ended(platform: Platform) -> None:
    spec = searched(platform.spec, SPACE, epochs=2)

    def search(trials: int) -> Tuned:
        return tune(platform.spark, spec, AS_OF, 10, trials, models=platform.models)

    first = search(2)
    assert [trial.state for trial in first.trials] == ["finished", "finished"]
    assert manifest_of(first.run_id).split.validation_end == date(2013, 9, 1)
    space = json.loads(tracking.artifact(first.run_id, "space.json").read_text())
    assert space["encoding.bins"]["high"] == 8

    # What a search leaves that is killed: a trial that runs, and its run.
    study = optuna.load_study(study_name=first.study, storage=storage())
    killed = study.ask()
    values = {"learning_rate": killed.suggest_float("training.learning_rate", 0.001, 0.1, log=True)}
    with tracking.training_run(spec.name, "killed") as run_id:
        killed.set_user_attr("run_id", run_id)
        mlflow.MlflowClient().update_run(run_id, "RUNNING")

    again = search(4)
    assert (again.run_id, again.study) == (first.run_id, first.study)
    assert [trial.state for trial in again.trials] == ["finished"] * 4 + ["killed"]
    assert tracking.client().get_run(run_id).info.status == "KILLED"
    retried = next(trial for trial in again.trials if trial.number == 3)
    assert retried.values["training.learning_rate"] == values["learning_rate"]

    runs = nested(first.run_id)
    assert set(runs) == {"trial 0", "trial 1", "trial 3", "trial 4"}
    best = runs[f"trial {again.best.number}"]
    assert best.data.params == {name: str(value) for name, value in again.best.values.items()}
    assert best.data.metrics["best_log_loss"] == again.best.metric == min(t.metric for t in again.trials[:4])
    history = tracking.client().get_metric_history(best.info.run_id, "validation_log_loss")
    assert [each.step for each in history] == [1, 2]
    assert min(each.value for each in history) == again.best.metric
    assert best.data.metrics["seconds"] > 0
    assert tracking.client().get_run(first.run_id).data.metrics["best_log_loss"] == again.best.metric
    assert again.picture.stat().st_size > 5000

    # The same count again: nothing is left to try.
    assert [trial.number for trial in search(4).trials] == [trial.number for trial in again.trials]


def storage() -> str:
    return f"sqlite:///{settings().mlflow_dir / 'tune' / 'studies.db'}"


def test_the_first_trial_has_the_specs_own_values(platform: Platform) -> None:
    spec = searched(platform.spec, SPACE, epochs=1)
    tuned = tune(platform.spark, spec, AS_OF, 10, 1, models=platform.models)
    assert tuned.best.is_own
    assert tuned.best.values == {
        "training.learning_rate": 0.02,
        "network.hidden": [16],
        "encoding.bins": 8,
    }


def test_without_time_no_trial_starts(platform: Platform) -> None:
    spec = searched(platform.spec, SPACE, epochs=3)
    with pytest.raises(LakehouseError, match=r"no trial of spec_\w+-2013-09-01-\w{8} was finished in 0 min"):
        tune(platform.spark, spec, AS_OF, 0, models=platform.models)


def test_a_spec_without_a_space_is_refused(platform: Platform) -> None:
    with pytest.raises(LakehouseError, match="names no space"):
        tune(platform.spark, platform.spec, AS_OF, 1, models=platform.models)


def test_a_study_of_another_spec_and_one_that_is_searched_are_refused(platform: Platform) -> None:
    name = f"own_{platform.schema}"
    folder = settings().mlflow_dir / "tune"
    folder.mkdir(parents=True, exist_ok=True)
    open_study(folder, searched(platform.spec, SPACE), name, "another")
    with pytest.raises(LakehouseError, match=f"{name} is of another spec"):
        tune(platform.spark, searched(platform.spec, SPACE), AS_OF, 1, 1, name, models=platform.models)
    with exclusive(study_lock(name)), pytest.raises(LakehouseError, match="is being searched"):
        tune(platform.spark, searched(platform.spec, SPACE), AS_OF, 1, 1, name, models=platform.models)


RANDOM = np.random.default_rng(2)
X = RANDOM.normal(size=2000)
ROWS = pa.table({"x": X, "group": ["a"] * 2000, "late": X + RANDOM.normal(size=2000) > 0})
PARTS = Split(np.arange(2000) < 1500, np.arange(2000) >= 1500, AS_OF, AS_OF)


class Local:
    """A search without a table: rows in memory, the warehouse's MLflow."""

    def __init__(self, folder: Path, space: dict[str, object], **training: object) -> None:
        made = small_spec("local", "f", "t").model_copy(update={"crosses": ()})
        self.spec = searched(made, space, **training)
        columns = Columns(("id",), "at", "day", ("x",), ("group",), "late", "known_at", "superseded_at")
        pinned = training_set(TableVersion("t", "t", 0), columns, AS_OF, "UTC")
        with encode_parts(self.spec, pinned, InMemoryRows.of(ROWS, PARTS, columns)) as self.encoded:
            # Tensors outlive the block.
            pass
        self.study = open_study(folder, self.spec, "local", "x")

    def search(self, seconds: float, trials: int | None = None) -> list[Trial]:
        """All trials so far, by number."""
        retry_unfinished(self.study)
        with tracking.training_run("local", "local"):
            run_trials(self.study, self.spec, lambda _: self.encoded, time.monotonic() + seconds, trials)
        return sorted(trials_of(self.study, more_is_better=False), key=lambda trial: trial.number)


def test_a_running_trial_stops_at_its_epochs_end_and_is_tried_again(tmp_path: Path, warehouse: Path) -> None:
    local = Local(tmp_path, RATES, epochs=1000, patience=1000)
    started = time.monotonic()
    [stopped] = local.search(1)
    assert stopped.state == "stopped"
    assert 1 <= stopped.epochs < 1000
    assert time.monotonic() - started < 30
    assert tracking.client().get_run(stopped.run_id).info.status == "KILLED"

    again = local.search(1)
    assert [trial.state for trial in again] == ["stopped", "stopped"]
    assert again[0].values == again[1].values == {"training.learning_rate": 0.02}


def test_a_hopeless_trial_is_pruned(tmp_path: Path, warehouse: Path) -> None:
    local = Local(tmp_path, RATES, epochs=3)
    for rate in (0.05, 0.05, 0.05, 0.05, 0.001):
        local.study.enqueue_trial({"training.learning_rate": rate})
    trials = local.search(120, 6)
    assert [trial.state for trial in trials] == ["finished"] * 5 + ["pruned"]
    assert trials[-1].epochs < 3


def test_a_trial_that_diverges_stops_nothing_and_is_not_tried_again(tmp_path: Path, warehouse: Path) -> None:
    local = Local(tmp_path, {"training.weight_decay": {"low": 0, "high": 1e30}}, epochs=1)
    local.study.enqueue_trial({"training.weight_decay": 1e30})
    local.study.enqueue_trial({"training.weight_decay": 0})
    for _ in range(2):
        assert [trial.state for trial in local.search(120, 2)] == ["finished", "diverged", "finished"]


def test_a_search_that_goes_on_draws_other_values(tmp_path: Path, warehouse: Path) -> None:
    _, first = Local(tmp_path, RATES, epochs=1).search(120, 2)
    _, same, second = Local(tmp_path, RATES, epochs=1).search(120, 3)
    assert same == first
    assert second.values != first.values
