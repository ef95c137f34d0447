"""What a dbt build would do here, before it does it: models, days, and the files that it would rewrite."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from lakehouse.dbt.increments import STRATEGY
from lakehouse.dbt.project import PROD_TARGET_DIR, run_dbt
from lakehouse.delta.files import DayRange, Files, local_files
from lakehouse.engine.session import connect_environment
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT


@dataclass(frozen=True)
class PlannedModel:
    """What a build would do with one model.

    Args:
        table: `schema.table`.
        builds: view, seed and the like; for a table create, replace (a full refresh) or replace_where.
        everything: all of its rows are computed; else those of `ranges`, first and last day.
        because: each input that asks for it, with the number of its days or "all".
        sql_changed: whether the rows of its other days were made by other SQL than the model's is now.
        replaced: the files that hold rows of these days now, which the build rewrites; None for what has no
            table yet, or none on this machine.
    """

    model: str
    table: str
    builds: str
    everything: bool
    ranges: tuple[DayRange, ...]
    because: Mapping[str, int | str]
    sql_changed: bool
    replaced: Files | None

    @property
    def idle(self) -> bool:
        """Nothing would be committed."""
        return self.builds == STRATEGY and not self.everything and not self.ranges


def plan_build(
    select: Sequence[str] = (),
    *,
    target: str = "dev",
    full_refresh: bool = False,
    variables: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    target_path: Path | None = None,
) -> list[PlannedModel]:
    """Preview a `dbt build` of the selected models; nothing is built and nothing written.

    Args:
        select: dbt's selection; all models without it.
        target: dev or prod.
        variables, environment, target_path: as `run_dbt` takes them.

    Returns:
        the models in the order in which they would be built.

    Raises:
        LakehouseError: dbt refused the selection, or bronze has no delivery yet.
    """
    # Starts or finds the engine: by its address the tables' folders are known here as well.
    connect_environment()
    artifacts = target_path or (PROD_TARGET_DIR if target == "prod" else PROJECT_ROOT / "target")

    def dbt(*args: str) -> str:
        return run_dbt(
            ["--quiet", *args],
            variables=variables,
            target=target,
            target_path=artifacts,
            environment=environment,
        ).output

    chosen = [*("--select", *select)] if select else []
    listed = dbt("ls", *chosen, "--resource-type", "model", "--output", "json", "--output-keys", "unique_id")
    wanted = {str(json.loads(line)["unique_id"]) for line in listed.splitlines() if line.startswith("{")}
    if select and not wanted:
        raise LakehouseError(
            f"the selection {' '.join(select)!r} matches no model", "`dbt ls --resource-type model` lists all"
        )
    manifest: Mapping[str, Any] = json.loads((artifacts / "manifest.json").read_text())
    arguments = {"models": in_build_order(manifest["nodes"], wanted), "full_refresh": full_refresh}
    printed = dbt("run-operation", "preview_build", "--args", json.dumps(arguments))
    entries = json.loads(next(line for line in printed.splitlines() if line.startswith("[")))
    return [_planned(entry) for entry in entries]


def in_build_order(nodes: Mapping[str, Mapping[str, Any]], wanted: Iterable[str]) -> list[str]:
    """Ids of nodes, each after all that it reads; by name where that leaves a choice."""
    ordered: list[str] = []

    def visit(identifier: str) -> None:
        if identifier not in nodes or identifier in seen:
            return
        seen.add(identifier)
        for parent in sorted(nodes[identifier]["depends_on"].get("nodes", [])):
            visit(parent)
        ordered.append(identifier)

    chosen, seen = set(wanted), set[str]()
    for identifier in sorted(chosen):
        visit(identifier)
    return [identifier for identifier in ordered if identifier in chosen]


def _planned(entry: Mapping[str, Any]) -> PlannedModel:
    ranges = tuple((date.fromisoformat(first), date.fromisoformat(last)) for first, last in entry["ranges"])
    everything = bool(entry["everything"])
    return PlannedModel(
        model=entry["model"],
        table=entry["table"],
        builds=entry["builds"],
        everything=everything,
        ranges=() if everything else ranges,
        because=entry["because"],
        sql_changed=bool(entry["sql_changed"]),
        replaced=(
            local_files(entry["table"], entry["day"], None if everything else ranges)
            if entry["day"]
            else None
        ),
    )
