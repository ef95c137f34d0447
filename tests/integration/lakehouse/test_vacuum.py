"""Vacuum frees what nothing needs, keeps what someone does, and refuses where it cannot know."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakehouse.delta.files import data_files
from lakehouse.delta.pins import Need, pin, pins, unpin
from lakehouse.delta.publications import publish
from lakehouse.delta.table import (
    TableVersion,
    create_table,
    current_version,
    location,
    read_at,
    table_properties,
)
from lakehouse.delta.vacuum import VacuumedTable, vacuum
from lakehouse.errors import LakehouseError

HOUR = 3600.0


@pytest.fixture
def name(spark: SparkSession, schema: str) -> str:
    """A table of ours; version 0 is empty."""
    table = f"{schema}.numbers_{schema}"
    create_table(spark, table, [("id", "int"), ("part", "string")])
    return table


def overwrite(spark: SparkSession, name: str, *ids: int) -> TableVersion:
    rows = ", ".join(f"({number}, 'a')" for number in ids)
    spark.sql(f"insert overwrite {name} values {rows}")
    return current_version(spark, name)


def ids(spark: SparkSession, version: TableVersion) -> list[int]:
    return sorted(row["id"] for row in read_at(spark, version).collect())


def on_disk(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*.parquet") if "_delta_log" not in path.parts
    }


def files_of(folder: Path, version: TableVersion) -> set[str]:
    return {str(path.relative_to(folder)) for path in data_files(folder, version.version)}


def vacuumed(spark: SparkSession, name: str, hours: int = 0, **options: Any) -> VacuumedTable | None:
    done = vacuum(spark, options.pop("needs", []), hours, tables=[name], **options)
    assert done.problems == ()
    return done.tables[0] if done.tables else None


def test_needed_versions_read_the_same_and_the_others_are_gone(spark: SparkSession, name: str) -> None:
    folder = location(spark, name)
    pinned = overwrite(spark, name, 1)
    published = overwrite(spark, name, 2)
    publish(spark, [published], "test", "test")
    modelled = overwrite(spark, name, 3)
    unneeded = overwrite(spark, name, 4)
    overwrite(spark, name, 5)
    hold = f"audit {name}"
    pin(spark, hold, pinned, "audit", "A. Lin")
    needs = [Need(modelled, "model m version 1", "champion")]
    before = on_disk(folder)

    told = vacuumed(spark, name, needs=needs, dry_run=True)
    assert on_disk(folder) == before
    assert told is not None
    assert set(told.freed) == files_of(folder, unneeded)
    assert told.freed_bytes == sum((folder / file).stat().st_size for file in told.freed)
    assert (told.kept_files, [(kept.who, kept.files) for kept in told.kept_for]) == (
        3,
        [("model m version 1", 1), (f"pin {hold}", 1), (f"published.{name.partition('.')[2]}", 1)],
    )

    assert vacuumed(spark, name, needs=needs) == told
    assert before - on_disk(folder) == set(told.freed)
    assert [ids(spark, version) for version in (pinned, published, modelled)] == [[1], [2], [3]]
    assert [row["id"] for row in spark.table(f"published.{name.partition('.')[2]}").collect()] == [2]
    assert [row["id"] for row in spark.table(name).collect()] == [5]
    with pytest.raises(PySparkException, match="FILE_NOT_EXIST"):
        ids(spark, unneeded)
    with pytest.raises(LakehouseError, match="cannot be pinned: 1 of its files are gone"):
        pin(spark, "too late", unneeded, "audit", "A. Lin")

    unpin(spark, hold, "B. Ray")
    assert hold not in [held.name for held in pins(spark)]
    let_go = vacuumed(spark, name, needs=needs)
    assert let_go is not None
    assert set(let_go.freed) == files_of(folder, pinned)


def test_a_pinned_version_outlives_optimize_and_full_refresh(spark: SparkSession, schema: str) -> None:
    name = f"{schema}.parts"
    properties = ", ".join(f"'{key}' = '{value}'" for key, value in table_properties().items())
    made = f"table {name} using delta partitioned by (part) tblproperties ({properties}) as select"
    spark.sql(f"create {made} 1 as id, 'a b/%ü' as part")
    spark.sql(f"insert into {name} values (2, 'a b/%ü')")
    folder, pinned = location(spark, name), current_version(spark, name)
    pin(spark, f"before {name}", pinned, "audit", "A. Lin")

    spark.sql(f"optimize {name}")
    optimized = current_version(spark, name)
    spark.sql(f"create or replace {made} 3 as id, 'c' as part")
    assert current_version(spark, name).table_id != pinned.table_id

    done = vacuumed(spark, name)
    assert done is not None
    assert set(done.freed) == files_of(folder, optimized)
    assert ids(spark, pinned) == [1, 2]
    assert [row["id"] for row in spark.table(name).collect()] == [3]


def test_bronze_and_what_is_recent_stay(spark: SparkSession, schema: str, name: str) -> None:
    folder = location(spark, name)
    superseded = overwrite(spark, name, 1)
    overwrite(spark, name, 2)
    left_behind, being_written = folder / "left_behind.parquet", folder / "being_written.parquet"
    for path in (left_behind, being_written):
        path.write_bytes(b"rows")
    two_days_ago = time.time() - 48 * HOUR
    for path in (left_behind, *data_files(folder, superseded.version)):
        os.utime(path, (two_days_ago, two_days_ago))

    assert vacuumed(spark, name, bronze=schema) is None
    done = vacuumed(spark, name, hours=24)
    assert done is not None
    assert done.freed == (left_behind.name,)
    assert being_written.exists()
    # Old as its file is, a query that began a moment ago may still read this version.
    assert ids(spark, superseded) == [1]


def test_a_clone_keeps_the_files_that_it_reads(spark: SparkSession, schema: str, name: str) -> None:
    overwrite(spark, name, 1)
    spark.sql(f"create table {schema}.copied shallow clone {name}")
    overwrite(spark, name, 2)
    done = vacuumed(spark, name)
    assert done is not None
    assert (done.freed, [kept.who for kept in done.kept_for]) == ((), [f"{schema}.copied"])
    assert [row["id"] for row in spark.table(f"{schema}.copied").collect()] == [1]


def test_the_log_outlives_its_retention(spark: SparkSession, schema: str) -> None:
    name = f"{schema}.checkpointed"
    columns = [("id", "int"), ("part", "string")]
    create_table(spark, name, columns, properties={"delta.checkpointInterval": "2"})
    pinned = overwrite(spark, name, 1)
    overwrite(spark, name, 2)
    log = location(spark, name) / "_delta_log"
    two_years_ago = time.time() - 800 * 24 * HOUR
    for commit in log.glob("*.json"):
        os.utime(commit, (two_years_ago, two_years_ago))
    for number in (3, 4):
        overwrite(spark, name, number)
    assert (log / f"{4:020}.checkpoint.parquet").exists()
    assert DeltaTable(log.parent, version=pinned.version).version() == pinned.version


def recreate(spark: SparkSession, name: str, _: Path) -> None:
    spark.sql(f"drop table {name}")
    create_table(spark, name, [("id", "int"), ("part", "string")])
    overwrite(spark, name, 1)


def cut_the_log(_: SparkSession, __: str, folder: Path) -> None:
    DeltaTable(folder).create_checkpoint()
    for version in (0, 1):
        (folder / "_delta_log" / f"{version:020}.json").unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [(recreate, "the table was dropped and recreated"), (cut_the_log, "the log does not reach version 1")],
)
def test_a_need_that_cannot_be_met_keeps_its_table_and_the_others_are_vacuumed(
    spark: SparkSession,
    schema: str,
    name: str,
    damage: Callable[[SparkSession, str, Path], None],
    said: str,
) -> None:
    needed = overwrite(spark, name, 1)
    overwrite(spark, name, 2)
    overwrite(spark, name, 3)
    sound = f"{schema}.sound_{schema}"
    create_table(spark, sound, [("id", "int"), ("part", "string")])
    unneeded = overwrite(spark, sound, 1)
    overwrite(spark, sound, 2)
    folder = location(spark, name)
    damage(spark, name, folder)
    before = on_disk(folder)
    gone = files_of(location(spark, sound), unneeded)
    needs = [Need(needed, "model m version 1", "champion")]

    done = vacuum(spark, needs, 0, tables=[name, sound])

    assert on_disk(folder) == before
    (problem,) = done.problems
    assert problem.startswith(f"model m version 1 (champion) needs {name}@v1, but ") and said in problem
    assert [(table.name, set(table.freed)) for table in done.tables] == [(sound, gone)]


def test_what_was_lost_before_is_told(spark: SparkSession, schema: str, name: str) -> None:
    damaged = overwrite(spark, name, 1)
    (lost_file,) = data_files(location(spark, name), damaged.version)
    lost_file.unlink()
    needs = [
        Need(damaged, "model m version 1", "champion"),
        Need(TableVersion(f"{schema}.gone", "an id", 3), "model m version 2", "previous"),
    ]
    overwrite(spark, name, 2)
    lost = vacuum(spark, needs, 0, tables=[name]).lost
    assert f"{needs[0]}, but 1 of its files are gone, {lost_file.name} first" in lost
    assert f"{needs[1]}, but there is no such table" in lost
