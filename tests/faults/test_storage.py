"""Files of a table that a disk lost, cut or emptied: an error, or the right rows; never fewer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from expectations import gate
from expectations.suite import Suite, unique
from lakehouse.delta.log import check_log
from lakehouse.delta.publications import publish
from lakehouse.delta.table import TableVersion, current_version, local_folder, read_at
from lakehouse.errors import LakehouseError

ROWS = 3


@pytest.fixture
def table(spark: SparkSession, schema: str) -> TableVersion:
    """Three commits of a row each."""
    name = f"{schema}.readings_{schema}"
    spark.sql(f"create table {name} using delta as select 0 as id")
    for number in range(1, ROWS):
        spark.sql(f"insert into {name} select {number}")
    return current_version(spark, name)


def _newest_commit(table: TableVersion) -> Path:
    folder = local_folder(table.name)
    assert folder is not None
    return folder / "_delta_log" / f"{table.version:020}.json"


def _damage(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))
    # Hadoop's checksum would notice a bad disk; what was never synced has none, or one that fits.
    path.with_name(f".{path.name}.crc").unlink(missing_ok=True)


def _empty(_: bytes) -> bytes:
    return b""


def _without_last_line(content: bytes) -> bytes:
    return b"".join(content.splitlines(keepends=True)[:-1])


@pytest.mark.parametrize("change", [_empty, _without_last_line])
def test_a_commit_that_was_cut_is_refused_by_reader_gate_and_release(
    spark: SparkSession, table: TableVersion, declared: Callable[..., None], change: Callable[[bytes], bytes]
) -> None:
    _damage(_newest_commit(table), change)
    # Spark itself reads on, without the row: that is the fault.
    assert spark.sql(f"select sum(id) from {table.name}").collect()[0][0] == 1
    declared(Suite(table=table.name, gate="features", key=("id",), day=None, rows=(unique("id"),)))
    calls: list[Callable[[], Any]] = [
        lambda: read_at(spark, table),
        lambda: gate.check(spark, "features"),
        lambda: publish(spark, [table], "features", "test"),
    ]
    for call in calls:
        with pytest.raises(LakehouseError, match=r"(?s)is damaged.*backup"):
            call()


def test_what_is_written_after_a_lost_commit_does_not_hide_it(
    spark: SparkSession, table: TableVersion
) -> None:
    _damage(_newest_commit(table), _empty)
    spark.sql(f"insert into {table.name} select 9")
    with pytest.raises(LakehouseError, match="is damaged"):
        read_at(spark, current_version(spark, table.name))


@pytest.mark.parametrize("left", [None, b"", b'{"numFi', b"[]"])
def test_a_commit_whose_note_was_never_written_or_cut_is_read(
    spark: SparkSession, table: TableVersion, left: bytes | None
) -> None:
    note = _newest_commit(table).with_suffix(".crc")
    note.unlink()
    note.with_name(f".{note.name}.crc").unlink(missing_ok=True)
    if left is not None:
        note.write_bytes(left)
    assert read_at(spark, table).count() == ROWS


@pytest.mark.parametrize("change", [None, lambda content: content[: len(content) // 2]])
def test_a_data_file_that_is_gone_or_cut_fails_the_read(
    spark: SparkSession, table: TableVersion, change: Callable[[bytes], bytes] | None
) -> None:
    folder = _newest_commit(table).parent.parent
    file = next(folder.glob("*.parquet"))
    file.unlink() if change is None else _damage(file, change)
    # The log is whole: it is the file that is not.
    check_log(folder, table.version)
    with pytest.raises(PySparkException, match="FAILED_READ_FILE"):
        read_at(spark, table).agg({"id": "sum"}).collect()
