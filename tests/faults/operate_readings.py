"""Operates a small lakehouse in random orders; what is published at the end equals a build from scratch.

A process of its own on a warehouse of its own, as it stops clients and drops schemas:

    LAKEHOUSE_WAREHOUSE=/tmp/w python -m tests.faults.operate_readings --sequences 20 --seed 1

Real dbt, Delta, ingestion, gates and releases, on readings of three stations (tests/faults/readings).
Hypothesis draws each sequence; its steps are printed, and the run can be repeated from its seed.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from expectations.gate import check, release, require_passed
from lakehouse.delta.content_hash import content_hash
from lakehouse.engine.session import spark_session
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings as platform
from tests.faults.engine_helpers import environment
from tests.faults.readings_helpers import (
    FIRST,
    TABLES,
    DbtFailedError,
    Readings,
    let_through,
    own_suites,
    readings,
    text,
)

DAYS = 6
# Its messages come with its errors.
SILENT = ("--log-level", "none")
SCHEMAS = (
    "bronze", "bronze_quarantine", "staging", "intermediate", "features", "training", "published",
    "lakehouse", "scratch",
)  # fmt: skip


class Operation(RuleBasedStateMachine):
    """People, files and faults in any order."""

    lakehouse: ClassVar[Readings]
    counts: ClassVar[Counter[str]] = Counter()
    faults: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[str] = []
        self.delivered: set[int] = set()
        self.corrections = 0
        self.contents: Counter[int] = Counter()

    # The world outside ------------------------------------------------------------------------------------

    @initialize(operated=st.booleans())
    def begin(self, operated: bool) -> None:
        """An empty lakehouse, or one that its people have published a day from."""
        shutil.rmtree(self.lakehouse.landing / "readings")
        (self.lakehouse.landing / "readings").mkdir()
        spark = spark_session()
        for schema in SCHEMAS:
            spark.sql(f"drop schema if exists {schema} cascade")
        self.deliver(0)
        if operated:
            self.operate()

    @rule(ahead=st.sampled_from([0, 0, 0, 1, 2]))
    def deliver(self, ahead: int) -> None:
        """The next day's file, or that of a later day, so that the next one's is late."""
        self._deliver(ahead, bad=0)

    @rule(ahead=st.sampled_from([0, 0, 1]))
    def deliver_badly(self, ahead: int) -> None:
        """A third of a day's rows cannot be; the gate has to see it."""
        self._deliver(ahead, bad=2)

    def _deliver(self, ahead: int, bad: int) -> None:
        due = [number for number in range(DAYS) if number not in self.delivered]
        if due:
            number = due[min(ahead, len(due) - 1)]
            self.delivered.add(number)
            self._write(number, bad)
            self._note(f"deliver {number}{' badly' if bad else ''}")

    @rule(which=st.integers(0, DAYS - 1), later=st.integers(0, 2))
    def correct(self, which: int, later: int) -> None:
        """Readings of a day, reported again on that day or a later one with other amounts."""
        number = self._delivered(which)
        told = min(number + later, DAYS - 1)
        self.corrections += 1
        at = datetime.combine(FIRST + timedelta(days=told), datetime.min.time(), UTC)
        at += timedelta(hours=23, minutes=self.corrections % 60)
        told_again = {"amount": 900 - self.corrections, "reported_at": text(at)}
        rows = [{**row, **told_again} for row in readings(number)[:2]]
        self.lakehouse.deliver(told, rows, note=f"_c{self.corrections}")
        self._note(f"correct {number}, told on {told}")

    @rule(which=st.integers(0, DAYS - 1))
    def change_and_supersede(self, which: int) -> None:
        """A delivered file gets another content, which a person lets replace the first."""
        number = self._delivered(which)
        self.contents[number] += 1
        self._write(number, bad=0)
        self._note(f"supersede {number}")
        self._try(lambda: self.lakehouse.supersede(number))

    def _delivered(self, which: int) -> int:
        delivered = sorted(self.delivered)
        return delivered[which % len(delivered)]

    # The people inside ------------------------------------------------------------------------------------

    @rule()
    def operate(self) -> None:
        """What the graph does for a day; a red gate stops what follows."""
        self._note("operate")

        def day() -> None:
            self.lakehouse.ingest()
            check(spark_session(), "bronze")
            require_passed(spark_session(), "bronze")
            for gate, model in TABLES.items():
                self._build(f"+{model}" if gate == "features" else model)
                check(spark_session(), gate)  # pyright: ignore[reportArgumentType]
                release(spark_session(), gate)  # pyright: ignore[reportArgumentType]

        self._try(day)

    @rule()
    def take(self) -> None:
        self._note("ingest")
        self._try(self.lakehouse.ingest)

    @rule(gate=st.sampled_from(["bronze", "features", "training"]))
    def look(self, gate: Any) -> None:
        self._note(f"check {gate}")
        self._try(lambda: check(spark_session(), gate))

    @rule(gate=st.sampled_from(["bronze", "features", "training"]))
    def let_through(self, gate: Any) -> None:
        self._note(f"override {gate}")
        self._try(lambda: let_through(gate))

    @rule(
        select=st.sampled_from(
            ["+feat_station_totals", "int_readings", "feat_station_totals", "station_training_set"]
        )
    )
    def build(self, select: str) -> None:
        self._note(f"build {select}")
        self._try(lambda: self._build(select))

    @rule(gate=st.sampled_from(["features", "training"]))
    def publish(self, gate: Any) -> None:
        self._note(f"release {gate}")
        self._try(lambda: release(spark_session(), gate))

    # Faults -------------------------------------------------------------------------------------------------

    @rule(
        milliseconds=st.integers(2000, 14_000),
        select=st.sampled_from(["+feat_station_totals", "station_training_set"]),
    )
    def kill_a_build(self, milliseconds: int, select: str) -> None:
        """A build dies by kill -9 at some moment."""
        command = [
            str(Path(sys.executable).with_name("dbt")),
            *self.lakehouse.arguments("build", "--select", select),
        ]
        self._kill(f"build {select}", command, milliseconds)

    @rule(milliseconds=st.integers(1000, 8000))
    def kill_an_ingestion(self, milliseconds: int) -> None:
        """An ingestion dies by kill -9 at some moment."""
        code = (
            "from lakehouse.engine.session import spark_session\n"
            "from lakehouse.ingest.land import ingest\n"
            "from lakehouse.ingest.declarations import load_sources\n"
            "from pathlib import Path\n"
            f"declared = load_sources(Path({str(self.lakehouse.project / 'sources')!r}))\n"
            f"landing = Path({str(self.lakehouse.landing)!r})\n"
            "ingest(spark_session(), landing=landing, declared=declared, settle_seconds=0)"
        )
        self._kill("ingest", [sys.executable, "-c", code], milliseconds)

    def _kill(self, what: str, command: list[str], milliseconds: int) -> None:
        process = subprocess.Popen(
            command,
            cwd=self.lakehouse.project,
            env=environment(platform().warehouse),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(timeout=milliseconds / 1000)
            outcome = "too late"
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            outcome = "killed"
        self.faults[outcome] += 1
        self._note(f"{outcome} {what} after {milliseconds} ms")

    # The end ------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Everything that waits is done, by name where a gate is red; then compared."""
        self.lakehouse.ingest()
        check(spark_session(), "bronze")
        _settle("bronze")
        for gate, model in TABLES.items():
            self._build(f"+{model}" if gate == "features" else model)
            check(spark_session(), gate)  # pyright: ignore[reportArgumentType]
            _settle(gate)
            release(spark_session(), gate)  # pyright: ignore[reportArgumentType]
        self.lakehouse.dbt(*SILENT, "build", "--full-refresh", target="dev")
        spark = spark_session()
        differences = {
            model: (found, scratch)
            for model in TABLES.values()
            if (found := content_hash(spark.table(f"published.{model}")))
            != (scratch := content_hash(spark.table(f"scratch.{model}")))
        }
        self.counts["sequences"] += 1
        self.counts["rows"] += spark.table("published.feat_station_totals").count()
        print(json.dumps({"sequence": self.counts["sequences"], "steps": self.steps}), flush=True)  # noqa: T201
        assert not differences, (self.steps, differences)

    def _build(self, select: str) -> None:
        self.lakehouse.dbt(*SILENT, "build", "--select", select)

    def _try(self, step: Callable[[], Any]) -> None:
        try:
            step()
        except (LakehouseError, DbtFailedError) as refused:
            self.steps[-1] += f" (refused: {str(refused).splitlines()[0][:80]})"
            self.counts["refused"] += 1

    def _note(self, step: str) -> None:
        self.steps.append(step)
        self.counts[step.split()[0]] += 1

    def _write(self, number: int, bad: int) -> None:
        self.lakehouse.deliver(number, readings(number, self.contents[number], bad))


def _settle(gate: Any) -> None:
    """The gate passes, or a person lets it pass; it does not stay red."""
    try:
        require_passed(spark_session(), gate)
    except LakehouseError:
        let_through(gate)
        require_passed(spark_session(), gate)


def main() -> None:
    """Run so many sequences."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sequences", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    os.environ["LAKEHOUSE_DBT_SCHEMA"] = "scratch"
    Operation.lakehouse = Readings.copy(platform().warehouse / "readings")
    machine = seed(asked.seed)(Operation)
    with own_suites():
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=asked.sequences,
                stateful_step_count=asked.steps,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    print(json.dumps({"counts": Operation.counts, "faults": Operation.faults}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
