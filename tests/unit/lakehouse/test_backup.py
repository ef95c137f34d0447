"""A backup holds all that matters or does not exist, and a restore gives its bytes back or nothing."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakehouse.backup.carry import Move, backup, restore
from lakehouse.backup.contents import FILES, LIST
from lakehouse.errors import LakehouseError
from lakehouse.settings import Settings

TABLE = "tables/bronze.db/weather"


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    """A warehouse that no engine has seen: a table, an empty schema, MLflow's database, a token."""
    config = Settings(warehouse=tmp_path / "here")
    write_deltalake(config.warehouse / TABLE, pa.table({"id": [1, 2]}))
    log = config.warehouse / TABLE / "_delta_log" / f"{0:020}.json"
    os.utime(log, ns=(1_400_000_000_123_456_789, 1_400_000_000_123_456_789))
    (config.tables_dir / "published.db").mkdir()
    for folder in (config.mlflow_dir, config.engine_dir):
        folder.mkdir()
    (config.engine_dir / "token").write_text("a secret")
    with closing(sqlite3.connect(config.mlflow_dir / "mlflow.db")) as database, database:
        database.execute("create table runs (id int)")
        database.execute("insert into runs values (1)")
    return config


@pytest.fixture
def there(tmp_path: Path) -> Settings:
    return Settings(warehouse=tmp_path / "there")


def _unfinished(folder: Path) -> list[Path]:
    return list(folder.glob(".*unfinished*"))


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_what_was_backed_up_is_restored_with_its_times_and_without_the_engine(
    here: Settings, there: Settings, tmp_path: Path
) -> None:
    moves: list[Move] = []
    made = backup(tmp_path / "backup", config=here)
    restored = restore(tmp_path / "backup", moves.append, config=there)
    before, after = _files(here.warehouse), _files(there.warehouse)
    assert before.pop("engine/token") and before.pop("engine/start.lock") == b""
    assert (made.files, made.size_bytes) == (len(before), sum(map(len, before.values())))
    # SQLite counts its own copying in the file's first page.
    assert len(before.pop("mlflow/mlflow.db")) == len(after.pop("mlflow/mlflow.db"))
    assert after == before
    assert (restored.folder, restored.warehouse) == (there.warehouse, here.warehouse)
    assert [(move.before, move.after) for move in moves] == [(here.warehouse, there.warehouse)]
    log = Path(TABLE) / "_delta_log" / f"{0:020}.json"
    assert (there.warehouse / log).stat().st_mtime_ns == 1_400_000_000_123_456_789
    assert (there.tables_dir / "published.db").is_dir()
    assert not there.engine_dir.exists()


def test_a_database_that_is_open_is_copied_between_two_transactions(
    here: Settings, there: Settings, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(here.mlflow_dir / "mlflow.db", isolation_level=None)) as page:
        page.execute("pragma journal_mode = wal")
        page.execute("insert into runs values (2)")
        page.execute("begin")
        page.execute("insert into runs values (3)")
        assert (here.mlflow_dir / "mlflow.db-wal").stat().st_size > 0
        backup(tmp_path / "backup", config=here)
    restore(tmp_path / "backup", lambda _: None, config=there)
    assert [path.name for path in there.mlflow_dir.iterdir()] == ["mlflow.db"]
    with closing(sqlite3.connect(there.mlflow_dir / "mlflow.db")) as database:
        assert database.execute("select id from runs order by id").fetchall() == [(1,), (2,)]


def _exists(here: Settings) -> Path:
    (here.warehouse.parent / "taken").mkdir()
    return here.warehouse.parent / "taken"


def _inside(here: Settings) -> Path:
    return here.warehouse / "backup"


def _too_large(here: Settings) -> Path:
    """A file without blocks on the disk that says it is larger than any."""
    large = here.warehouse / "landing"
    large.touch()
    os.truncate(large, 12 * 2**40)
    return here.warehouse.parent / "backup"


def _broken_log(here: Settings) -> Path:
    (here.warehouse / TABLE / "_delta_log" / f"{0:020}.json").write_text("{")
    return here.warehouse.parent / "backup"


def _no_tables(here: Settings) -> Path:
    shutil.rmtree(here.tables_dir)
    return here.warehouse.parent / "backup"


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (_exists, "taken exists"),
        (_inside, "lies in the warehouse"),
        (_too_large, r"12288\.0 GiB are needed in .*, and .* are free"),
        (_broken_log, "the Delta log of .*/tables/bronze.db/weather cannot be read"),
        (_no_tables, "here holds no tables"),
    ],
)
def test_a_backup_that_cannot_be_whole_is_refused(
    prepare: Callable[[Settings], Path], message: str, here: Settings
) -> None:
    folder = prepare(here)
    with pytest.raises(LakehouseError, match=message):
        backup(folder, config=here)
    assert not folder.exists() or not list(folder.iterdir())
    assert not _unfinished(folder.parent)


