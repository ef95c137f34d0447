"""After a year and more, old versions are read, and a vacuum frees what it may."""

import os
import time
from pathlib import Path

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from commands.app import build
from lakehouse.delta.pins import Need
from lakehouse.delta.table import TableVersion, create_table, current_version, location, read_at
from lakehouse.delta.vacuum import Vacuumed, vacuum
from lakehouse.doctor import check_machine, fix_tables
from ml.provenance.needs import ModelNeeds

DAY = 24 * 3600.0
YEAR_OLD = {
    "delta.logRetentionDuration": "interval 365 days",
    "delta.deletedFileRetentionDuration": "interval 365 days",
}


def aged(spark: SparkSession, name: str, properties: dict[str, str] | None = None) -> TableVersion:
    """A table whose first row was written 400 days ago and replaced since."""
    create_table(spark, name, [("id", "int")], properties=properties)
    spark.sql(f"insert into {name} values (1)")
    old = current_version(spark, name)
    spark.sql(f"insert overwrite {name} values (2)")
    spark.sql(f"insert overwrite {name} values (3)")
    folder: Path = location(spark, name)
    then = time.time() - 400 * DAY
    for version in range(old.version + 1):
        os.utime(folder / "_delta_log" / f"{version:020}.json", (then, then))
    return old


def ids(spark: SparkSession, version: TableVersion) -> list[int]:
    return [row["id"] for row in read_at(spark, version).collect()]


def test_a_version_of_any_age_is_read_and_kept(spark: SparkSession, schema: str) -> None:
    name = f"{schema}.aged_{schema}"
    old = aged(spark, name)
    done = vacuum(spark, [Need(old, "model m version 1", "tag promotion")], 0, tables=[name])
    assert done.problems == ()
    assert [len(table.freed) for table in done.tables] == [1]
    assert ids(spark, old) == [1]


def test_a_table_of_before_is_named_left_alone_and_mended_by_doctor(
    spark: SparkSession, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, sound = f"{schema}.before_{schema}", f"{schema}.sound_{schema}"
    old = aged(spark, name, YEAR_OLD)
    aged(spark, sound)
    with pytest.raises(PySparkException, match="RETENTION"):
        ids(spark, old)

    needs = [Need(old, "model m version 1", "tag promotion")]
    done = vacuum(spark, needs, 0, tables=[name, sound], dry_run=True)
    assert [table.name for table in done.tables] == [sound]
    assert any(
        f"{name} has delta.deletedFileRetentionDuration = interval 365 days" in p for p in done.problems
    )
    assert any("is older than 365 days" in problem for problem in done.problems)
    assert not next(finding for finding in check_machine() if finding.what == "older versions stay").ok

    # The command names the problems, and its exit code says so.
    def found(*_: object, **__: object) -> Vacuumed:
        return done

    def nothing() -> ModelNeeds:
        return ModelNeeds((), ())

    monkeypatch.setattr("lakehouse.delta.vacuum.vacuum", found)
    monkeypatch.setattr("ml.provenance.needs.model_needs", nothing)
    answer = CliRunner().invoke(build("vacuum"), ["vacuum", "--dry-run"])
    assert answer.exit_code == 1
    assert f"{name} has delta.deletedFileRetentionDuration" in answer.stdout.replace("\n", " ")

    assert name in fix_tables()
    assert ids(spark, old) == [1]
    done = vacuum(spark, needs, 0, tables=[name])
    assert done.problems == () and [len(table.freed) for table in done.tables] == [1]
    assert next(finding for finding in check_machine() if finding.what == "older versions stay").ok
    assert name not in fix_tables()
