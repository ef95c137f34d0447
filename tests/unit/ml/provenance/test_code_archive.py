"""The code's archive: the same bytes each time, and only plain files below a folder come out of one."""

import io
import tarfile
from pathlib import Path

import pytest

from lakehouse.errors import LakehouseError
from ml.provenance.code_archive import archive, unpack, unpack_files


def test_an_archive_has_the_working_tree_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in (
        "dbt_project.yml",
        "dbt_project/models/a.sql",
        "sources/s.yml",
        "ml/specs/m.yml",
        "requirements.lock",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "dbt_project" / "target").mkdir()
    (tmp_path / "dbt_project" / "target" / "manifest.json").write_text("{}")
    (tmp_path / "secret.env").write_text("no")
    first = archive(tmp_path)
    (tmp_path / "dbt_project.yml").touch()

    assert archive(tmp_path) == first
    assert first[4:8] == bytes(4), "gzip's own time"
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        assert tar.getnames() == [
            "dbt_project/models/a.sql", "dbt_project.yml", "ml/specs/m.yml",
            "requirements.lock", "sources/s.yml",
        ]  # fmt: skip
    (tmp_path / "dbt_project" / "models" / "a.sql").write_text("changed")
    assert archive(tmp_path) != first
    unpacked = unpack(first, tmp_path / "unpacked")
    assert (unpacked / "dbt_project" / "models" / "a.sql").read_text() == "dbt_project/models/a.sql"


def _tar(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarFile:
    """A tar of a good file, one member of this name and kind, and another good file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for each, its_kind in (("first", tarfile.REGTYPE), (name, kind), ("last", tarfile.REGTYPE)):
            entry = tarfile.TarInfo(each)
            entry.type, entry.linkname = its_kind, "first"
            tar.addfile(entry)
    buffer.seek(0)
    return tarfile.open(fileobj=buffer)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../outside", tarfile.REGTYPE),
        ("a/../../outside", tarfile.REGTYPE),
        ("/outside", tarfile.REGTYPE),
        ("link", tarfile.SYMTYPE),
        ("link", tarfile.LNKTYPE),
        ("folder", tarfile.DIRTYPE),
        ("pipe", tarfile.FIFOTYPE),
    ],
)
def test_what_is_no_plain_file_below_the_folder_is_refused(tmp_path: Path, name: str, kind: bytes) -> None:
    folder = tmp_path / "folder"
    with pytest.raises(LakehouseError, match=f"the archive's {name} is not a plain file below its folder"):
        unpack_files(_tar(name, kind), folder)
    assert [path.relative_to(folder) for path in tmp_path.rglob("*") if path.is_file()] == [Path("first")]


def test_files_in_folders_are_unpacked_and_counted(tmp_path: Path) -> None:
    assert unpack_files(_tar("a/b/c"), tmp_path) == 3
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"first", "c", "last"}
