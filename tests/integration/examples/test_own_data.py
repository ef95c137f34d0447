"""The second data set goes from a source to explained scores: the commands of the page, run in a copy."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_ROOT

# A project of its own on an engine of its own: minutes, not seconds.
pytestmark = pytest.mark.slow

PLATFORM = ("commands", "demo", "orchestration", "ml", "expectations", "lakehouse", "dbt_lakehouse.py")
PROJECT = ("dbt_project", "dbt_project.yml", "profiles.yml", "selectors.yml", "sources", "examples")
INSTALLED = (".venv", ".jars", "requirements.lock", "pyproject.toml")


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """The project's files in another folder, run by the installed libraries; its engine ends with it."""
    copied = tmp_path / "clone"
    copied.mkdir()
    for name in (*PLATFORM, *PROJECT):
        source = PROJECT_ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, copied / name)
    for name in INSTALLED:
        (copied / name).symlink_to(PROJECT_ROOT / name)
    yield copied
    run(copied, "lakehouse down")


def run(clone: Path, command: str) -> str:
    """A command of the page, in a shell at the copy's root."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("LAKEHOUSE_", "SPARK_"))
    }
    environment |= {
        "PYTHONPATH": str(clone),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LAKEHOUSE_HEAP_MB": "1024",
    }
    done = subprocess.run(
        ["bash", "-ec", command], cwd=clone, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_the_page_brings_another_data_set_from_source_to_score(clone: Path) -> None:
    page = (PROJECT_ROOT / "docs" / "bring-your-own-data.md").read_text()
    blocks = re.findall(r"^```bash\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 4
    *set_up, runs = blocks
    for block in set_up:
        run(clone, block)
    *commands, explained = [line for line in runs.splitlines() if line]
    for command in commands:
        run(clone, command)

    found = json.loads(run(clone, f"{explained} --json"))
    assert found["identical"] is True
    assert found["entity"] == {"forecast_id": "seattle-20120905"}
    assert 0 < found["prediction"]["score"] < 1
    assert {each["name"] for each in found["features"]} >= {"precipitation_7d_mm", "rainy_days_7d"}
    assert [batch["batch_id"] for batch in found["batches"]] != []

    again = json.loads(run(clone, f"lakehouse reproduce {found['run_id']} --rebuild --json"))
    assert again["identical"] is True
    assert again["row_count"] == 242

    # Nothing in the platform's Python was touched, and nothing of flights is left in the graph.
    for name in PLATFORM:
        if (clone / name).is_dir():
            changed = subprocess.run(
                ["diff", "-rq", "-x", "__pycache__", "-x", "specs", PROJECT_ROOT / name, clone / name],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert changed.stdout == ""
    listed = run(clone, "dbt --quiet ls --resource-type model --output name")
    assert sorted(listed.split()) == ["rain_features", "rain_training_set", "stg_observations"]
