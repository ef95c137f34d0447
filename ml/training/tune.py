"""Search a spec's space for better settings, on validation rows only; resumable.

Trials are kept in a SQLite file of the warehouse, and are nested runs of one MLflow run.
"""

import hashlib
import json
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import mlflow
import optuna
from pyspark.sql import SparkSession

from lakehouse.dbt.manifest import DbtModels, current_models
from lakehouse.engine.state import exclusive, is_locked
from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress, silent
from lakehouse.settings import PROJECT_ROOT, settings
from ml.data.training_set import TrainingSet
from ml.evaluation import plots
from ml.evaluation.metrics import METRICS
from ml.provenance.code_archive import archive
from ml.spec import EncodingSpec, Spec
from ml.tracking import runs
from ml.training.fit_bundle import Encoded, encode_parts
from ml.training.inputs import checked_rows, pin_published, training_manifest
from ml.training.study import Trial, open_study, retry_unfinished, run_trials, trials_of
from ml.training.train import log_inputs


@dataclass(frozen=True)
class Tuned:
    """What a search has found so far.

    Args:
        run_id: the MLflow run that holds the trials' runs.
        metric: its name; that of the spec's promotion rule.
        trials: finished ones, best first, then the others.
        best_yaml: the parts of the spec that were searched, with the best trial's values.
        picture: the search's history.
    """

    study: str
    run_id: str
    metric: str
    trials: tuple[Trial, ...]
    best_yaml: str
    picture: Path
    seconds: float

    @property
    def best(self) -> Trial:
        """The best finished trial."""
        return self.trials[0]


def tune(
    spark: SparkSession,
    spec: Spec,
    as_of: date,
    minutes: float,
    trials: int | None = None,
    study_name: str | None = None,
    progress: Progress = silent,
    models: DbtModels | None = None,
) -> Tuned:
    """Search the space of a spec, or go on with a search of the same spec, date and table version.

    Args:
        as_of: as for a training; the last whole month before it judges, later days are never looked at.
        minutes: after so long no trial is started, and a running one is stopped at its epoch's end.
        trials: stop when the study has so many that are finished or pruned.
        study_name: by default made from spec, date and table version.

    Raises:
        LakehouseError: the spec names no space; the study is of another spec, date or version, or is being
            searched right now; no trial could be finished; or whatever stops a training.
    """
    started = time.monotonic()
    if not spec.tune:
        raise LakehouseError(
            f"the spec {spec.name} names no space to search",
            f"add a section `tune:` to ml/specs/{spec.name}.yml; docs/models.md has an example",
        )
    models = models or current_models()
    pinned = pin_published(spark, spec, as_of, models)
    searched = _identity(spec, pinned)
    name = study_name or f"{spec.name}-{as_of}-{searched[:8]}"
    lock = study_lock(name)
    if is_locked(lock):
        raise LakehouseError(f"the study {name} is being searched", "wait for it, or give another --study")
    with exclusive(lock):
        study = open_study(lock.parent, spec, name, searched)
        rows = checked_rows(spark, spec, pinned, progress)
        run_id: str | None = study.user_attrs.get("run_id")
        retry_unfinished(study)
        with (
            runs.training_run(spec.name, f"{spec.name} tuned as of {as_of}", run_id) as parent,
            ExitStack() as held,
        ):
            if run_id is None:
                code_archive = archive(PROJECT_ROOT)
                manifest = training_manifest(spark, spec, pinned, rows.parts, models, code_archive)
                log_inputs(parent, spec, manifest, code_archive)
                mlflow.set_tag("tune.study", name)
                mlflow.log_dict(_space(spec), "space.json")
                study.set_user_attr("run_id", parent)

            @lru_cache(maxsize=1)
            def encoded(encoding: str) -> Encoded:
                """Many trials have the same encoding; another one takes the place of the one before."""
                wanted = spec.model_copy(update={"encoding": EncodingSpec.model_validate_json(encoding)})
                held.close()
                return held.enter_context(encode_parts(wanted, pinned, rows, progress))

            run_trials(study, spec, encoded, started + 60 * minutes, trials, progress)
            picture = _log_result(parent, study, spec)
    return _tuned(study, spec, parent, picture, minutes, time.monotonic() - started)


def study_lock(name: str) -> Path:
    """Locked while a study is searched; beside the file of all studies."""
    return settings().mlflow_dir / "tune" / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock"


def _identity(spec: Spec, pinned: TrainingSet) -> str:
    """Of what the trials of a study have in common."""
    table = pinned.table
    same = [spec.model_dump(mode="json"), _space(spec), str(pinned.as_of), table.table_id, table.version]
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()


def _space(spec: Spec) -> dict[str, Any]:
    return {name: dimension.model_dump(mode="json") for name, dimension in spec.tune.items()}


def _log_result(run_id: str, study: optuna.Study, spec: Spec) -> Path:
    metric, more_is_better = spec.promotion.metric, METRICS[spec.promotion.metric][1]
    trials = sorted(trials_of(study, more_is_better), key=lambda trial: trial.number)

    def by_number(state: str) -> dict[int, float]:
        return {
            each.number: each.metric for each in trials if each.state == state and each.metric is not None
        }

    finished = by_number("finished")
    if finished:
        best = max(finished.values()) if more_is_better else min(finished.values())
        mlflow.log_metric(f"best_{metric}", best, step=len(finished))
    figure = plots.search_history(metric, finished, by_number("pruned"), more_is_better)
    return runs.log_pictures(run_id, {"search": figure})["search"]


def _tuned(
    study: optuna.Study, spec: Spec, run_id: str, picture: Path, minutes: float, seconds: float
) -> Tuned:
    trials = trials_of(study, METRICS[spec.promotion.metric][1])
    if not trials or trials[0].state != "finished":
        raise LakehouseError(
            f"no trial of {study.study_name} was finished in {minutes:g} minutes",
            "give it more --minutes: the same command goes on where this one ended",
        )
    return Tuned(
        study=study.study_name,
        run_id=run_id,
        metric=spec.promotion.metric,
        trials=trials,
        best_yaml=best_yaml(spec, trials[0].values),
        picture=picture,
        seconds=seconds,
    )


def best_yaml(spec: Spec, values: dict[str, Any]) -> str:
    """The searched parts of a spec with these values, as they are to stand in its YAML."""
    data = spec.having(values).model_dump(mode="json")
    parts = dict.fromkeys(name.partition(".")[0] for name in spec.tune)
    lines = [
        f"{part}:\n" + "".join(f"  {name}: {json.dumps(value)}\n" for name, value in data[part].items())
        for part in parts
    ]
    return "\n".join(lines)
