"""A year of days, one by one, on small made-up data: what day 365 costs beside day 10, and what has grown.

    LAKEHOUSE_WAREHOUSE=/tmp/year python -m benchmarks.year [--days 30]     a portion; again: the next one
    LAKEHOUSE_WAREHOUSE=/tmp/year python -m benchmarks.year --repeat 325    the newest day's commits again
    LAKEHOUSE_WAREHOUSE=/tmp/year python -m benchmarks.year --draw          the picture for the docs

Three stations report twice a day (tests/faults/readings). A day is what the graph does for one: a file lands
and is ingested, bronze is checked, dbt builds the features, these are checked and released; once a week
earlier readings are corrected and `lakehouse maintain` runs. Each portion goes on after the last day that
stands in `year.csv` of the warehouse, on an engine of its own, and stops it. An engine warms up over its
first days, so days are compared that came equally late on theirs: the first portion's with the last's.

Whoever has no two hours repeats days instead of doing them (benchmarks/repeated_days.py): then logs, ledger,
gate results and publications are those of a year, and only the days before and after are measured.
"""

import argparse
import csv
import itertools
import json
import os
import shutil
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
from deltalake import DeltaTable
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from benchmarks import events
from benchmarks.events import Counts
from benchmarks.repeated_days import repeat
from expectations.gate import check, release, require_passed
from lakehouse.delta.compaction import compact, crowded, small_files
from lakehouse.delta.retention import warehouse_tables
from lakehouse.engine import server
from lakehouse.engine.session import spark_session
from lakehouse.engine.state import read_state
from lakehouse.production import production
from lakehouse.settings import PROJECT_ROOT, settings
from tests.faults.readings_helpers import FIRST, TABLES, Readings, own_suites, readings, text

GOAL = 1.1
YEAR = 365
# An engine's first days are left out: its Java is not compiled yet.
WARM_UP = 3
WEEK = 7
PICTURE = PROJECT_ROOT / "docs" / "images" / "year.png"


def steps(lakehouse: Readings, number: int) -> Mapping[str, Callable[[], object]]:
    """What is done for a day, in order, by name."""
    day = FIRST + timedelta(days=number)
    build = ("--log-level", "none", "build", "--select", f"+{TABLES['features']}")
    work: dict[str, Callable[[], object]] = {
        "ingest": lakehouse.ingest,
        "gate_bronze": lambda: _pass("bronze", day),
        "build": lambda: lakehouse.dbt(*build),
        "gate_features": lambda: _pass("features", day),
        "release": lambda: release(spark_session(), "features"),
    }
    if number % WEEK == 0:
        work["maintain"] = _maintain
    return work


def _pass(gate: Any, day: date) -> None:
    check(spark_session(), gate, [day])
    require_passed(spark_session(), gate)


def _maintain() -> None:
    """As `lakehouse maintain` does."""
    with production("benchmarks.year"):
        names = [each.name for each in crowded()]
        if names:
            compact(spark_session(), names)


def deliver(lakehouse: Readings, number: int) -> None:
    """The day's file; once a week also a correction of two readings of three days before."""
    # Each amount keeps the source's row rule.
    lakehouse.deliver(number, [{**row, "amount": row["amount"] % 1000} for row in readings(number)])
    if number % WEEK == 0:
        at = datetime.combine(FIRST + timedelta(days=number), datetime.min.time(), UTC) + timedelta(hours=20)
        told_again = {"amount": 7, "reported_at": text(at)}
        rows = [{**row, **told_again} for row in readings(number - 3)[:2]]
        lakehouse.deliver(number, rows, note="_correction")


def measure(lakehouse: Readings, number: int) -> dict[str, float]:
    """Do a day; what it cost, by step, and how much is stored after it."""
    deliver(lakehouse, number)
    found: dict[str, float] = {}
    engine, client, began = engine_cpu(), client_cpu(), time.time()
    for name, work in steps(lakehouse, number).items():
        before = engine_cpu()
        work()
        found[f"engine_{name}"] = engine_cpu() - before
    found["engine"] = engine_cpu() - engine - found.get("engine_maintain", 0)
    ended = time.time()
    found |= {"client": client_cpu() - client, "wall": ended - began}
    return {**found, **asdict(events.between(_events(), began, ended)), **stored()}


