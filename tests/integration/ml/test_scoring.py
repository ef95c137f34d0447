"""Scoring a small published feature table: written once, bit for bit, whatever else is scored with it."""

from datetime import date

import mlflow
import numpy as np
import pytest
from pyspark.sql import DataFrame, Row

from lakehouse.delta.table import current_version, read_at
from lakehouse.errors import LakehouseError
from ml.data.columns import columns_of
from ml.model.bundle import read_files
from ml.scoring.inference import score_version, with_scores
from ml.scoring.score import score
from ml.tracking.registry import model_by_alias
from ml.training.train import TrainedModel
from tests.integration.ml.conftest import Platform


def test_scoring_twice_leaves_an_identical_table(platform: Platform, model: TrainedModel) -> None:
    spark, spec, table = platform.spark, platform.spec, platform.spec.predictions_table
    first = score(spark, spec, date(2013, 9, 3), date(2013, 9, 5), models=platform.models)
    assert (first.rows_scored, first.rows_written, first.not_due) == (24, 24, 0)
    before = spark.table(table).orderBy("prediction_id").toPandas()

    again = score(spark, spec, date(2013, 9, 3), date(2013, 9, 5), models=platform.models)
    wider = score(spark, spec, date(2013, 9, 2), date(2013, 9, 5), models=platform.models)

    assert again.rows_written == 0
    assert again.table_version == first.table_version
    assert wider.rows_written == 8
    after = spark.table(table).where("flight_date >= '2013-09-03'").orderBy("prediction_id").toPandas()
    assert after.equals(before)


def test_a_different_score_stands_beside_the_first(platform: Platform, model: TrainedModel) -> None:
    spark, day = platform.spark, date(2013, 9, 10)
    score(spark, platform.spec, day, day, models=platform.models)
    flight = (
        spark.table(platform.features)
        .where(f"flight_date = '{day}'")
        .agg({"flight_id": "min"})
        .collect()[0][0]
    )
    spark.sql(
        f"update {platform.features} set wait_minutes = 119 - wait_minutes where flight_id = '{flight}'"
    )
    unpublished = score(spark, platform.spec, day, day, models=platform.models)
    (features,) = platform.publish(platform.features)

    published = score(spark, platform.spec, day, day, models=platform.models)

    assert (unpublished.rows_written, published.rows_written) == (0, 1)
    scores = (
        spark.table(platform.spec.predictions_table).where(f"flight_id = '{flight}'").orderBy("scored_at")
    )
    both = scores.collect()
    assert len({row["score"] for row in both}) == len(both) == 2
    assert both[1]["features_version"] == features.version


def test_what_the_model_does_not_know_stands_in_the_scores_row(
    platform: Platform, model: TrainedModel
) -> None:
    files = read_files(model_by_alias(model.model_name, "champion").folder)
    columns = columns_of(platform.models, platform.spec.features_model)
    known = platform.spark.table(platform.features).where("flight_id in ('f0300', 'f0301', 'f0302')")
    rows = known.selectExpr(
        "* except (carrier_code, origin_code, wind_mph, hour)",
        "if(flight_id = 'f0301', 'XX', carrier_code) as carrier_code",
        "case flight_id when 'f0301' then 'XXX' when 'f0302' then null else origin_code end as origin_code",
        "case flight_id when 'f0301' then double('nan') when 'f0300' then 9.5 end as wind_mph",
        "if(flight_id = 'f0302', null, hour) as hour",
    )
    found = {row["flight_id"]: row for row in with_scores(rows, columns, files).collect()}
    assert {key: (row["missing_features"], row["unseen_categories"]) for key, row in found.items()} == {
        "f0300": (0, None),
        "f0301": (1, "carrier_code, origin_code"),
        "f0302": (3, None),
    }
    assert all(0 < row["score"] < 1 for row in found.values())


