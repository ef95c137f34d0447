"""Let days run by themselves, and compare with a build from scratch of the same deliveries.

    .venv/bin/python -m tests.faults.month --days 30

The daemon is Dagster's own, on a warehouse of its own. This script only delivers files, kills processes and
looks. Exit code 1 and the tables' names where a table differs.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import psutil

from lakehouse import settings as settings_module
from lakehouse.delta.content_hash import content_hash
from lakehouse.engine import server
from lakehouse.engine.session import spark_session
from lakehouse.settings import PROJECT_ROOT, settings
from orchestration import MODULE
from orchestration.automation import look
from orchestration.instance import environment, open_instance
from tests.faults.month.world import World

FIRST = date(2013, 2, 1)
# A run of a day takes a minute or two here, one that failed is tried again after 1, 2, 4 … minutes.
PATIENCE_SECONDS = 3600.0
# What a build from scratch makes of the same deliveries; bronze also says when and how each row came.
SCHEMAS = ("intermediate", "features", "training", "staging")
# Everything that is made from deliveries alone.
GROUPS = ("bronze", "gates", "staging", "intermediate", "features", "published", "training")


class Daemon:
    """Dagster's daemon, with the processes that it starts."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("ab")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it; what it left behind, it finds by itself."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dagster._daemon", "run", "-m", MODULE],
            env={**os.environ, **environment()},
            cwd=PROJECT_ROOT,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def kill(self) -> None:
        """Kill it with all that it has started, at once."""
        assert self._process is not None and self._process.poll() is None
        below = psutil.Process(self._process.pid).children(recursive=True)
        for each in (self._process, *below):
            each.kill()
        psutil.wait_procs(below, timeout=60)
        self._process.wait()

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(120)


class Month:
    """The days of a warehouse that runs itself."""

    def __init__(self, instance: dg.DagsterInstance, daemon: Daemon) -> None:
        self.instance, self.daemon = instance, daemon
        self.started = time.monotonic()

    def say(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        print(f"{minutes:4}:{seconds:02}  {text}", flush=True)  # noqa: T201

    def settle(self, done: Callable[[str], bool], what: str) -> str:
        """Wait until nothing runs and the sensor asks for nothing; gives its reason.

        Raises:
            TimeoutError: not within an hour.
        """
        deadline, tick = time.monotonic() + PATIENCE_SECONDS, threading.Event()
        said = ""
        while time.monotonic() < deadline:
            if not self.at_work():
                found = look(self.instance, time.time())
                said = (found.skip_message or "") if isinstance(found, dg.SkipReason) else "asks"
                # A run may have been launched between the two looks.
                is_quiet = isinstance(found, dg.SkipReason) and "waits or runs" not in said
                if is_quiet and done(said):
                    return said
            tick.wait(2)
        raise TimeoutError(f"{what} after {PATIENCE_SECONDS:.0f} s: {said}")

    def at_work(self) -> list[dg.DagsterRun]:
        """The runs that wait or run."""
        unfinished = [each for each in dg.DagsterRunStatus if each not in _FINISHED]
        return list(self.instance.get_runs(dg.RunsFilter(statuses=unfinished)))

    def strike(self, victim: str) -> None:
        """Kill the engine, or the daemon with its runs, once a run's dbt has built its first tables."""
        deadline, tick = time.monotonic() + PATIENCE_SECONDS, threading.Event()
        while not any(self._builds(run) for run in self.at_work()):
            if time.monotonic() > deadline:
                raise TimeoutError("no run got as far as dbt's first table")
            tick.wait(0.5)
        if victim == "engine":
            engine = server.running()
            assert engine is not None, "a run at work has an engine"
            os.kill(engine.pid, signal.SIGKILL)
        else:
            self.daemon.kill()
            self.daemon.start()
        self.say(f"killed the {victim}")

    def _builds(self, run: dg.DagsterRun) -> bool:
        """Earlier, dbt would start another engine without a word: it has no session yet."""
        (stats, *_) = [*self.instance.get_run_step_stats(run.run_id, ["dbt_features"]), None]
        if stats is None or stats.start_time is None or stats.end_time is not None:
            return False
        made = self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        return any(each.step_key == "dbt_features" for each in made)


_FINISHED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


def play(folder: Path, days: int) -> dict[str, str]:
    """Let the days run; gives the content hash of each table."""
    with warehouse(folder / "itself", folder / "landing"):
        (folder / "landing").mkdir()
        world = World(folder / "made", folder / "landing")
        with open_instance() as instance:
            daemon = Daemon(folder / "daemon.log")
            month = Month(instance, daemon)
            try:
                for step in world.days(FIRST, days):
                    month.say(f"{step.day}: {step.what}")
                    if step.kill is not None:
                        month.strike(step.kill)
                    said = month.settle(lambda _: True, f"{step.day} is not settled")
                    month.say(f"{step.day}: {said.splitlines()[0]}")
                month.settle(lambda said: said.startswith("nothing to do"), "something is still to do")
                failed = instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
                month.say(f"{instance.get_runs_count()} runs, {failed} failed")
            finally:
                daemon.stop()
        expected = {"cut schedule", "engine killed", "daemon killed"} & set(world.faults.values())
        assert failed >= len(expected), f"{expected} happened, and {failed} runs failed: a fault did not fire"
        return hashes()


def from_scratch(folder: Path, days: int) -> dict[str, str]:
    """All deliveries of the month at once, in one run of a new warehouse; gives each table's content hash."""
    from orchestration.run import materialize

    with warehouse(folder / "scratch", folder / "landing"):
        materialize(
            " or ".join(f"group:{each}" for each in GROUPS), (FIRST, FIRST + timedelta(days=days - 1))
        )
        return hashes()


def hashes() -> dict[str, str]:
    """Content hash by `schema.table`."""
    spark = spark_session()
    tables = [
        f"{schema}.{row['tableName']}"
        for schema in SCHEMAS
        for row in spark.sql(f"show tables in {schema}").collect()
    ]
    return {table: content_hash(spark.table(table)).rows for table in sorted(tables)}


@contextmanager
def warehouse(path: Path, landing: Path) -> Generator[None]:
    """Work in a warehouse of its own, whose engine stops afterwards."""
    os.environ.update(
        LAKEHOUSE_WAREHOUSE=str(path),
        LAKEHOUSE_LANDING=str(landing),
        # Files are renamed into place here: what is seen is whole.
        LAKEHOUSE_SETTLE_SECONDS="0",
        LAKEHOUSE_AUTOMATION="true",
    )
    for name in ("SPARK_REMOTE", "SPARK_CONNECT_AUTHENTICATE_TOKEN", server.OURS):
        os.environ.pop(name, None)
    settings_module.settings.cache_clear()
    settings().warehouse.mkdir(parents=True, mode=0o700)
    try:
        yield
    finally:
        if server.running() is not None:
            spark_session().stop()
            server.stop_engine()


def main(arguments: list[str] | None = None) -> int:
    """The month, the build from scratch, and their difference."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.month", description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--folder", type=Path, help="a new folder that stays, to look at")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="lakehouse-month-") as temporary:
        folder: Path = asked.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        itself, scratch = play(folder, asked.days), from_scratch(folder, asked.days)
    differ = sorted(name for name in itself.keys() | scratch.keys() if itself.get(name) != scratch.get(name))
    said = (
        f"{len(scratch)} tables compared with a build from scratch, {len(differ)} differ: {', '.join(differ)}"
    )
    print(said)  # noqa: T201
    return 1 if differ or not scratch else 0


if __name__ == "__main__":
    sys.exit(main())