def _events() -> Path:
    return settings().warehouse / "events"


def engine_cpu() -> float:
    """CPU seconds that the engine and its workers have used."""
    engine = read_state(settings().engine_dir)
    assert engine is not None, "no engine runs here"
    process = psutil.Process(engine.pid)
    return sum(sum(each.cpu_times()[:2]) for each in [process, *process.children(recursive=True)])


def client_cpu() -> float:
    """CPU seconds of this process, in which dbt and the gates run."""
    return sum(psutil.Process().cpu_times()[:4])


def stored() -> dict[str, float]:
    """What lies in the warehouse: files of the newest versions and all, entries of logs, MiB of folders."""
    folders = [folder for _, folder in sorted(warehouse_tables().items())]
    small = small_files(bronze="")
    return {
        "live_files": sum(each.files for each in small),
        "most_live_files": max(each.files for each in small),
        "stored_files": sum(1 for folder in folders for _ in folder.glob("**/part-*.parquet")),
        "log_entries": sum(1 for folder in folders for _ in folder.glob("_delta_log/*.json")),
        "checkpoints": sum(1 for folder in folders for _ in folder.glob("_delta_log/*.checkpoint*")),
        **{f"mib_{name}": _mib(settings().warehouse / name) for name in ("tables", "data_docs", "dbt")},
    }


def _mib(folder: Path) -> float:
    return round(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20, 2)


def repeat_days(file: Path, days: int) -> None:
    """Write the newest day's commits as often as further days would have, and note the last of these days."""
    commits = json.loads(_commits_of_day(file).read_text())
    for name, folder in warehouse_tables().items():
        repeat(folder, commits[name], days, FIRST.year)
    last = int(read(file)[-1]["day"])
    append(file, {"day": last + days, "day_on_engine": 0, **stored()})


def _commits_of_day(file: Path) -> Path:
    return file.with_name("commits_of_day.json")


def _versions() -> dict[str, int]:
    return {name: DeltaTable(folder).version() for name, folder in warehouse_tables().items()}


def portion(file: Path, days: int, console: Console) -> None:
    """The next days of the year, on an engine of their own; each is written down when it is done."""
    done = read(file)
    first = int(done[-1]["day"]) + 1 if done else 1
    # The project's files are this checkout's each time; what was delivered stays.
    lakehouse = Readings.copy(settings().warehouse / "readings")
    shutil.rmtree(_events(), ignore_errors=True)
    os.environ |= {"LAKEHOUSE_DBT_SCHEMA": "scratch", **events.environment(_events())}
    server.ensure_engine()
    try:
        with own_suites():
            for number in range(first, min(first + days, YEAR + 1)):
                before = _versions()
                row = {"day": number, "day_on_engine": number - first + 1} | measure(lakehouse, number)
                append(file, row)
                made = {name: version - before.get(name, -1) for name, version in _versions().items()}
                _commits_of_day(file).write_text(json.dumps(made))
                console.print(
                    f"day {number}: {row['engine']:.1f} CPU s of the engine, {row['wall']:.1f} s", style="dim"
                )
    finally:
        spark_session().stop()
        server.stop_engine()


def read(file: Path) -> list[dict[str, float]]:
    """The days that are done."""
    if not file.exists():
        return []
    with file.open(newline="") as lines:
        return [{name: float(value or 0) for name, value in row.items()} for row in csv.DictReader(lines)]


def append(file: Path, row: Mapping[str, float]) -> None:
    """Add a day, all columns, whichever steps it had."""
    names = list(row) if "engine_maintain" in row else [*row, "engine_maintain"]
    known = list(read(file)[0]) if file.exists() else names
    with file.open("a", newline="") as lines:
        writer = csv.DictWriter(lines, known)
        if lines.tell() == 0:
            writer.writeheader()
        writer.writerow({name: round(row.get(name, 0), 3) for name in known})


