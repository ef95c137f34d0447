"""The guide's four edits add a feature: made in a copy of the project, linted, built and trained on."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.dbt.manifest import DbtModels, manifest
from lakehouse.dbt.project import run_dbt
from lakehouse.settings import PROJECT_ROOT
from ml.data.columns import columns_of

# A dbt build on the story's tables: minutes, not seconds.
pytestmark = pytest.mark.slow

FEATURE = "wind_gust_excess_mph"
EDITED = {
    f"dbt_project/models/features/{name}"
    for name in (
        "feat_origin_weather.sql", "feat_origin_weather.yml", "flight_features.sql", "flight_features.yml",
    )
}  # fmt: skip


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project with the guide's edits, and no others."""
    for name in ("dbt_project", "dbt_project.yml", "profiles.yml", "selectors.yml", "sources", ".sqlfluff"):
        source = PROJECT_ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    guide = (PROJECT_ROOT / "docs" / "add-a-feature.md").read_text()
    edits = re.findall(r"^```diff\n(.*?)^```$", guide, flags=re.DOTALL | re.MULTILINE)
    for edit in edits:
        subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=edit, text=True, check=True)
    assert {edit.splitlines()[1].removeprefix("+++ b/") for edit in edits} == EDITED
    return tmp_path


def test_the_guides_edits_add_a_feature(copy: Path, story) -> None:
    sql = sorted(name for name in EDITED if name.endswith(".sql"))
    lint = [str(Path(sys.executable).with_name("sqlfluff")), "lint", "--disable-progress-bar", *sql]
    linted = subprocess.run(lint, cwd=copy, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout

    lakehouse = story.lakehouse
    built = run_dbt(
        ["build", "--full-refresh", "--select", "feat_origin_weather flight_features flight_training_set"],
        variables={"bronze_schema": lakehouse.bronze, "predictions_schema": lakehouse.predictions},
        project=copy,
        environment={"LAKEHOUSE_DBT_SCHEMA": lakehouse.full},
    )
    assert set(built.results.values()) <= {"success", "pass"}

    trained_on = columns_of(DbtModels(manifest(copy)), "flight_training_set")
    assert FEATURE in trained_on.numeric
    rows = lakehouse.table("flight_training_set", lakehouse.full)
    assert rows.where(f"{FEATURE} = round(wind_gust_mph - wind_speed_mph, 2)").count() > 100
    described = lakehouse.spark.sql(f"describe {lakehouse.full}.flight_training_set").collect()
    (comment,) = (row["comment"] for row in described if row["col_name"] == FEATURE)
    assert comment.startswith("Gusts above the steady wind")
