"""The thread that scores: all that waits together, as a block costs the same with one row or 64."""

import logging
import queue
import threading
from collections.abc import Sequence
from dataclasses import replace

import torch

from ml.serving import rows as rows_of
from ml.serving.answers import CANARY, CHAMPION, SHADOW, Job, Task, record, response, score
from ml.serving.features import Features
from ml.serving.journal import Journal, JournalError
from ml.serving.metrics import Metrics
from ml.serving.models import InService, Loaded
from ml.serving.refusal import Refusal, overloaded
from ml.serving.rows import Row

_log = logging.getLogger(__name__)
# Rows that are scored together, at most: a long request does not keep many short ones waiting for more.
_TOGETHER = 256


class Scorer:
    """Scores jobs, and hands them to the journal, which answers.

    Args:
        canary: the share of entities that the challenger answers, 0 to 1.
        shadow: whether the challenger also scores what the champion answers.
        max_rows_waiting: with more a job is refused.
    """

    def __init__(
        self,
        features: Features,
        journal: Journal,
        metrics: Metrics,
        *,
        canary: float,
        shadow: bool,
        max_rows_waiting: int,
    ) -> None:
        self._features, self._journal, self._metrics = features, journal, metrics
        self._canary, self._shadow = canary, shadow
        self._max_rows_waiting = max_rows_waiting
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="scorer", daemon=True)

    def start(self) -> None:
        """Begin to score."""
        self._thread.start()

    def close(self) -> None:
        """Score what waits, and end."""
        self._queue.put(None)
        self._thread.join()

    @property
    def is_alive(self) -> bool:
        """Whether jobs are still scored."""
        return self._thread.is_alive()

    def submit(self, job: Job) -> None:
        """Have a job scored.

        Raises:
            Refusal: 429, too many rows wait.
        """
        with self._lock:
            if self._waiting and self._waiting + len(job) > self._max_rows_waiting:
                raise overloaded(f"{self._waiting} rows wait to be scored")
            self._waiting += len(job)
        self._queue.put(job)

    def _run(self) -> None:
        # A thread has its own number of threads for its operations.
        torch.set_num_threads(1)
        goes_on = True
        while goes_on:
            jobs, goes_on = self._next()
            rows = sum(map(len, jobs))
            self._work(jobs)
            with self._lock:
                self._waiting -= rows

    def _next(self) -> tuple[list[Job], bool]:
        """What waits, and whether more may come."""
        jobs: list[Job] = []
        each = self._queue.get()
        while each is not None:
            jobs.append(each)
            if sum(map(len, jobs)) >= _TOGETHER:
                return jobs, True
            try:
                each = self._queue.get_nowait()
            except queue.Empty:
                return jobs, True
        return jobs, False

    def _work(self, jobs: Sequence[Job]) -> None:
        ready = [job for job in jobs if self._prepare(job)]
        try:
            score([task for job in ready for task in job.tasks])
        except Exception:  # noqa: BLE001 - each is scored by itself, and what fails again is logged
            ready = [job for job in ready if _alone(job)]
        for job in ready:
            try:
                self._answer(job)
            except Exception:  # noqa: BLE001 - as above
                _failed(job)
        for job in ready:
            self._shadow_of(job)

    def _prepare(self, job: Job) -> bool:
        """Look a job's rows up and choose their versions; one that cannot be scored is answered."""
        try:
            if job.keys is not None:
                job.rows = rows_of.of_entities(job.keys, self._features.rows(job.of.table, job.keys))
                _check_columns(job)
            job.tasks = [Task(row, *self._chosen(job.models, row)) for row in job.rows]
        except Refusal as refusal:
            job.reply(refusal)
            return False
        except Exception:  # noqa: BLE001 - answered and logged; it must not take the others with it
            _failed(job)
            return False
        return True

    def _chosen(self, models: InService, row: Row) -> tuple[Loaded, str]:
        assert models.champion is not None  # noqa: S101 - a request without one never gets here
        if models.challenger is not None and self._canary and rows_of.share_of(row) < self._canary:
            return models.challenger, CANARY
        return models.champion, CHAMPION

    def _answer(self, job: Job) -> None:
        broken: list[dict[str, object]] = []
        for place, task in enumerate(job.tasks):
            task.rules = rows_of.broken_rules(job.of, task.row, task.missing, job.at)
            if task.rules:
                broken.append({"row": place, "broken_rules": task.rules})
        if broken and job.of.spec.serving.otherwise == "refuse":
            what = f"{len(broken)} of {len(job)} rows break the rule of ml/specs/{job.of.spec.name}.yml"
            job.reply(Refusal(409, what, {"refused": broken}))
            job.tasks = []
            return

        def durable(problem: JournalError | None) -> None:
            if problem is None:
                self._metrics.count(job.tasks)
                job.reply(response(job))
            else:
                job.reply(Refusal(503, problem.what))

        self._journal.append(record(job, job.tasks), durable)

    def _shadow_of(self, job: Job) -> None:
        """The challenger's scores of what the champion answered; left out while requests wait."""
        challenger = job.models.challenger
        if challenger is None or not self._shadow:
            return
        tasks = [Task(task.row, challenger, SHADOW) for task in job.tasks if task.role == CHAMPION]
        if not self._queue.empty():
            self._metrics.shadow_skipped.inc(len(tasks))
            return
        if not tasks:
            return
        try:
            score(tasks)
            self._journal.append(record(job, tasks), _unheard)
        except Exception:  # noqa: BLE001 - logged
            # What was answered stays so.
            _log.exception("request %s in the shadow", job.request_id)
            return
        self._metrics.shadow_rows.inc(len(tasks))


def _unheard(problem: JournalError | None) -> None:
    """Nobody waits for a shadow; the journal has logged the problem."""


def _alone(job: Job) -> bool:
    """Score a job by itself, so that a row which cannot be scored fails only the request that has it."""
    try:
        score(job.tasks)
    except Exception:  # noqa: BLE001 - answered and logged; the next requests need this thread
        _failed(job)
        return False
    return True


def _failed(job: Job) -> None:
    _log.exception("request %s", job.request_id)
    job.reply(Refusal(500, "the request could not be scored; the service's log says why"))


def _check_columns(job: Job) -> None:
    """Refuse rows that lack a column of the champion; where they lack one of the challenger, it is left out.

    Those of one pushed version are all alike. A challenger may have been trained on a column that the online
    store gets with the next push.
    """
    alike = {row.source.table: row for row in job.rows if row.source is not None}.values()
    champion, challenger = job.models.champion, job.models.challenger
    for row in alike:
        if champion is not None:
            rows_of.check_columns(row, champion.bundle.encoding.features, champion.version)
        if challenger is not None and rows_of.gone(row, challenger.bundle.encoding.features):
            job.models = replace(job.models, challenger=None)