def warm(done: Sequence[Mapping[str, float]]) -> list[list[Mapping[str, float]]]:
    """Of each engine the days after its first ones; engines that had none are left out."""
    engines: list[list[Mapping[str, float]]] = []
    for row in done:
        if row["day_on_engine"] == 1:
            engines.append([])
        if row["day_on_engine"] > WARM_UP:
            engines[-1].append(row)
    return [engine for engine in engines if engine]


def shown(done: Sequence[Mapping[str, float]]) -> Table:
    """The medians of the first and of the last engine's days, and how much is stored at their ends."""
    first, *_, last = warm(done)
    table = Table(
        "",
        *(f"days {each[0]['day']:.0f} to {each[-1]['day']:.0f}" for each in (first, last)),
        "ratio",
        title=f"A year, day by day (goal for CPU ≤ {GOAL})",
    )
    for name in first[0]:
        if name in ("day", "day_on_engine", "engine_maintain"):
            continue
        is_cost = name.startswith("engine") or name in ("client", "wall", *Counts.__annotations__)
        before, after = (
            statistics.median(row[name] for row in each) if is_cost else each[-1][name]
            for each in (first, last)
        )
        ratio = f"{after / before:.2f}" if before else ""
        table.add_row(name, f"{before:.2f}", f"{after:.2f}", ratio)
    return table


def draw(done: Sequence[Mapping[str, float]], file: Path) -> None:
    """What days cost and what is stored after them; a grey band are days that were repeated, not done."""
    did = [row for row in done if row["day_on_engine"]]
    figure = Figure(figsize=(7, 6.5), layout="constrained")
    cost, work, files = figure.subplots(3, 1, sharex=True)
    pale = [row for row in did if row["day_on_engine"] <= WARM_UP]
    of_warm = [row for engine in warm(done) for row in engine]
    for axes, names in ((cost, _COSTS), (work, _WORK)):
        for colour, (name, label) in zip(("tab:blue", "tab:orange"), names.items(), strict=True):
            for rows, alpha in ((pale, 0.25), (of_warm, 1.0)):
                days, values = [row["day"] for row in rows], [row[name] for row in rows]
                shown_as = label if rows is of_warm else None
                axes.plot(days, values, "o", markersize=3, color=colour, alpha=alpha, label=shown_as)
        axes.legend(loc="center")
        axes.set_ylim(0, 1.6 * max(row[name] for row in of_warm for name in names))
    files.plot([row["day"] for row in did], [row["most_live_files"] for row in did], "o", markersize=3)
    files.set(xlabel="day", ylabel="files, largest table")
    cost.set(title="A day of small data, from its file to a release", ylabel="CPU s")
    work.set(ylabel="per day")
    for axes in (cost, work, files):
        axes.grid(alpha=0.3)
        for before, after in itertools.pairwise(done):
            if after["day"] - before["day"] > 1:
                axes.axvspan(before["day"], after["day"], color="grey", alpha=0.2)
    figure.savefig(file, dpi=80)


_COSTS = {"engine": "engine", "client": "dbt and gates"}
_WORK = {"jobs": "Spark jobs", "tasks": "their tasks"}


def main() -> None:
    """Go on with the year, or draw it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=30, help="of this portion")
    parser.add_argument("--repeat", type=int, help="add days without doing them: the newest one's commits")
    parser.add_argument("--draw", action="store_true", help=f"write {PICTURE.name} and do no day")
    arguments = parser.parse_args()
    console, file = Console(), settings().warehouse / "year.csv"
    if arguments.repeat:
        repeat_days(file, arguments.repeat)
    elif not arguments.draw:
        settings().warehouse.mkdir(parents=True, exist_ok=True)
        portion(file, arguments.days, console)
    done = read(file)
    if len(warm(done)) > 1:
        console.print(shown(done))
    if arguments.draw:
        draw(done, PICTURE)


if __name__ == "__main__":
    main()