def test_the_model_that_mlflow_loads_scores_to_the_same_bits(platform: Platform, model: TrainedModel) -> None:
    day = date(2013, 9, 20)
    score(platform.spark, platform.spec, day, day, models=platform.models)
    stored = platform.spark.table(platform.spec.predictions_table).where(f"flight_date = '{day}'")
    rows = (
        platform.spark.table(platform.features)
        .join(stored.select("flight_id", "score"), "flight_id")
        .toPandas()
    )
    integers = {name for name, kind in rows.dtypes.items() if kind == "int64"}

    loaded = mlflow.pyfunc.load_model(f"models:/{model.model_name}/{model.model_version}")
    # As the table has them: MLflow itself would take no int64 for a double.
    expected = loaded.predict(rows.drop(columns="score"))["score"]

    assert len(rows) == 8 and integers
    np.testing.assert_array_equal(rows.score.to_numpy(np.float32), expected.to_numpy())


def test_a_score_does_not_depend_on_what_is_scored_with_it(platform: Platform, model: TrainedModel) -> None:
    files = read_files(model_by_alias(model.model_name, "champion").folder)
    columns = columns_of(platform.models, platform.spec.features_model)
    rows = platform.spark.table(platform.features)

    def bits(df) -> dict[str, int]:
        return {row["flight_id"]: row["score_bits"] for row in with_scores(df, columns, files).collect()}

    together = bits(rows.coalesce(1))
    assert len(set(together.values())) > 700
    assert bits(rows.repartition(3, "wind_mph")) == together
    assert bits(rows.where("flight_id = 'f0300'")) == {"f0300": together["f0300"]}
    with pytest.raises(LakehouseError, match="the model needs wind_mph"):
        bits(rows.drop("wind_mph"))


def test_files_are_scored_as_sparks_rows_are(
    platform: Platform, model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    spark, name = platform.spark, f"{platform.schema}.in_files"
    rows = spark.table(platform.features)
    # A file that lacks a feature, and three that the newest version no longer has all of, in several tasks.
    monkeypatch.setattr("ml.scoring.inference._TASK_ROWS", 100)
    spark.sql(
        f"create table {name} using delta tblproperties ('delta.columnMapping.mode' = 'none') as "
        f"select * except (wind_mph) from {platform.features} where flight_date < '2013-08-01'"
    )
    spark.sql(f"alter table {name} add columns (wind_mph double)")
    later = rows.where("flight_date >= '2013-08-01'").select(*spark.table(name).columns)
    later.repartition(3).write.format("delta").mode("append").saveAsTable(name)
    # One without a day, in a file whose other rows are all scored.
    some = later.where("flight_date = '2013-08-20'")
    dayless = some.limit(1).selectExpr("* except (flight_date)", "cast(null as date) as flight_date")
    again = some.unionByName(dayless).selectExpr(
        "* except (flight_id)", "concat(flight_id, '+') as flight_id"
    )
    again.coalesce(1).write.format("delta").mode("append").saveAsTable(name)
    pinned = current_version(spark, name)
    spark.sql(f"delete from {name} where flight_date = '2013-08-15'")
    files = read_files(model_by_alias(model.model_name, "champion").folder)
    columns = columns_of(platform.models, platform.spec.features_model)
    start, end = date(2013, 7, 30), date(2013, 9, 2)

    def scores(scored: DataFrame) -> list[Row]:
        return scored.orderBy("flight_id").collect()

    of_files = scores(score_version(spark, pinned, columns, files, start, end))
    of_rows = with_scores(read_at(spark, pinned), columns, files)
    expected = scores(of_rows.where(of_rows.flight_date.between(start, end)))
    assert of_files == expected
    assert len(of_files) == 8 * 36
    assert {row["missing_features"] for row in of_files if row["flight_date"] < date(2013, 8, 1)} == {1}
    assert score_version(spark, pinned, columns, files, date(2012, 1, 1), date(2012, 1, 2)).count() == 0
    # Another server's workers may not see this machine's disk: Spark hands them the rows.
    monkeypatch.setattr("ml.scoring.inference.local_folder", lambda _: None)
    assert scores(score_version(spark, pinned, columns, files, start, end)) == expected
