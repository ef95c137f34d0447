"""What is said of a scored row: in the answer, and in the journal."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson

from ml.model.bundle import Scores
from ml.scoring.prediction_id import prediction_id
from ml.serving import rows as rows_of
from ml.serving.golden import block_for
from ml.serving.models import InService, Loaded
from ml.serving.refusal import Refusal
from ml.serving.rows import Key, Row
from ml.serving.schema import Served

CHAMPION, CANARY, SHADOW = "champion", "canary", "shadow"

Reply = Callable[[dict[str, Any] | Refusal], None]


@dataclass
class Task:
    """A row on its way through a version.

    Args:
        role: champion, canary or shadow.
        rules: of the spec's for serving, those that the row breaks.
    """

    row: Row
    loaded: Loaded
    role: str
    score: float = 0.0
    missing: int = 0
    unseen: list[str] = field(default_factory=list[str])
    rules: list[str] = field(default_factory=list[str])
    prediction_id: str = ""


@dataclass
class Job:
    """A request on its way.

    Args:
        models: the versions with which it began.
        keys: of entities; None where `rows` came with the request.
        reply: is called once, from any thread.
        arrived: monotonic, in seconds.
    """

    request_id: str
    of: Served
    models: InService
    keys: Sequence[Key] | None = None
    rows: list[Row] = field(default_factory=list[Row])
    tasks: list[Task] = field(default_factory=list[Task])
    reply: Reply = lambda _: None
    arrived: float = field(default_factory=time.monotonic)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __len__(self) -> int:
        return len(self.rows if self.keys is None else self.keys)


def score(tasks: Sequence[Task]) -> None:
    """Score rows, those of a version together.

    Raises:
        LakehouseError: a value cannot be encoded.
    """
    versions = {id(task.loaded): task.loaded for task in tasks}
    for key, loaded in versions.items():
        _score([task for task in tasks if id(task.loaded) == key], loaded)


def _score(tasks: Sequence[Task], loaded: Loaded) -> None:
    numeric, codes = loaded.encoder.encode([task.row.values for task in tasks])
    scores = loaded.bundle.score_encoded(numeric, codes, block_for(loaded.blocks, len(tasks)))
    found = zip(
        tasks,
        scores.probability.astype(np.float64).tolist(),
        scores.probability.view(np.int32).tolist(),
        scores.missing.tolist(),
        _unseen(scores, tuple(loaded.bundle.encoding.categories)),
        strict=True,
    )
    for task, task.score, bits, task.missing, task.unseen in found:
        task.prediction_id = prediction_id(task.row.identity, loaded.version, bits)


def _unseen(scores: Scores, names: Sequence[str]) -> list[list[str]]:
    if not scores.unseen.any():
        return [[] for _ in scores.unseen]
    return [[name for name, is_unseen in zip(names, row, strict=True) if is_unseen] for row in scores.unseen]


def record(job: Job, tasks: Sequence[Task]) -> bytes:
    """A request as the journal has it; `ml.serving.records` reads it."""
    return orjson.dumps(
        {
            "request": job.request_id,
            "at": job.at.isoformat(timespec="microseconds"),
            "spec": job.of.spec.name,
            "model": job.of.spec.registered_model,
            "ms": round((time.monotonic() - job.arrived) * 1000, 3),
            "rows": [_noted(task) | _origin(job.of, task.row) for task in tasks],
        }
    )


def _noted(task: Task) -> dict[str, Any]:
    return {
        "role": task.role,
        "version": task.loaded.version,
        "score": task.score,
        "missing": task.missing,
        "unseen": task.unseen,
        "rules": task.rules,
        "id": task.prediction_id,
    }


def _origin(of: Served, row: Row) -> dict[str, Any]:
    if row.source is None:
        return {"given": row.given}
    table = row.source.table
    return {
        "key": row.key,
        "event_time": rows_of.event_time(of, row),
        "day": rows_of.day(of, row),
        "table": [table.name, table.table_id, table.version, row.source.release_id],
    }


def response(job: Job) -> dict[str, Any]:
    """A request's answer; `ml.serving.schema.Response` says what it is made of."""
    return {
        "request_id": job.request_id,
        "model": job.of.spec.registered_model,
        "predictions": [_answer(task) for task in job.tasks],
    }


def _answer(task: Task) -> dict[str, Any]:
    return {
        "entity": task.row.key,
        "score": task.score,
        "model_version": task.loaded.version,
        "served_by": task.role,
        "features": _features(task.row),
        "missing_features": task.missing,
        "unseen_categories": task.unseen,
        "broken_rules": task.rules,
        "prediction_id": task.prediction_id,
    }


def _features(row: Row) -> dict[str, Any] | None:
    if row.source is None:
        return None
    table = row.source.table
    return {
        "table": table.name,
        "table_id": table.table_id,
        "version": table.version,
        "release_id": row.source.release_id,
    }
