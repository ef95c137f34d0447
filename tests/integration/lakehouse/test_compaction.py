"""Small files are put together: rows, older versions and what builds and gates know of them stay."""

import json
from datetime import date, timedelta

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from commands.app import build
from expectations.days import changed_days
from expectations.suite import day_column
from lakehouse.dbt.increments import days_replaced, landed_between
from lakehouse.dbt.notes import commits
from lakehouse.delta import compaction
from lakehouse.delta.compaction import compact, small_files
from lakehouse.delta.table import create_table, current_version, read_at
from lakehouse.errors import LakehouseError

FILES = 5


@pytest.fixture(params=[(), ("day",)], ids=["plain", "clustered"])
def crowded(spark: SparkSession, schema: str, request: pytest.FixtureRequest) -> str:
    """A table with a file for each of some days."""
    name = f"{schema}.days_{schema}"
    create_table(spark, name, [("day", "date"), ("number", "int")], cluster_by=request.param)
    for offset in range(FILES):
        day = date(2013, 1, 1) + timedelta(days=offset)
        spark.sql(f"insert into {name} values (date '{day}', {offset})")
    return name


def _files(name: str) -> int:
    return next(each.files for each in small_files() if each.name == name)


def test_files_are_put_together_and_nothing_else_changes(spark: SparkSession, crowded: str) -> None:
    before = current_version(spark, crowded)
    rows = sorted(read_at(spark, before).collect())
    (done,) = compact(spark, [crowded])
    assert (done.files_before, done.files_after, done.problem) == (FILES, 1, None)
    now = current_version(spark, crowded)
    assert now.version > before.version
    assert sorted(read_at(spark, now).collect()) == sorted(read_at(spark, before).collect()) == rows
    # No day is computed or checked again for it.
    assert days_replaced(commits(spark, crowded), before.version, now.version) == ()
    assert changed_days(spark, day_column("day"), before, now) == set()


def test_a_second_time_changes_nothing(spark: SparkSession, crowded: str) -> None:
    compact(spark, [crowded])
    once = current_version(spark, crowded)
    (done,) = compact(spark, [crowded])
    assert (done.files_before, done.files_after) == (1, 1)
    assert current_version(spark, crowded) == once


def test_of_bronze_the_ledgers_alone_are_taken(
    spark: SparkSession, crowded: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert crowded not in [each.name for each in small_files(bronze=schema)]
    monkeypatch.setattr(compaction, "_LEDGERS", (crowded,))
    assert crowded in [each.name for each in small_files(bronze=schema)]


def test_nothing_has_landed_by_it(spark: SparkSession, crowded: str) -> None:
    before = current_version(spark, crowded)
    compact(spark, [crowded])
    assert _files(crowded) == 1
    now = current_version(spark, crowded)
    assert landed_between(commits(spark, crowded), before.version, now.version) == landed_between([], 0, 0)


@pytest.mark.parametrize("arguments", [["--dry-run"], []])
def test_the_command_takes_what_has_too_many(
    spark: SparkSession, crowded: str, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    everywhere = compaction.crowded

    def found() -> list[compaction.SmallFiles]:
        return [each for each in everywhere() if each.name == crowded]

    from orchestration import maintenance

    def told(output: str) -> list[dict[str, object]]:
        said = json.loads(output[output.index("[" if arguments else "{") :])
        return said if arguments else said["compacted"]

    monkeypatch.setattr(compaction, "crowded", found)
    monkeypatch.setattr(maintenance, "crowded", found)
    nothing = CliRunner().invoke(build("maintain"), ["maintain", "--json", *arguments])
    assert told(nothing.stdout) == []
    assert _files(crowded) == FILES
    monkeypatch.setattr(compaction, "MOST_SMALL_FILES", FILES - 1)
    done = CliRunner().invoke(build("maintain"), ["maintain", "--json", *arguments])
    (each,) = told(done.stdout)
    assert each["name"] == crowded
    assert _files(crowded) == (FILES if arguments else 1)


def test_another_servers_tables_are_left(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_REMOTE", "sc://elsewhere:15002")
    with pytest.raises(LakehouseError, match="only tables on the disk of the project's own engine"):
        compact(spark, [])
