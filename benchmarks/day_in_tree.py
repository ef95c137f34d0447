"""One side of `benchmarks.day`: builds a history, or one day, with the code of the tree that it runs in.

It is given to the interpreter of each tree in turn, so it imports only what every commit since fd65f24 has.
"""

import argparse
import json
import threading
import time
from bisect import bisect
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path

import psutil

from demo.publish import publish
from demo.story import DAILY, MODEL, UP_TO_THE_MODEL
from lakehouse.delta.content_hash import content_hash
from lakehouse.engine.session import spark_session
from lakehouse.engine.state import read_state
from lakehouse.settings import settings
from orchestration.instance import open_instance
from orchestration.run import materialize

# Whose rows must be the same in both trees; all others flow from them.
HASHED = ("flight_features", "flight_training_set")
SAMPLE_SECONDS = 0.1


class EngineClock:
    """CPU seconds that the engine and its workers had used, at every instant of a block."""

    def __init__(self) -> None:
        engine = read_state(settings().engine_dir)
        assert engine is not None, "no engine runs here"
        self._process = psutil.Process(engine.pid)
        self._at: list[float] = []
        self._used: list[float] = []
        self._done = threading.Event()

    @contextmanager
    def running(self) -> Generator[None]:
        """Sample while the block runs."""
        sampler = threading.Thread(target=self._sample, daemon=True)
        self._look()
        sampler.start()
        yield
        self._done.set()
        sampler.join()
        self._look()

    def between(self, first: float, last: float) -> float:
        """CPU seconds used between two instants, each a time of day in seconds."""
        return self._until(last) - self._until(first)

    def _until(self, at: float) -> float:
        return self._used[max(0, bisect(self._at, at) - 1)]

    def _sample(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            self._look()

    def _look(self) -> None:
        # Those of children that have ended are the third and fourth; one that ends now counts the next time.
        used = sum(self._process.cpu_times()[:4])
        for process in self._process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                used += sum(process.cpu_times()[:2])
        self._used.append(max(used, self._used[-1] if self._used else 0))
        self._at.append(time.time())


def build_history(first: date, last: date) -> dict[str, object]:
    """Land, build and publish the days, and train a model on them."""
    publish(first, last)
    materialize(UP_TO_THE_MODEL, (first, last))
    materialize(MODEL, as_of=last + timedelta(days=1))
    return {}


def build_day(day: date) -> dict[str, object]:
    """A day arrives and goes through the whole graph; what it cost, by step."""
    publish(day, day)
    spark_session()
    clock, commits = EngineClock(), count_commits()
    own, began = psutil.Process().cpu_times(), time.time()
    with clock.running():
        summary = materialize(DAILY, (day, day))
    ended, used = time.time(), psutil.Process().cpu_times()
    client = sum(used[:4]) - sum(own[:4])
    steps: dict[str, tuple[float, float]] = {}
    starts: dict[str, float] = {}
    with open_instance() as instance:
        for entry in instance.all_logs(summary.run_id):
            event = entry.dagster_event
            if event is None or event.step_key is None:
                continue
            if event.event_type_value == "STEP_START":
                starts[event.step_key] = entry.timestamp
            elif event.event_type_value == "STEP_SUCCESS":
                start = starts[event.step_key]
                steps[event.step_key] = (entry.timestamp - start, clock.between(start, entry.timestamp))
    return {
        "wall": ended - began,
        "engine": clock.between(began, ended),
        "client": client,
        "began": began,
        "ended": ended,
        "commits": count_commits() - commits,
        "steps": steps,
    }


def count_commits() -> int:
    """Delta commits of all tables of the warehouse."""
    return sum(1 for _ in Path(settings().warehouse).glob("tables/*/*/_delta_log/*.json"))


def hashes() -> dict[str, object]:
    """What the published tables hold."""
    spark = spark_session()
    return {name: content_hash(spark.table(f"published.{name}")).rows for name in HASHED}


def main() -> None:
    """Do what is asked, and leave its figures in a file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("told", type=Path)
    parser.add_argument("what", choices=["history", "day", "hashes"])
    parser.add_argument("days", type=date.fromisoformat, nargs="*")
    arguments = parser.parse_args()
    work = {"history": build_history, "day": build_day, "hashes": hashes}[arguments.what]
    arguments.told.write_text(json.dumps(work(*arguments.days)))


if __name__ == "__main__":
    main()
