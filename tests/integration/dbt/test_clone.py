"""A developer's schema is filled without copying a file, and dbt goes on from there."""

import pytest

from lakehouse.delta.files import data_files
from lakehouse.delta.table import location
from tests.integration.dbt.conftest import SNAPSHOTS

pytestmark = pytest.mark.slow


def test_a_clone_has_all_rows_and_can_be_built_on(story) -> None:
    lakehouse = story.lakehouse
    spark, own = lakehouse.spark, f"{lakehouse.schema}_clone"
    try:
        cloned = lakehouse.dbt("clone", "--state", str(lakehouse.target(lakehouse.schema)), schema=own)
        assert set(cloned.results.values()) == {"success"}, cloned.output
        assert {row["tableName"] for row in spark.sql(f"show tables in {own}").collect()} >= {
            *story.tables,
            *SNAPSHOTS,
            "us_holidays",
        }
        for name in ("flight_features", *SNAPSHOTS):
            assert lakehouse.table(name, own).count() == lakehouse.table(name).count()
            folder = location(spark, f"{own}.{name}")
            assert not list(folder.glob("*.parquet"))
            assert data_files(folder) == data_files(location(spark, f"{lakehouse.schema}.{name}"))
        built = lakehouse.dbt("run", "--select", "feat_origin_weather", schema=own)
        assert set(built.results.values()) == {"success"}, built.output
        assert lakehouse.table("feat_origin_weather", own).count() == (
            lakehouse.table("feat_origin_weather").count()
        )
    finally:
        spark.sql(f"drop schema if exists {own} cascade")
