"""Runs of the dbt command."""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lakehouse.errors import LakehouseError
from lakehouse.process import run_process
from lakehouse.progress import Progress, silent
from lakehouse.settings import PROJECT_ROOT

# The variable by which the graph tells dbt's process that a build is of few days.
FEW_DAYS = "LAKEHOUSE_FEW_DAYS"
# Where the manifest of the production target lies, apart from what an analyst's own dbt leaves in target/.
PROD_TARGET_DIR = PROJECT_ROOT / "target" / "prod"
# The end of dbt's output that an error repeats.
_SHOWN_LINES = 30
# As dbt tells that a node is done; a long name leaves no room for the dots.
_DONE = re.compile(r"(\d+ of \d+ (?!START ).+?)(?: \.+)? +(\[[^\[]+\])$")


def project_vars(project: Path = PROJECT_ROOT) -> dict[str, Any]:
    """The variables of dbt_project.yml, such as `time_zone`."""
    return yaml.safe_load((project / "dbt_project.yml").read_text()).get("vars") or {}


@dataclass(frozen=True)
class DbtResult:
    """What a dbt command came to.

    Args:
        output: all that it printed.
        results: unique id of each node that it ran → its status (success, pass, fail, error, skipped, …).
    """

    output: str
    results: dict[str, str]


def run_dbt(
    args: Sequence[str],
    *,
    variables: Mapping[str, Any] | None = None,
    target: str | None = None,
    project: Path = PROJECT_ROOT,
    target_path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> DbtResult:
    """Run a dbt command in a process of its own, from the project's root.

    Args:
        args: the command and its options, as `["build", "--select", "tag:features"]`.
        variables: dbt's `--vars`.
        target: dev or prod; the profile's default otherwise.
        project: where dbt_project.yml lies.
        target_path: where artifacts go instead of `target/`.
        environment: variables to add to this process's.
        progress: told of each node when it is done, in dbt's words.

    Raises:
        LakehouseError: dbt failed; the end of its output is in the message.
    """
    command = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *args]
    if variables:
        command += ["--vars", json.dumps(dict(variables))]
    if target:
        command += ["--target", target]
    artifacts = target_path or project / "target"
    before = _modified(artifacts / "run_results.json")

    def tell(line: str) -> None:
        if done := node_done(line):
            progress(done)

    dbt = run_process(command, project, _environment(project, artifacts) | dict(environment or {}), tell)
    if dbt.code != 0:
        raise LakehouseError(
            f"dbt {' '.join(args)} failed:\n{dbt.end(_SHOWN_LINES)}",
            f"all of it is in {project / 'logs' / 'dbt.log'}",
        )
    ran = _modified(artifacts / "run_results.json") != before
    return DbtResult(dbt.output, _statuses(artifacts / "run_results.json") if ran else {})


def node_done(line: str) -> str | None:
    """What a line of dbt's output says of a node that is done; None for any other line.

    >>> node_done("12:31:02  3 of 36 OK created sql table model a.b ........ [OK in 2.49s]")
    '3 of 36 OK created sql table model a.b [OK in 2.49s]'
    """
    done = _DONE.search(line)
    return " ".join(done.groups()) if done else None


def _environment(project: Path, artifacts: Path) -> dict[str, str]:
    """This process's variables, and what dbt's YAML reads."""
    return os.environ | {
        "DBT_PROFILES_DIR": str(project),
        "DBT_TARGET_PATH": str(artifacts),
    }


def _statuses(path: Path) -> dict[str, str]:
    return {result["unique_id"]: result["status"] for result in json.loads(path.read_text())["results"]}


def _modified(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0
