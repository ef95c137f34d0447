"""A small lakehouse of readings of three stations (tests/faults/readings): its files, its suites, its dbt."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest
from dbt.cli.main import dbtRunner

from expectations.gate import check, override, release
from expectations.suite import Profile, Suite, at_most, day_column, delivery_day, not_null, unique
from expectations.suites import bronze, models
from lakehouse.delta.gate_results import states
from lakehouse.engine.session import spark_session
from lakehouse.ingest.decide import supersede
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.frontier import superseded_sql
from lakehouse.ingest.land import ingest
from lakehouse.ingest.report import IngestReport
from lakehouse.ingest.source import Source
from lakehouse.settings import PROJECT_ROOT

HERE = Path(__file__).parent / "readings"
FIRST = date(2024, 1, 1)
STATIONS = ("north", "east", "west")
TABLES = {"features": "feat_station_totals", "training": "station_training_set"}


class DbtFailedError(Exception):
    """dbt said no; the message is what it said."""


def suites(source: str = "readings") -> dict[str, tuple[Suite, ...]]:
    """What is expected of this data, by gate."""
    superseded = f"select batch_id from ({superseded_sql('bronze.deliveries')}) where source = '{source}'"
    delivered = Suite(
        table=f"bronze.{source}",
        gate="bronze",
        key=("station", "measured_at", "reported_at", "_batch_id"),
        day=delivery_day(source),
        rows=(unique("station", "measured_at", "reported_at", "_batch_id"),),
        rules={"has_plausible_amount": "amount between 0 and 1000"},
        quarantines=True,
        daily=Profile(expectations=(at_most("quarantined_share", 0.05),)),
        superseded=superseded,
    )

    def table(gate: Any) -> Suite:
        return Suite(
            table=f"{gate}.{TABLES[gate]}",
            gate=gate,
            key=("station", "as_of_date"),
            day=day_column("as_of_date"),
            rows=(*not_null("station", "as_of_date", "total_3d"), unique("station", "as_of_date")),
            # A day whose only delivery was superseded by one of other days has none.
            may_be_empty=True,
        )

    return {"bronze": (delivered,), "features": (table("features"),), "training": (table("training"),)}


@contextmanager
def own_suites(source: str = "readings") -> Iterator[None]:
    """The gates check this data instead of what this checkout's YAML declares."""
    found = suites(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bronze, "suites", lambda: found["bronze"])
        patch.setattr(models, "suites", found.__getitem__)
        yield


@dataclass
class Readings:
    """A landing zone, and a dbt project of its own that builds production from it.

    Args:
        source: the name of the source; another one has a table and a frontier of its own.
    """

    project: Path
    landing: Path
    source: str

    @classmethod
    def copy(cls, folder: Path, source: str = "readings") -> Self:
        """The project in a folder, with this checkout's macros."""
        project, landing = folder / "project", folder / "landing"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(HERE, project)
        shutil.copytree(PROJECT_ROOT / "dbt_project" / "macros", project / "macros")
        (project / "sources" / "readings.yml").rename(project / "sources" / f"{source}.yml")
        (landing / source).mkdir(parents=True)
        made = cls(project, landing, source)
        made.name_source()
        return made

    def name_source(self) -> None:
        """Let the files of the project, as they lie here, name this source."""
        for folder in ("sources", "models/staging", "models/intermediate"):
            for path in (self.project / folder).iterdir():
                named = re.sub(
                    r"(?<![a-z_])readings(?!_[0-9a-f]{8})(?=['_:/\n]|$)", self.source, path.read_text()
                )
                path.write_text(named)

    @property
    def declared(self) -> dict[str, Source]:
        return load_sources(self.project / "sources")

    def deliver(self, number: int, rows: list[dict[str, Any]] | None = None, note: str = "") -> None:
        """The file of a day, written as a whole."""
        day = FIRST + timedelta(days=number)
        path = self.landing / self.source / f"{self.source}_{day}{note}.jsonl"
        scratch = path.with_name(f".{path.name}")
        scratch.write_text("".join(json.dumps(row) + "\n" for row in rows or readings(number)))
        scratch.rename(path)

    def ingest(self) -> IngestReport:
        return ingest(spark_session(), landing=self.landing, declared=self.declared, settle_seconds=0)

    def supersede(self, number: int) -> IngestReport:
        return supersede(
            spark_session(),
            f"{self.source}_{FIRST + timedelta(days=number)}",
            by="tests",
            reason="wrong",
            landing=self.landing,
            declared=self.declared,
            settle_seconds=0,
        )

    def arguments(self, *args: str, target: str = "prod") -> list[str]:
        """dbt's, for this project."""
        folder = str(self.project)
        return [
            *("--no-use-colors", *args),
            *("--target", target, "--project-dir", folder, "--profiles-dir", str(PROJECT_ROOT)),
            *("--target-path", f"{folder}/target/{target}", "--log-path", f"{folder}/logs"),
        ]

    def dbt(
        self,
        *args: str,
        target: str = "prod",
        on_event: Callable[[Any], None] | None = None,
        quiet: bool = True,
    ) -> list[str]:
        """Run dbt in this process; returns the messages of its warnings.

        Args:
            on_event: is called at each of dbt's events, before dbt goes on.
        """
        warnings: list[str] = []

        def listen(event: Any) -> None:
            if event.info.level == "warn":
                warnings.append(str(event.info.msg))
            if on_event is not None:
                on_event(event)

        options = [*(["--quiet"] if quiet else []), *args]
        found = dbtRunner(callbacks=[listen]).invoke(self.arguments(*options, target=target))
        if not found.success:
            results = getattr(found.result, "results", ())
            said = [
                str(each.message) for each in results if each.message and each.status in ("error", "fail")
            ]
            raise DbtFailedError("\n".join(said) or str(found.exception))
        return warnings


def readings(number: int, content: int = 0, bad: int = 0) -> list[dict[str, Any]]:
    """A day's readings: two of each station; another content has other amounts, and lacks rows."""
    start = datetime.combine(FIRST + timedelta(days=number), datetime.min.time(), UTC)
    rows = [
        {
            "station": station,
            "measured_at": text(start + timedelta(hours=hour)),
            "amount": 10 * number + hour + 100 * content,
            "reported_at": text(start + timedelta(hours=hour)),
        }
        for hour in (6, 18)
        for station in STATIONS
    ]
    for row in rows[:bad]:
        row["amount"] = 5000
    return rows[content % 3 :]


def text(instant: datetime) -> str:
    """A time as the files have it."""
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def let_through(gate: str, source: str = "readings") -> None:
    """Override what a gate's last check found, where it failed."""
    for table, state in states(spark_session(), [suite.table for suite in suites(source)[gate]]).items():
        if state.last is not None and not state.passed:
            override(spark_session(), table, state.last.table.version, by="tests", reason="as it is")


def look_and_release(gate: Any) -> None:
    """Check a gate, and release what passed."""
    assert check(spark_session(), gate).passed
    release(spark_session(), gate)
