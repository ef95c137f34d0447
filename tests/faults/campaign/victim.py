"""A process that does a day's work, and is struck while one of its steps waits for a certain statement."""

import json
import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pyspark.sql.connect.client import SparkConnectClient

from expectations.gate import check, release
from lakehouse.engine.session import spark_session
from tests.faults.campaign.strikes import STRIKES
from tests.faults.readings_helpers import TABLES, Readings, own_suites

STEPS: Mapping[str, Callable[[Readings], object]] = {
    "ingest": lambda lakehouse: lakehouse.ingest(),
    "check bronze": lambda _: _passed("bronze"),
    "build features": lambda lakehouse: lakehouse.dbt("build", "--select", f"+{TABLES['features']}"),
    "check features": lambda _: _passed("features"),
    "release features": lambda _: release(spark_session(), "features"),
    "build training": lambda lakehouse: lakehouse.dbt("build", "--select", TABLES["training"]),
    "check training": lambda _: _passed("training"),
    "release training": lambda _: release(spark_session(), "training"),
}
# A day of a dozen rows; more than this is a hang, which is a defect.
_TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class Moment:
    """`delay_ms` after a step sent its statement `number`, counted from 1; the same one again is the same."""

    step: str
    number: int
    delay_ms: int


@dataclass(frozen=True)
class Outcome:
    """What became of the process.

    Args:
        fired: whether the strike fell, as the process wrote down before it.
        statements: that each step sent, up to where the process ended.
        error: what it said when a step failed.
    """

    exit_code: int
    fired: bool
    statements: dict[str, int]
    error: str | None


def work(
    lakehouse: Readings,
    folder: Path,
    first: str = "ingest",
    strike: str | None = None,
    moment: Moment | None = None,
) -> Outcome:
    """Do a day's steps in another process, from one of them on.

    Raises:
        TimeoutError: it does not end.
    """
    return begin(lakehouse, folder, first, strike, moment)()


def begin(
    lakehouse: Readings,
    folder: Path,
    first: str = "ingest",
    strike: str | None = None,
    moment: Moment | None = None,
) -> Callable[[], Outcome]:
    """The same, beside something else: what is returned waits for its end."""
    folder.mkdir(parents=True)
    processes = multiprocessing.get_context("forkserver")
    # Imported once: what takes longest is then shared by all that are killed.
    processes.set_forkserver_preload([__name__])
    process = processes.Process(target=_work, args=(lakehouse, folder, first, strike, moment))
    process.start()

    def ended() -> Outcome:
        process.join(_TIMEOUT_SECONDS)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"{first} with {strike} at {moment} does not end")
        return Outcome(
            exit_code=process.exitcode,
            fired=(folder / "fired").exists(),
            statements=_read(folder / "statements", {}),
            error=_read(folder / "error", None),
        )

    return ended


def _work(lakehouse: Readings, folder: Path, first: str, strike: str | None, moment: Moment | None) -> None:
    counted = _Counted(folder, strike, moment)
    counted.listen()
    names = list(STEPS)
    with own_suites():
        for name in names[names.index(first) :]:
            counted.step = name
            try:
                STEPS[name](lakehouse)
            except Exception as error:
                _write(folder / "error", f"{name}: {type(error).__name__}: {error}")
                raise SystemExit(1) from error
            counted.keep()


class _Counted:
    """The statements that this process sends to the engine, by step."""

    def __init__(self, folder: Path, strike: str | None, moment: Moment | None) -> None:
        self.step = ""
        self._folder, self._strike, self._moment = folder, strike, moment
        self._counts: Counter[str] = Counter()
        # dbt sends from threads.
        self._lock = threading.Lock()

    def listen(self) -> None:
        request = SparkConnectClient._execute_plan_request_with_metadata

        def counting(client: SparkConnectClient, *args: Any, **more: Any) -> Any:
            self._count()
            return request(client, *args, **more)

        SparkConnectClient._execute_plan_request_with_metadata = counting

    def keep(self) -> None:
        _write(self._folder / "statements", self._counts)

    def _count(self) -> None:
        with self._lock:
            self._counts[self.step] += 1
            due = self._moment is not None and (self.step, self._counts[self.step]) == (
                self._moment.step,
                self._moment.number,
            )
        if due and self._moment is not None:
            timer = threading.Timer(self._moment.delay_ms / 1000, self._fire)
            timer.daemon = True
            timer.start()

    def _fire(self) -> None:
        assert self._strike is not None and self._moment is not None
        self.keep()
        _write(self._folder / "fired", asdict(self._moment) | {"pid": os.getpid()})
        STRIKES[self._strike]()


def _passed(gate: Any) -> None:
    found = check(spark_session(), gate)
    if not found.passed:
        raise AssertionError(f"the gate {gate} is red: {found}")


def _write(path: Path, what: object) -> None:
    scratch = path.with_suffix(".part")
    with scratch.open("w") as file:
        json.dump(what, file)
        file.flush()
        os.fsync(file.fileno())
    scratch.rename(path)


def _read(path: Path, otherwise: Any) -> Any:
    return json.loads(path.read_text()) if path.exists() else otherwise
