"""The commands of Airflow's day parse, without an Airflow: its file is read, not run."""

import ast
import shlex
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from commands.app import COMMANDS, build
from lakehouse.settings import PROJECT_ROOT
from ml.spec import spec_names

DAG = PROJECT_ROOT / "deploy" / "airflow" / "dags" / "lakehouse.py"
GRAPH = PROJECT_ROOT / "tests" / "unit" / "orchestration" / "graph.txt"


def _constants() -> dict[str, Any]:
    """The file's simple assignments; what comes from the environment is its default."""
    made: dict[str, Any] = {"SPEC": "arrival_delay"}
    for node in ast.parse(DAG.read_text()).body:
        match node:
            case ast.Assign(targets=[ast.Name(name)]) if name in ("DAY", "NEXT", "COMMANDS"):
                made[name] = eval(compile(ast.Expression(node.value), str(DAG), "eval"), {}, made)  # noqa: S307
            case ast.Assign(targets=[ast.Tuple(names)], value=ast.Tuple(values)):
                for name, value in zip(names, values, strict=True):
                    assert isinstance(name, ast.Name)
                    made[name.id] = ast.literal_eval(value)
            case _:
                continue
    return made


COMMAND_LINES: dict[str, str] = _constants()["COMMANDS"]


@pytest.mark.parametrize("task", COMMAND_LINES)
def test_the_command_line_takes_it(task: str) -> None:
    line = COMMAND_LINES[task]
    line = line.replace("{{ ds }}", "2013-10-01").replace("{{ macros.ds_add(ds, 1) }}", "2013-10-02")
    program, name, *words = shlex.split(line)
    assert program == "lakehouse" and name in COMMANDS and "{" not in line
    group = typer.main.get_command(build(name))
    assert isinstance(group, TyperGroup)
    group.commands[name].make_context(name, words)


def test_each_group_and_asset_that_it_selects_is_in_the_graph() -> None:
    graph = GRAPH.read_text()
    lines = " ".join(COMMAND_LINES.values())
    groups = {word.partition(":")[2].strip("()'") for word in lines.split() if "group:" in word}
    assert groups >= {"landing", "bronze", "models", "predictions", "marts"}
    assert all(f"[{group}]" in graph for group in groups)
    assert spec_names() and f"\nchampions/{_constants()['SPEC']} " in graph
