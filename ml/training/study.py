"""Trials of a spec's space, kept by Optuna: what is tried next, what a killed search left, what was found."""

import json
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import optuna
from optuna.trial import FrozenTrial, TrialState

from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress, silent
from ml.evaluation.metrics import METRICS
from ml.spec import Choices, Spec
from ml.tracking import runs
from ml.training.fit_bundle import Encoded, fit_encoded
from ml.training.loop import DivergedError, Epoch
from ml.training.train import log_epoch

# Trials that count: they are not tried again.
_DONE = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned"}


@dataclass(frozen=True)
class Trial:
    """One set of values.

    Args:
        state: `finished`; `pruned`, as it was worse than the median of those before it; `diverged`; or
            `stopped` when time was over, `killed` and `failed`, which are tried again.
        values: by dotted field name.
        metric: of its best epoch, on the validation month; of its last one when pruned.
        is_own: whether the values are those of the spec.
    """

    number: int
    state: str
    values: dict[str, Any]
    metric: float | None
    epochs: int
    seconds: float
    run_id: str
    is_own: bool


class _TimeIsOver(Exception):  # noqa: N818  it is no error
    """Stops a trial, which is then tried again by the next search."""


def open_study(folder: Path, spec: Spec, name: str, searched: str) -> optuna.Study:
    """The study of a name, made if there is none; its first trial has the spec's own values.

    Args:
        folder: where the file of all studies lies.
        searched: a hash over what all its trials have in common.

    Raises:
        LakehouseError: the study's trials have something else in common.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'studies.db'}")
    more_is_better = METRICS[spec.promotion.metric][1]
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        direction="maximize" if more_is_better else "minimize",
        pruner=optuna.pruners.MedianPruner(),
        load_if_exists=True,
    )
    found = study.user_attrs.get("searched")
    if found not in (None, searched):
        raise LakehouseError(
            f"the study {name} is of another spec, space, date or version of the training set",
            "give another --study, or none",
        )
    # The same seed would draw the same values again after each start.
    study.sampler = optuna.samplers.TPESampler(seed=(spec.training.seed + len(study.trials)) % 2**32)
    if found is None:
        study.set_user_attr("searched", searched)
        own = _own_values(spec)
        if own is not None:
            study.enqueue_trial(own, user_attrs={"is_own": True})
    return study


def _own_values(spec: Spec) -> dict[str, Any] | None:
    """The spec's own values as Optuna has them; None when one of them lies outside the space."""
    found: dict[str, Any] = {}
    for name, dimension in spec.tune.items():
        own = spec.value(name)
        if isinstance(dimension, Choices):
            same = [each for each in dimension.choices if spec.having({name: each}).value(name) == own]
            if not same:
                return None
            found[name] = json.dumps(same[0])
        elif dimension.low <= own <= dimension.high:
            found[name] = own
        else:
            return None
    return found


def retry_unfinished(study: optuna.Study) -> None:
    """Note that a killed search's trial has failed; try it, and those that time stopped, again."""
    connection = runs.client()
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        run_id = trial.user_attrs.get("run_id")
        if run_id is not None:
            connection.set_terminated(run_id, "KILLED")
        study.tell(trial.number, state=TrialState.FAIL)
    trials = study.get_trials()
    retried = {trial.user_attrs.get("retry_of") for trial in trials}
    for trial in trials:
        is_settled = trial.user_attrs.get("failure") == "diverged" or trial.number in retried
        if trial.state == TrialState.FAIL and not is_settled:
            is_own = trial.user_attrs.get("is_own", False)
            study.enqueue_trial(trial.params, {"retry_of": trial.number, "is_own": is_own})


