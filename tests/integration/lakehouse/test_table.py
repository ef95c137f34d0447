"""A pin outlives a full refresh of its table, one recreated is refused; the log tells what Spark would.

Files are their owner's alone.
"""

import pytest
from pyspark.sql import SparkSession

from lakehouse.delta.table import current_version, local_commits, local_folder, read_at
from lakehouse.errors import LakehouseError


def test_a_pin_outlives_create_or_replace_but_not_drop_and_create(spark: SparkSession, schema: str) -> None:
    name = f"{schema}.refreshed"
    spark.sql(f"create table {name} using delta as select 1 as id")
    pinned = current_version(spark, name)
    spark.sql(f"create or replace table {name} using delta as select 2 as id, 'b' as more")
    assert current_version(spark, name).table_id != pinned.table_id
    assert [row.asDict() for row in read_at(spark, pinned).collect()] == [{"id": 1}]

    spark.sql(f"drop table {name}")
    spark.sql(f"create table {name} using delta as select 1 as id")
    with pytest.raises(LakehouseError, match="dropped and recreated"):
        read_at(spark, pinned)


def test_the_log_tells_the_commits_that_describe_history_tells(spark: SparkSession, schema: str) -> None:
    name = f"{schema}.changed"
    spark.sql(
        f"create table {name} using delta options ('userMetadata' = '{{\"days\": []}}') as select 1 as id"
    )
    spark.sql(f"insert into {name} values (2)")
    spark.sql(f"alter table {name} set tblproperties ('k' = 'v')")
    told = spark.sql(f"describe history {name}").select("version", "operation", "userMetadata").collect()
    found = local_commits(name)
    assert found is not None
    assert [tuple(row) for row in told] == [
        (commit["version"], commit["operation"], commit["userMetadata"]) for commit in found
    ]
    assert local_commits(name, 2) == found[:2]
    assert [commit["timestamp"] for commit in found] == sorted(
        (commit["timestamp"] for commit in found), reverse=True
    )
    assert local_commits(f"{schema}.nothing") is None


def test_files_of_a_table_are_their_owners_alone(spark: SparkSession, schema: str) -> None:
    name = f"{schema}.private"
    spark.sql(f"create table {name} using delta as select 1 as id")
    spark.sql(f"insert into {name} values (2)")
    folder = local_folder(name)
    assert folder is not None
    files = [folder, *folder.rglob("*")]
    assert len(files) > 4
    assert {path.name for path in files if path.stat().st_mode & 0o077} == set()
