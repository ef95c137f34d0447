"""`make clean` deletes no data; what does so asks first."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_ROOT


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with this Makefile, and what work leaves in it."""
    shutil.copy(PROJECT_ROOT / "Makefile", tmp_path)
    shutil.copytree(PROJECT_ROOT / "scripts", tmp_path / "scripts")
    (tmp_path / ".venv").symlink_to(PROJECT_ROOT / ".venv")
    for name in ("target", "logs", "warehouse/tables", "warehouse/engine"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").touch()
    return tmp_path


def _make(clone: Path, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments],
        cwd=clone,
        env=os.environ | {"LAKEHOUSE_WAREHOUSE": str(clone / "warehouse")},
        input=said,
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_slow_test_has_its_day_in_ci() -> None:
    script = (PROJECT_ROOT / ".ci" / "run").read_text()
    folders = {
        "$slow": "tests/integration/dbt",
        "$faults": "tests/faults",
        "$lake": "tests/integration/lakehouse",
    }
    for name, folder in folders.items():
        script = script.replace(name, folder)
    shared = [word.strip('"') for word in script.split() if word.strip('"').startswith("tests/")]
    slow = [
        str(path.relative_to(PROJECT_ROOT))
        for path in (PROJECT_ROOT / "tests").rglob("test_*.py")
        if "mark.slow" in path.read_text() and path != Path(__file__)
    ]
    assert len(slow) > 25
    assert [path for path in sorted(slow) if not path.startswith(tuple(shared))] == []


def test_clean_leaves_the_data(clone: Path) -> None:
    assert _make(clone, "clean").returncode == 0
    assert (clone / "warehouse" / "tables" / "file").exists()
    assert not (clone / "target").exists() and not (clone / "logs").exists()


@pytest.mark.parametrize("said", ["", "y\n", "yes\n"])
def test_the_warehouse_is_not_deleted_without_the_word(clone: Path, said: str) -> None:
    done = _make(clone, "clean-warehouse", said=said)
    assert done.returncode != 0
    assert "nothing was deleted" in done.stderr
    assert (clone / "warehouse" / "tables" / "file").exists()


@pytest.mark.parametrize(("arguments", "said"), [([], "warehouse\n"), (["CONFIRM=warehouse"], "")])
def test_the_warehouse_is_deleted_with_the_word(clone: Path, arguments: list[str], said: str) -> None:
    done = _make(clone, "clean-warehouse", *arguments, said=said)
    assert done.returncode == 0, done.stderr
    assert not (clone / "warehouse").exists()
    assert (clone / "target").exists()


def test_a_folder_that_is_not_a_warehouse_is_left(clone: Path) -> None:
    shutil.rmtree(clone / "warehouse" / "tables")
    shutil.rmtree(clone / "warehouse" / "engine")
    (clone / "warehouse" / "letters").mkdir()
    done = _make(clone, "clean-warehouse", "CONFIRM=warehouse")
    assert done.returncode != 0
    assert "does not look like a warehouse" in done.stderr
    assert (clone / "warehouse" / "letters").exists()
