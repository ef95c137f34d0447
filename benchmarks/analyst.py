"""An analyst's bare `dbt build` of one model after a change of its SQL, and where its time goes.

    python -m benchmarks.analyst [--model feat_origin_weather] [--days 3] [--times 3]

Some days of real flights land in schemas of their own and the model is built with all that it reads. Then
its SQL is changed and built again, on the warm engine, by a new process each time, as a person's terminal
does it.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.warehouse import Warehouse
from lakehouse.engine.session import spark_session
from lakehouse.settings import PROJECT_ROOT

GOAL = 10.0
DAY = date(2013, 9, 15)
SCHEMA = "bench_analyst"
COPIED = ("dbt_project", "dbt_project.yml", "profiles.yml", "selectors.yml", "sources")


def project(folder: Path) -> Path:
    """A copy of the dbt project, whose SQL may be changed."""
    for name in COPIED:
        origin = PROJECT_ROOT / name
        if origin.is_dir():
            shutil.copytree(origin, folder / name)
        else:
            shutil.copy(origin, folder / name)
    return folder


def dbt(folder: Path, *arguments: str) -> float:
    """A bare dbt in a process of its own; its wall time in seconds."""
    variables = {"bronze_schema": f"{SCHEMA}_bronze", "predictions_schema": f"{SCHEMA}_predictions"}
    command = [str(Path(sys.executable).with_name("dbt")), *arguments, "--vars", json.dumps(variables)]
    environment = os.environ | {"LAKEHOUSE_DBT_SCHEMA": SCHEMA, "DBT_PROFILES_DIR": str(folder)}
    started = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stdout[-3000:]}")
    return time.monotonic() - started


def change(folder: Path, model: str, number: int) -> None:
    """Another text of the model's SQL, which makes the same rows."""
    (path,) = (folder / "dbt_project" / "models").rglob(f"{model}.sql")
    path.write_text(f"{path.read_text()}\n-- changed {number}\n")


def parts(folder: Path, wall: float) -> dict[str, float]:
    """Seconds of a build: of its nodes, and of dbt's own start, parsing and end around them."""
    nodes = float(json.loads((folder / "target" / "run_results.json").read_text())["elapsed_time"])
    return {"wall": wall, "nodes": nodes, "start, parsing and end": wall - nodes}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="feat_origin_weather")
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args()
    build = ("build", "--full-refresh", "--select", arguments.model)
    with tempfile.TemporaryDirectory() as temporary:
        warehouse = Warehouse(spark_session(), Path(temporary), SCHEMA)
        warehouse.drop()
        try:
            warehouse.arrive(DAY - timedelta(days=arguments.days - 1), DAY)
            folder = project(Path(temporary) / "project")
            dbt(folder, "build", "--select", f"+{arguments.model}", "--exclude-resource-type", "unit_test")
            dbt(folder, *build)
            measured: list[dict[str, float]] = []
            for number in range(arguments.times):
                change(folder, arguments.model, number)
                found = parts(folder, dbt(folder, *build))
                shown = dbt(folder, "show", "--select", arguments.model, "--limit", "5")
                measured.append({**found, "dbt show of five rows": shown})
        finally:
            warehouse.drop()
    table = Table("", "seconds", title=f"dbt build of {arguments.model} after a change (goal ≤ {GOAL:g})")
    for name in measured[0]:
        table.add_row(name, f"{statistics.median(each[name] for each in measured):.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