def _lose(folder: Path) -> None:
    (folder / FILES / "mlflow" / "mlflow.db").unlink()


def _alter(folder: Path) -> None:
    path = next((folder / FILES / TABLE).glob("*.parquet"))
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)


def _unlist(folder: Path) -> None:
    (folder / LIST).unlink()


def _cut_list(folder: Path) -> None:
    (folder / LIST).write_text((folder / LIST).read_text()[:-20])


def _other_format(folder: Path) -> None:
    text = (folder / LIST).read_text()
    (folder / LIST).write_text(text.replace('"format_version": 1', '"format_version": 2'))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_lose, "1 of 3 files are missing or altered: mlflow/mlflow.db"),
        (_alter, r"1 of 3 files are missing or altered: tables/bronze.db/weather/part-.*\.parquet"),
        (_unlist, "is not a backup: it has no backup.json"),
        (_cut_list, "backup.json is damaged"),
        (_other_format, "has format 2, this code knows 1"),
    ],
)
def test_a_damaged_backup_is_refused_and_what_is_damaged_is_named(
    damage: Callable[[Path], None], message: str, here: Settings, there: Settings, tmp_path: Path
) -> None:
    backup(tmp_path / "backup", config=here)
    damage(tmp_path / "backup")
    with pytest.raises(LakehouseError, match=message):
        restore(tmp_path / "backup", lambda _: None, config=there)
    assert not there.warehouse.exists()
    assert not _unfinished(tmp_path)


@pytest.mark.parametrize(
    "setting",
    [{"metastore_url": "jdbc:postgresql://db/hive"}, {"dagster_database": "postgresql+psycopg2://db/d"}],
)
def test_a_second_warehouse_takes_no_database_of_the_first(
    here: Settings, tmp_path: Path, setting: dict[str, str]
) -> None:
    backup(tmp_path / "backup", config=here)
    there = Settings.model_validate({"warehouse": tmp_path / "there", **setting})
    with pytest.raises(LakehouseError, match=f"the backup is of {here.warehouse}, and LAKEHOUSE_.* may name"):
        restore(tmp_path / "backup", lambda _: None, config=there)
    assert not there.warehouse.exists()


def test_a_warehouse_is_never_overwritten(here: Settings, tmp_path: Path) -> None:
    backup(tmp_path / "backup", config=here)
    before = _files(here.warehouse)
    with pytest.raises(LakehouseError, match="here is not empty"):
        restore(tmp_path / "backup", lambda _: None, config=here)
    assert _files(here.warehouse) == before


def test_a_restore_that_fails_half_way_leaves_nothing(
    here: Settings, there: Settings, tmp_path: Path
) -> None:
    def fail(move: Move) -> None:
        raise LakehouseError(f"no way to {move.after}")

    backup(tmp_path / "backup", config=here)
    there.warehouse.mkdir()
    with pytest.raises(LakehouseError, match="no way to"):
        restore(tmp_path / "backup", fail, config=there)
    assert not list(there.warehouse.iterdir())
    assert not _unfinished(tmp_path)
    restore(tmp_path / "backup", lambda _: None, config=there)
    assert (there.warehouse / TABLE).is_dir()


def test_a_killed_backup_leaves_nothing_that_looks_whole(here: Settings, tmp_path: Path) -> None:
    here.landing_dir.mkdir()
    for number in range(5):
        large = here.landing_dir / str(number)
        large.touch()
        os.truncate(large, 2**29)
    victim = subprocess.Popen(
        [Path(sys.executable).with_name("lakehouse"), "backup", str(tmp_path / "backup")],
        env=os.environ | {"LAKEHOUSE_WAREHOUSE": str(here.warehouse)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert victim.stderr is not None
    assert any("10 % of 2.5 GiB" in line for line in victim.stderr)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    (left,) = _unfinished(tmp_path)
    assert (left / FILES / "landing" / "0").exists(), "it was killed at work"
    assert not (left / FILES / TABLE).exists(), "it was killed at work"
    assert not (tmp_path / "backup").exists()
    with pytest.raises(LakehouseError, match="is not a backup"):
        restore(left, lambda _: None, config=Settings(warehouse=tmp_path / "there"))
    shutil.rmtree(left)
    shutil.rmtree(here.landing_dir)
    backup(tmp_path / "backup", config=here)


def test_a_warehouse_with_tables_in_a_store_takes_no_backup(here: Settings, tmp_path: Path) -> None:
    backup(tmp_path / "backup", config=here)
    there = Settings(warehouse=tmp_path / "there", tables="s3a://team/lake")
    with pytest.raises(LakehouseError, match="LAKEHOUSE_TABLES is set"):
        restore(tmp_path / "backup", lambda _: None, config=there)
    assert not there.warehouse.exists()
