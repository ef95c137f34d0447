"""What stands in the YAML of models holds in Delta: properties, clustering, comments, constraints."""

import json

import pytest
from pyspark.errors import PySparkException

from lakehouse.dbt.manifest import current_models, times_of_rows
from lakehouse.delta.retention import property_problems, warehouse_tables
from lakehouse.errors import LakehouseError

# Several dbt builds: minutes, not seconds.
pytestmark = pytest.mark.slow


def test_each_commit_is_one_statement_that_keeps_everything(story) -> None:
    lakehouse = story.lakehouse
    operations = [commit["operation"] for commit in lakehouse.commits("flight_features")]
    assert operations == ["WRITE", "WRITE", "CREATE OR REPLACE TABLE AS SELECT"]
    detail = lakehouse.spark.sql(f"describe detail {lakehouse.schema}.flight_features").collect()[0]
    assert detail["clusteringColumns"] == ["flight_date"]
    kept = detail["properties"]
    assert kept["delta.constraints.flight_id_not_null"] == "`flight_id` is not null"


def test_every_table_keeps_its_versions(story) -> None:
    schema = story.lakehouse.schema
    folders = {name: folder for name, folder in warehouse_tables().items() if name.startswith(f"{schema}.")}
    assert len(folders) > len(story.tables)
    assert property_problems(folders) == {}


def test_every_column_of_every_table_has_its_comment(story) -> None:
    lakehouse = story.lakehouse
    missing = []
    for name in story.tables:
        columns = lakehouse.table(name).columns
        described = lakehouse.spark.sql(f"describe {lakehouse.schema}.{name}").collect()[: len(columns)]
        missing += [f"{name}.{row['col_name']}" for row in described if not row["comment"]]
    assert missing == []


def test_a_row_that_breaks_a_constraint_fails_before_the_commit(story) -> None:
    lakehouse = story.lakehouse
    table = f"{lakehouse.schema}.flight_training_set"
    before = lakehouse.commits("flight_training_set")[0]["version"]
    with pytest.raises(PySparkException, match="label_after_prediction"):
        lakehouse.spark.sql(
            f"update {table} set label_known_at = predict_at where flight_date = '2013-09-02'"
        )
    assert lakehouse.commits("flight_training_set")[0]["version"] == before


def test_a_table_with_other_columns_is_refused_by_name(story) -> None:
    lakehouse = story.lakehouse
    table = f"{lakehouse.full}.feat_aircraft_legs"
    # As if the model had lost the column since.
    lakehouse.spark.sql(f"alter table {table} add columns (leg_comment string)")
    day = "2013-09-02"
    with pytest.raises(LakehouseError, match=r"Target columns not in source:.*leg_comment"):
        lakehouse.dbt(
            "run", "--select", "feat_aircraft_legs", schema=lakehouse.full, start_date=day, end_date=day
        )


def test_docs_tell_rows_bytes_and_columns(story) -> None:
    lakehouse = story.lakehouse
    lakehouse.dbt("docs", "generate")
    catalog = json.loads((lakehouse.target(lakehouse.schema) / "catalog.json").read_text())
    told = catalog["nodes"]["model.lakehouse.flight_features"]
    rows = lakehouse.table("flight_features").count()
    assert told["stats"]["rows"]["value"] == rows > 1000
    assert told["stats"]["bytes"]["value"] > rows
    assert list(told["columns"]) == lakehouse.table("flight_features").columns


def test_a_planted_leak_of_each_feature_table_is_caught(story) -> None:
    lakehouse = story.lakehouse
    spark, features = lakehouse.spark, f"{lakehouse.full}.flight_features"
    times = times_of_rows(current_models().node("flight_features"))
    # A flight for each stored time: what it joined would have been known a minute too late.
    flights = [
        row["flight_id"]
        for row in spark.sql(f"select flight_id from {features} order by flight_id").take(len(times))
    ]
    leaks = dict(zip(times, flights, strict=True))
    planted = ", ".join(
        f"{time} = if(flight_id = '{flight}', predict_at + interval 1 minute, {time})"
        for time, flight in leaks.items()
    )
    spark.sql(f"update {features} set {planted} where flight_id in {tuple(flights)}")
    with pytest.raises(LakehouseError, match=rf"Got {len(leaks)} results, configured to fail if != 0"):
        lakehouse.dbt("test", "--select", "flight_features,test_name:known_by", schema=lakehouse.full)
