"""What is not as it was: files, packages, machine."""

from pathlib import Path

from ml.provenance.code_archive import archive
from ml.provenance.differences import Difference, code_changes, environment_changes, value_changes
from ml.provenance.environment import Environment

THEN = Environment(
    python="3.11.9",
    packages={"torch": "2.15.0", "numpy": "2.1.0"},
    java="17.0.1",
    spark="4.1.4",
    system="Linux",
    cpu="A",
    cpu_count=2,
    cpu_capability="AVX2",
    threads=2,
    time_zone="UTC",
)


def _write(root: Path, files: dict[str, str]) -> bytes:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return archive(root)


def test_software_machine_and_packages_are_told_by_kind() -> None:
    now = THEN.model_copy(
        update={
            "packages": {"torch": "2.16.0", "arrow": "1"},
            "java": "21.0.2",
            "cpu_capability": "AVX512",
            "threads": 4,
            "time_zone": "Asia/Tokyo",
        }
    )
    assert environment_changes(THEN, THEN) == ()
    assert [(each.kind, each.name, each.before, each.after) for each in environment_changes(THEN, now)] == [
        ("software", "java", "17.0.1", "21.0.2"),
        ("machine", "cpu_capability", "AVX2", "AVX512"),
        ("threads", "threads", "2", "4"),
        ("time zone", "time_zone", "UTC", "Asia/Tokyo"),
        ("package", "arrow", "", "1"),
        ("package", "numpy", "2.1.0", ""),
        ("package", "torch", "2.15.0", "2.16.0"),
    ]


def test_changed_files_are_told_with_their_diff(tmp_path: Path) -> None:
    then = _write(
        tmp_path / "then",
        {
            "dbt_project/models/features/f.sql": "select 1\n",
            "dbt_project/macros/m.sql": "same\n",
            "ml/old.py": "a = 1\n",
        },
    )
    now = _write(
        tmp_path / "now",
        {
            "dbt_project/models/features/f.sql": "select 2\n",
            "dbt_project/macros/m.sql": "same\n",
            "dbt_project/macros/n.sql": "new\n",
        },
    )
    changes = code_changes(then, now)
    assert [(each.kind, each.name, each.before, each.after) for each in changes] == [
        ("macro", "dbt_project/macros/n.sql", "", "1 lines: 1 new, 0 gone"),
        ("model", "dbt_project/models/features/f.sql", "1 lines", "1 lines: 1 new, 1 gone"),
        ("code", "ml/old.py", "1 lines", ""),
    ]
    assert "-select 1\n+select 2" in changes[1].diff
    assert code_changes(then, then) == ()


def test_values_that_agree_are_not_told() -> None:
    assert value_changes("metric", {"auc": 0.7, "loss": 0.4}, {"auc": 0.7, "loss": 0.5}) == (
        Difference("metric", "loss", "0.4", "0.5"),
    )
