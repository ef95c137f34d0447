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
import types
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from dbt.cli.main import dbtRunner
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from expectations.gate import check, override, release, require_passed
from expectations.suite import Profile, Suite, at_most, day_column, delivery_day, not_null, unique
from lakehouse.delta.content_hash import content_hash
from lakehouse.delta.gate_results import states
from lakehouse.engine.session import spark_session
from lakehouse.errors import LakehouseError
from lakehouse.ingest.decide import supersede
from lakehouse.ingest.frontier import superseded_sql
from lakehouse.ingest.land import ingest
from lakehouse.ingest.source import load_sources
from lakehouse.settings import PROJECT_ROOT
from lakehouse.settings import settings as platform

HERE = Path(__file__).parent / "readings"
FIRST = date(2024, 1, 1)
DAYS = 6
STATIONS = ("north", "east", "west")
TABLES = {"features": "feat_station_totals", "training": "station_training_set"}
SCHEMAS = (
    "bronze", "bronze_quarantine", "staging", "intermediate", "features", "training", "published",
    "lakehouse", "scratch",
)  # fmt: skip


def _suites() -> dict[str, tuple[Suite, ...]]:
    """What is expected of this data, by gate."""
    readings = Suite(
        table="bronze.readings",
        gate="bronze",
        key=("station", "measured_at", "reported_at", "_batch_id"),
        day=delivery_day("readings"),
        rows=(unique("station", "measured_at", "reported_at", "_batch_id"),),
        rules={"has_plausible_amount": "amount between 0 and 1000"},
        quarantines=True,
        daily=Profile(expectations=(at_most("quarantined_share", 0.05),)),
        superseded=f"select batch_id from ({superseded_sql('bronze.deliveries')}) where source = 'readings'",
    )

    def table(gate: Any, schema: str) -> Suite:
        return Suite(
            table=f"{schema}.{TABLES[gate]}",
            gate=gate,
            key=("station", "as_of_date"),
            day=day_column("as_of_date"),
            rows=(*not_null("station", "as_of_date", "total_3d"), unique("station", "as_of_date")),
            # A day whose only delivery was superseded by one of other days has none.
            may_be_empty=True,
        )

    return {
        "bronze": (readings,),
        "features": (table("features", "features"),),
        "training": (table("training", "training"),),
    }


for _gate, _found in _suites().items():
    # The gate looks for its suites in the module of its name: here stand those of this data.
    _module: Any = types.ModuleType(f"expectations.suites.{_gate}")
    _module.suites = lambda found=_found: found
    sys.modules[_module.__name__] = _module


class Refused(Exception):  # noqa: N818
    """A step was refused, as it may be: a red gate, nothing released yet, nothing delivered."""