def run_trials(
    study: optuna.Study,
    spec: Spec,
    encoded: Callable[[str], Encoded],
    deadline: float,
    trials: int | None = None,
    progress: Progress = silent,
) -> None:
    """Try values until time is over, each try a run below the active MLflow run.

    Args:
        encoded: rows encoded by an `EncodingSpec`, given as JSON.
        deadline: of `time.monotonic`.
        trials: as for `tune`.
    """
    metric = spec.promotion.metric

    def objective(trial: optuna.Trial) -> float:
        values = _suggest(trial, spec)
        candidate = spec.having(values)
        with _trial_run(trial, values):

            def on_epoch(epoch: Epoch) -> None:
                log_epoch(epoch)
                trial.report(epoch.validation[metric], epoch.number)
                if epoch.number == candidate.training.epochs:
                    return
                if trial.should_prune():
                    raise optuna.TrialPruned
                if time.monotonic() >= deadline:
                    raise _TimeIsOver

            _, fitted = fit_encoded(
                candidate, encoded(candidate.encoding.model_dump_json()), progress, on_epoch
            )
            best = fitted.epochs[fitted.best - 1].validation
            mlflow.log_metrics({f"best_{name}": value for name, value in best.items()})
            return best[metric]

    def tell(_: optuna.Study, trial: FrozenTrial) -> None:
        told = _trial(trial)
        values = ", ".join(f"{name} {_shown(value)}" for name, value in told.values.items())
        figure = "" if told.metric is None else f"{metric} {told.metric:.4f}, "
        progress(f"trial {told.number} {told.state}: {figure}{told.seconds:.0f} s: {values}")

    callbacks: list[Callable[[optuna.Study, FrozenTrial], None]] = [tell]
    if trials is not None:
        if len(study.get_trials(states=tuple(_DONE))) >= trials:
            return
        callbacks.append(optuna.study.MaxTrialsCallback(trials, states=tuple(_DONE)))
    study.optimize(
        objective,
        timeout=max(0.0, deadline - time.monotonic()),
        catch=(DivergedError, _TimeIsOver),
        callbacks=callbacks,
    )


def _suggest(trial: optuna.Trial, spec: Spec) -> dict[str, Any]:
    """Values for all fields of the space; choices are JSON, as Optuna stores no lists."""
    values: dict[str, Any] = {}
    for name, dimension in spec.tune.items():
        if isinstance(dimension, Choices):
            choices = [json.dumps(choice) for choice in dimension.choices]
            values[name] = json.loads(trial.suggest_categorical(name, choices))
        elif isinstance(spec.value(name), int):
            low, high = int(dimension.low), int(dimension.high)
            values[name] = trial.suggest_int(name, low, high, log=dimension.log)
        else:
            values[name] = trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log)
    return values


@contextmanager
def _trial_run(trial: optuna.Trial, values: dict[str, Any]) -> Generator[None]:
    """A run below the active one, with the trial's outcome as its status and tag."""
    parent = mlflow.active_run()
    run = mlflow.start_run(
        experiment_id=parent and parent.info.experiment_id, run_name=f"trial {trial.number}", nested=True
    )
    trial.set_user_attr("run_id", run.info.run_id)
    mlflow.log_params(values)
    started = time.monotonic()
    status, state = "FAILED", "failed"
    try:
        yield
        status, state = "FINISHED", "finished"
    except optuna.TrialPruned:
        status, state = "FINISHED", "pruned"
        raise
    except (_TimeIsOver, KeyboardInterrupt):
        status, state = "KILLED", "stopped"
        raise
    except DivergedError:
        state = "diverged"
        raise
    finally:
        if state not in _DONE.values():
            trial.set_user_attr("failure", state)
        mlflow.set_tag("tune.state", state)
        mlflow.log_metric("seconds", time.monotonic() - started)
        mlflow.end_run(status)


def _trial(trial: FrozenTrial) -> Trial:
    choices = trial.distributions
    values = {
        name: json.loads(value)
        if isinstance(choices[name], optuna.distributions.CategoricalDistribution)
        else value
        for name, value in trial.params.items()
    }
    return Trial(
        number=trial.number,
        state=_DONE.get(trial.state) or trial.user_attrs.get("failure", "killed"),
        values=values,
        metric=trial.value if trial.state in _DONE else None,
        epochs=len(trial.intermediate_values),
        seconds=trial.duration.total_seconds() if trial.duration else 0.0,
        run_id=str(trial.user_attrs.get("run_id", "")),
        is_own=bool(trial.user_attrs.get("is_own", False)),
    )


def trials_of(study: optuna.Study, more_is_better: bool) -> tuple[Trial, ...]:
    """Finished ones, best first, then the others by number."""
    found = [_trial(trial) for trial in study.get_trials() if trial.state.is_finished()]
    sign = -1 if more_is_better else 1

    def order(trial: Trial) -> tuple[bool, float, int]:
        is_finished = trial.state == "finished" and trial.metric is not None
        return not is_finished, sign * (trial.metric or 0) if is_finished else 0, trial.number

    return tuple(sorted(found, key=order))


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
