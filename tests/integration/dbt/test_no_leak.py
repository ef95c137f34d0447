"""Times can lie: whatever became known after an instant, no feature of a flight asked before it changes."""

import pytest

# A dbt build of its own: minutes, not seconds.
pytestmark = pytest.mark.slow

INSTANT = "timestamp'2013-09-03 17:00:00'"


def test_scrambling_what_came_later_changes_no_earlier_feature(story) -> None:
    lakehouse = story.lakehouse
    spark, bronze = lakehouse.spark, f"{lakehouse.schema}_scrambled_bronze"
    features = f"{lakehouse.schema}_scrambled"
    later_event = f"reported_at + interval 15 minutes > {INSTANT}"
    later_weather = f"observed_at + interval 75 minutes > {INSTANT}"
    scrambled = {
        "flight_actuals": f"* except (delay_minutes), if({later_event}, "
        "cast(pmod(xxhash64(flight_number, sched_dep_at), 240) - 20 as int), delay_minutes) as delay_minutes",
        "weather_observations": "* except (temperature_f, wind_speed_mph), "
        f"if({later_weather}, pmod(observed_at::long, 97), temperature_f) as temperature_f, "
        f"if({later_weather}, pmod(observed_at::long, 41), wind_speed_mph) as wind_speed_mph",
    }
    spark.sql(f"create schema {bronze}")
    try:
        for row in spark.sql(f"show tables in {lakehouse.bronze}").collect():
            name = row["tableName"]
            spark.sql(
                f"create table {bronze}.{name} using delta as "
                f"select {scrambled.get(name, '*')} from {lakehouse.bronze}.{name}"
            )
        lakehouse.dbt(
            *("build", "--select", "+flight_features", "--exclude-resource-type", "test", "unit_test"),
            schema=features,
            bronze_schema=bronze,
        )
        honest = lakehouse.table("flight_features")
        other = lakehouse.table("flight_features", features).select(honest.columns)
        earlier, later = f"predict_at <= {INSTANT}", f"predict_at > {INSTANT}"
        assert honest.where(earlier).count() > 1500
        assert honest.where(earlier).exceptAll(other.where(earlier)).isEmpty()
        assert other.where(earlier).exceptAll(honest.where(earlier)).isEmpty()
        # The fault was there to be seen: flights asked later look different.
        assert not honest.where(later).exceptAll(other.where(later)).isEmpty()
    finally:
        spark.sql(f"drop schema {bronze} cascade")
        spark.sql(f"drop schema if exists {features} cascade")
