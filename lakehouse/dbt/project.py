"""dbt's project as Python sees it: its manifest, the columns' roles in it, and runs of the dbt command."""

import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lakehouse.engine.state import exclusive
from lakehouse.errors import LakehouseError
from lakehouse.process import run_process
from lakehouse.settings import PROJECT_ROOT

# Where the manifest of the production target lies, apart from what an analyst's own dbt leaves in target/.
PROD_TARGET_DIR = PROJECT_ROOT / "target" / "prod"
# What a manifest is made from, relative to the project's root.
_INPUTS = ("dbt_project.yml", "profiles.yml", "dbt_project")
# The end of dbt's output that an error repeats.
_SHOWN_LINES = 30
# As dbt tells that a node is done; a long name leaves no room for the dots.
_DONE = re.compile(r"(\d+ of \d+ (?!START ).+?)(?: \.+)? +(\[[^\[]+\])$")


@dataclass(frozen=True)
class DbtResult:
    """What a dbt command came to.

    Args:
        output: all that it printed.
        results: unique id of each node that it ran → its status (success, pass, fail, error, skipped, …).
    """

    output: str
    results: dict[str, str]


def manifest(project: Path = PROJECT_ROOT) -> dict[str, Any]:
    """dbt's manifest of the production target, parsed anew when the project changed after it.

    Raises:
        LakehouseError: the project does not parse; the message is dbt's.
    """
    folder = project / PROD_TARGET_DIR.relative_to(PROJECT_ROOT)
    path = folder / "manifest.json"
    # Another process may be parsing: dbt writes over the file, and what is read of it meanwhile is a part.
    with exclusive(folder / "manifest.lock"):
        if not path.exists() or path.stat().st_mtime_ns < _changed_at(project):
            run_dbt(["parse"], target="prod", project=project, target_path=folder)
            # A parse that finds nothing to do may leave the file as it was.
            path.touch()
        return _read(path, path.stat().st_mtime_ns)


def model(name: str, project: Path = PROJECT_ROOT) -> dict[str, Any]:
    """The manifest's node of one model.

    Raises:
        LakehouseError: there is no such model.
    """
    nodes: dict[str, dict[str, Any]] = manifest(project)["nodes"]
    for node in nodes.values():
        if node["resource_type"] == "model" and node["name"] == name:
            return node
    raise LakehouseError(
        f"dbt has no model {name}", "its name is its file's, below dbt_project/models: `dbt ls`"
    )


def column_roles(name: str, project: Path = PROJECT_ROOT) -> list[tuple[str, str]]:
    """The columns of a model that have a role, in the YAML's order; see `roles_of`.

    Returns:
        pairs of column and role: entity, event_time, label, label_time, label_end, partition, numeric or
        categorical.

    Raises:
        LakehouseError: there is no such model, or none of its columns has a role.
    """
    roles = list(roles_of(model(name, project), lambda other: model(other, project)).items())
    if not roles:
        raise LakehouseError(
            f"no column of dbt's model {name} has a role",
            f"give its columns `config: {{meta: {{role: …}}}}` in {model(name, project)['patch_path']}",
        )
    return roles


def roles_of(node: Mapping[str, Any], find: Callable[[str], Mapping[str, Any]]) -> dict[str, str]:
    """Column → role, as a model's YAML says (`config: meta: role`), in its order; only columns that have one.

    A model whose own meta says `roles_from: other` takes the roles of that model's columns of the same name.

    Args:
        node: the model's, in the manifest.
        find: the manifest's node of a model by its name.
    """
    other = meta_of(node).get("roles_from")
    taken = {} if other is None else roles_of(find(str(other)), find)
    roles = {name: meta_of(column).get("role") or taken.get(name) for name, column in node["columns"].items()}
    return {name: str(role) for name, role in roles.items() if role}


def meta_of(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """The meta of a model or a column in the manifest: dbt 1.10 moved it below config, and fills both."""
    return part.get("config", {}).get("meta") or part.get("meta") or {}


def run_dbt(
    args: Sequence[str],
    *,
    variables: Mapping[str, Any] | None = None,
    target: str | None = None,
    project: Path = PROJECT_ROOT,
    target_path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
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


def _changed_at(project: Path) -> int:
    """When the newest of the project's files changed, in nanoseconds; folders tell of files taken away."""
    newest = 0
    for entry in _INPUTS:
        root = project / entry
        paths = [root, *root.rglob("*")] if root.is_dir() else [root]
        newest = max([newest, *(path.stat().st_mtime_ns for path in paths)])
    return newest


@lru_cache(maxsize=2)
def _read(path: Path, _modified_at: int) -> dict[str, Any]:
    return json.loads(path.read_text())