class Operation(RuleBasedStateMachine):
    """People, files and faults in any order."""

    project: Path
    counts: ClassVar[Counter[str]] = Counter()
    faults: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.landing = platform().landing_dir
        self.steps: list[str] = []
        self.delivered: set[int] = set()
        self.corrections = 0
        self.contents: Counter[int] = Counter()
        self.changed: set[int] = set()

    # The world outside ------------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        shutil.rmtree(self.landing, ignore_errors=True)
        (self.landing / "readings").mkdir(parents=True)
        spark = spark_session()
        for schema in SCHEMAS:
            spark.sql(f"drop schema if exists {schema} cascade")
        self.deliver(0)

    @rule(number=st.integers(0, DAYS - 1))
    def deliver(self, number: int) -> None:
        """A day's file, on time, late, or before others."""
        if number not in self.delivered:
            self.delivered.add(number)
            self._write(number, bad=0)
            self._note(f"deliver {number}")

    @rule(number=st.integers(0, DAYS - 1))
    def deliver_badly(self, number: int) -> None:
        """A third of a day's rows cannot be; the gate has to see it."""
        if number not in self.delivered:
            self.delivered.add(number)
            self._write(number, bad=2)
            self._note(f"deliver {number} badly")

    @rule(number=st.integers(0, DAYS - 1), told=st.integers(0, DAYS - 1))
    def correct(self, number: int, told: int) -> None:
        """Readings of a day, reported again on that day or a later one with other amounts."""
        if number not in self.delivered or told < number:
            return
        self.corrections += 1
        at = datetime.combine(FIRST + timedelta(days=told), datetime.min.time(), UTC) + timedelta(
            hours=23, minutes=self.corrections % 60
        )
        rows = [
            {**row, "amount": 900 - self.corrections, "reported_at": _text(at)}
            for row in _rows(number, 0)[:2]
        ]
        name = f"readings_{FIRST + timedelta(days=told)}_c{self.corrections}.jsonl"
        _put(self.landing / "readings" / name, rows)
        self._note(f"correct {number}, told on {told}")

    @rule(number=st.integers(0, DAYS - 1))
    def change_and_supersede(self, number: int) -> None:
        """A delivered file gets another content, which a person lets replace the first."""
        if number not in self.delivered:
            return
        self.contents[number] += 1
        self._write(number, bad=0)
        self._note(f"supersede {number}")
        self._try(
            lambda: supersede(
                spark_session(), f"readings_{FIRST + timedelta(days=number)}", by="tests", reason="wrong",
                declared=load_sources(self.project / "sources"), settle_seconds=0,
            )
        )  # fmt: skip

    # The people inside ------------------------------------------------------------------------------------

    @rule()
    def take(self) -> None:
        self._note("ingest")
        self._try(self._ingest)

    @rule(gate=st.sampled_from(["bronze", "features", "training"]))
    def look(self, gate: Any) -> None:
        self._note(f"check {gate}")
        self._try(lambda: check(spark_session(), gate))

    @rule(gate=st.sampled_from(["bronze", "features", "training"]))
    def let_through(self, gate: Any) -> None:
        self._note(f"override {gate}")
        self._try(lambda: _override(gate))

    @rule(
        select=st.sampled_from(
            ["+feat_station_totals", "int_readings", "feat_station_totals", "station_training_set"]
        )
    )
    def build(self, select: str) -> None:
        self._note(f"build {select}")
        self._try(lambda: self._dbt("build", "--select", select))

    @rule(gate=st.sampled_from(["features", "training"]))
    def publish(self, gate: Any) -> None:
        self._note(f"release {gate}")
        self._try(lambda: _release(gate))

    # Faults -------------------------------------------------------------------------------------------------

    @rule(
        milliseconds=st.integers(2000, 14_000),
        select=st.sampled_from(["+feat_station_totals", "station_training_set"]),
    )
    def kill_a_build(self, milliseconds: int, select: str) -> None:
        """A build dies by kill -9 at some moment."""
        command = [str(Path(sys.executable).with_name("dbt")), *self._arguments("build", "--select", select)]
        self._kill(f"build {select}", command, milliseconds)

    @rule(milliseconds=st.integers(1000, 8000))
    def kill_an_ingestion(self, milliseconds: int) -> None:
        """An ingestion dies by kill -9 at some moment."""
        code = (
            "from lakehouse.engine.session import spark_session\n"
            "from lakehouse.ingest.land import ingest\n"
            "from lakehouse.ingest.source import load_sources\n"
            "from pathlib import Path\n"
            f"declared = load_sources(Path({str(self.project / 'sources')!r}))\n"
            "ingest(spark_session(), declared=declared, settle_seconds=0)"
        )
        self._kill("ingest", [sys.executable, "-c", code], milliseconds)

    def _kill(self, what: str, command: list[str], milliseconds: int) -> None:
        process = subprocess.Popen(
            command, cwd=self.project, env=_outside(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
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
        if not self.delivered:
            return
        self._ingest()
        check(spark_session(), "bronze")
        _settle("bronze")
        for gate, model in TABLES.items():
            self._dbt("build", "--select", f"+{model}" if gate == "features" else model)
            check(spark_session(), gate)  # pyright: ignore[reportArgumentType]
            _settle(gate)
            _release(gate)
        self._dbt("build", "--full-refresh", target="dev")
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

    def _ingest(self) -> Any:
        return ingest(spark_session(), declared=load_sources(self.project / "sources"), settle_seconds=0)

    def _dbt(self, *args: str, target: str = "prod") -> None:
        found = dbtRunner().invoke(self._arguments(*args, target=target))
        if not found.success:
            raise Refused(str(found.exception or found.result))

    def _arguments(self, *args: str, target: str = "prod") -> list[str]:
        folder = str(self.project)
        return [
            *("--quiet", "--no-use-colors", *args),
            *("--target", target, "--project-dir", folder, "--profiles-dir", str(PROJECT_ROOT)),
            *("--target-path", f"{folder}/target/{target}", "--log-path", f"{folder}/logs"),
        ]

    def _try(self, step: Callable[[], Any]) -> None:
        try:
            step()
        except (LakehouseError, Refused) as refused:
            self.steps[-1] += f" (refused: {str(refused).splitlines()[0][:80]})"
            self.counts["refused"] += 1

    def _note(self, step: str) -> None:
        self.steps.append(step)
        self.counts[step.split()[0]] += 1

    def _write(self, number: int, bad: int) -> None:
        name = f"readings_{FIRST + timedelta(days=number)}.jsonl"
        _put(self.landing / "readings" / name, _rows(number, self.contents[number], bad))


def _rows(number: int, content: int, bad: int = 0) -> list[dict[str, Any]]:
    """A day's readings: two of each station; another content has other amounts, and lacks a row."""
    start = datetime.combine(FIRST + timedelta(days=number), datetime.min.time(), UTC)
    rows = [
        {
            "station": station,
            "measured_at": _text(start + timedelta(hours=hour)),
            "amount": 10 * number + hour + 100 * content,
            "reported_at": _text(start + timedelta(hours=hour)),
        }
        for hour in (6, 18)
        for station in STATIONS
    ]
    for row in rows[:bad]:
        row["amount"] = 5000
    return rows[content % 3 :] if content else rows


def _text(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def _put(path: Path, rows: list[dict[str, Any]]) -> None:
    scratch = path.with_name(f".{path.name}")
    scratch.write_text("".join(json.dumps(row) + "\n" for row in rows))
    scratch.rename(path)


def _override(gate: str) -> None:
    for table, state in states(spark_session(), [suite.table for suite in _suites()[gate]]).items():
        if state.last is not None and not state.passed:
            override(spark_session(), table, state.last.table.version, by="tests", reason="as it is")


def _settle(gate: Any) -> None:
    """The gate passes, or a person lets it pass; it does not stay red."""
    try:
        require_passed(spark_session(), gate)
    except LakehouseError:
        _override(gate)
        require_passed(spark_session(), gate)


def _release(gate: Any) -> None:
    release(spark_session(), gate)


def _outside() -> dict[str, str]:
    """The environment of another terminal."""
    ours = ("SPARK_", "LAKEHOUSE_ENGINE_ADDRESS")
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)}


def main() -> None:
    """Run so many sequences."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sequences", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    project = platform().warehouse / "project"
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(HERE, project)
    shutil.copytree(PROJECT_ROOT / "dbt_project" / "macros", project / "macros")
    os.environ["LAKEHOUSE_DBT_SCHEMA"] = "scratch"
    Operation.project = project
    machine = seed(asked.seed)(Operation)
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
