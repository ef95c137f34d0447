"""A pin outlives a full refresh of its table; a table made anew under its name is refused."""

import pytest
from pyspark.sql import SparkSession

from lakehouse.delta.table import current_version, read_at
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
    with pytest.raises(LakehouseError, match="dropped and made anew"):
        read_at(spark, pinned)
