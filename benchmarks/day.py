"""A warm day of real flights through the whole graph: this commit's cost against an older one's.

    python -m benchmarks.day [--against fd65f24] [--history 60] [--days 3]

Each commit is checked out and set up in a folder of its own, builds the same history with a model, and then
the same days, one by one, taking turns. Both must hold the same rows in the end. CPU seconds are the engine's
with its Python workers; Spark's own event log tells statements and jobs. The first day warms both up, and
does not count.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import events
from lakehouse.settings import PROJECT_ROOT

GOAL = 0.35
FIRST_DAY = date(2013, 10, 1)


class Tree:
    """A commit in a folder of its own, with a warehouse of its own."""

    def __init__(self, commit: str, folder: Path) -> None:
        self.commit = commit
        self.code = folder / commit / "code"
        self.warehouse = folder / commit / "warehouse"
        self.events = folder / commit / "events"
        self.log = folder / commit / "log"
        self.events.mkdir(parents=True)
        subprocess.run(
            ["git", "worktree", "add", "--quiet", "--detach", str(self.code), commit],
            cwd=PROJECT_ROOT,
            check=True,
        )
        self.run("make", "setup")

    def run(self, *command: str) -> None:
        """Run a command in the tree; what it prints goes to the tree's log."""
        environment = {
            **{name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
            "LAKEHOUSE_WAREHOUSE": str(self.warehouse),
            **events.environment(self.events),
        }
        with self.log.open("ab") as log:
            done = subprocess.run(command, cwd=self.code, env=environment, stdout=log, stderr=log)
        if done.returncode:
            said = "\n".join(self.log.read_text().splitlines()[-20:])
            raise RuntimeError(f"{self.commit}: {' '.join(command)} failed:\n{said}")

    def do(self, what: str, *days: date) -> dict[str, Any]:
        """One call of `benchmarks.day_in_tree` with the tree's own code and packages."""
        told = self.log.with_name("told.json")
        script = Path(__file__).with_name("day_in_tree.py")
        self.run(str(self.code / ".venv/bin/python"), "-P", str(script), str(told), what, *map(str, days))
        return json.loads(told.read_text())

    def close(self) -> None:
        """Stop its engine and remove its checkout."""
        self.run(str(self.code / ".venv/bin/lakehouse"), "down")
        subprocess.run(["git", "worktree", "remove", "--force", str(self.code)], cwd=PROJECT_ROOT, check=True)


def measure(trees: Sequence[Tree], history: int, days: int, console: Console) -> list[list[dict[str, Any]]]:
    """What each of the days cost, by tree."""
    last = FIRST_DAY - timedelta(days=1)
    for tree in trees:
        console.print(f"{tree.commit}: {history} days of history …", style="dim")
        tree.do("history", FIRST_DAY - timedelta(days=history), last)
    costs: list[list[dict[str, Any]]] = [[] for _ in trees]
    for day in (FIRST_DAY + timedelta(days=offset) for offset in range(days)):
        for tree, its in zip(trees, costs, strict=True):
            its.append(tree.do("day", day))
            console.print(
                f"{tree.commit}: {day}: {its[-1]['engine']:.0f} CPU s, {its[-1]['wall']:.0f} s", style="dim"
            )
    held = [tree.do("hashes") for tree in trees]
    assert all(each == held[0] for each in held), f"the trees hold other rows: {held}"
    return costs


def shown(trees: Sequence[Tree], costs: Sequence[Sequence[dict[str, Any]]]) -> list[Table]:
    """The figures: the medians of the days after the first."""
    table = Table(
        "",
        *(tree.commit for tree in trees),
        "ratio",
        title=f"A warm day through the graph (goal for CPU ≤ {GOAL})",
    )
    counted = [
        [events.between(tree.events, its["began"], its["ended"]) for its in each]
        for tree, each in zip(trees, costs, strict=True)
    ]
    rows: list[tuple[str, list[float]]] = [
        ("engine CPU s", [_median([its["engine"] for its in each]) for each in costs]),
        ("clients' CPU s", [_median([its["client"] for its in each]) for each in costs]),
        ("wall s", [_median([its["wall"] for its in each]) for each in costs]),
        ("statements", [_median([held.statements for held in each]) for each in counted]),
        ("Spark jobs", [_median([held.jobs for held in each]) for each in counted]),
        ("Delta commits", [_median([its["commits"] for its in each]) for each in costs]),
    ]
    for name, values in rows:
        table.add_row(name, *(f"{value:.0f}" for value in values), f"{values[-1] / values[0]:.2f}")
    steps = Table("tree", "step", "wall s", "engine CPU s", title="By step")
    for tree, each in zip(trees, costs, strict=True):
        names = {name for its in each[1:] for name in its["steps"]}
        medians = {
            name: [_median([its["steps"].get(name, (0, 0))[of] for its in each]) for of in (0, 1)]
            for name in names
        }
        for name, (wall, engine) in sorted(medians.items(), key=lambda item: -item[1][1]):
            steps.add_row(tree.commit, name, f"{wall:.1f}", f"{engine:.1f}")
    return [table, steps]


def _median(days: Sequence[float]) -> float:
    return statistics.median(days[1:] or days)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", default="fd65f24", help="a commit; `none` measures this one alone")
    parser.add_argument(
        "--history", type=int, default=60, help="days before the first; a model needs a whole month of them"
    )
    parser.add_argument("--days", type=int, default=3)
    arguments = parser.parse_args()
    console = Console()
    head = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT_ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    commits = [arguments.against, head] if arguments.against != "none" else [head]
    with tempfile.TemporaryDirectory() as folder:
        trees = [Tree(commit, Path(folder)) for commit in commits]
        try:
            costs = measure(trees, arguments.history, arguments.days, console)
        finally:
            for tree in trees:
                tree.close()
        for table in shown(trees, costs):
            console.print(table)


if __name__ == "__main__":
    main()
