"""The first stretch of the real graph on a day of real deliveries: bronze, its gate, some of dbt's nodes."""

import json
import re
import threading
from datetime import date
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from demo.publish import publish
from expectations.gate import override
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings
from orchestration.column_lineage import origins_of
from orchestration.instance import open_instance
from orchestration.run import RunSummary, materialize

# Days that no other test delivers: bronze is one schema for all of them.
GOOD_DAY = date(2013, 5, 4)
SHORT_DAY = date(2013, 5, 5)
RED_DAY = date(2013, 5, 6)
FORGOTTEN_DAY, NEXT_DAY = date(2013, 5, 1), date(2013, 5, 2)

BRONZE = 'group:bronze or key:"gates/bronze"'
# A table with its tests, and what it stands on: enough nodes to count, few enough to wait for.
DBT = (
    'key:"staging/stg_flight_schedule" or key:"staging/stg_airports" or key:"staging/airport_time_zones" '
    'or key:"intermediate/int_flights"'
)


@pytest.fixture(scope="module")
def good_run(warehouse: Path) -> RunSummary:
    publish(GOOD_DAY, GOOD_DAY)
    return materialize(f"{BRONZE} or {DBT}", (GOOD_DAY, GOOD_DAY))


def dbt_results(run_id: str) -> dict[str, str]:
    """What dbt wrote of this run: node → status."""
    (folder,) = (settings().dagster_home / "dbt").glob(f"{run_id[:8]}-*")
    results = json.loads((folder / "run_results.json").read_text())["results"]
    return {result["unique_id"]: result["status"] for result in results}


def test_dagster_has_an_event_for_every_node_that_dbt_built(
    spark: SparkSession, good_run: RunSummary
) -> None:
    built = dbt_results(good_run.run_id)
    models = [node for node in built if node.startswith(("model.", "seed.", "snapshot."))]
    tests = [node for node in built if node.startswith("test.")]
    assert models and tests and set(built.values()) <= {"success", "pass"}
    made = [key for key in good_run.materialized if key.startswith(("staging/", "intermediate/"))]
    checks = [check for check in good_run.checks if check.asset == "intermediate/int_flights"]
    assert (len(made), len(checks)) == (len(models), len(tests))


def test_a_table_is_shown_with_its_version_rows_and_columns(
    spark: SparkSession, good_run: RunSummary
) -> None:
    shown = good_run.metadata["bronze/flight_actuals"]
    assert shown["dagster/row_count"] == spark.table("bronze.flight_actuals").count()
    detail = spark.sql("describe detail bronze.flight_actuals").first()
    assert detail is not None and shown["delta_table_id"] == detail["id"]
    newest = spark.sql("describe history bronze.flight_actuals limit 1").first()
    assert newest is not None and shown["delta_version"] == newest["version"]
    flights = spark.table("intermediate.int_flights").where(f"flight_date = '{GOOD_DAY}'").count()
    assert good_run.metadata["intermediate/int_flights"]["dagster/partition_row_count"] == flights > 0


def test_each_column_says_from_which_columns_it_was_made(spark: SparkSession, good_run: RunSummary) -> None:
    flights = origins_of(good_run.metadata["intermediate/int_flights"])
    assert set(flights) == set(spark.table("intermediate.int_flights").columns)
    # As they are, through the packed rows of the join by time, and put together of several.
    assert flights["tail_number"] == [("bronze.flight_schedule", "tail_number")]
    assert set(flights["dest_region"]) == {
        ("bronze.airports", "latitude"),
        ("bronze.airports", "time_zone"),
        ("staging.airport_time_zones", "time_zone"),
    }
    # A view is described by its YAML, not by a log.
    assert origins_of(good_run.metadata["staging/stg_airports"])["latitude"] == [
        ("bronze.airports", "latitude")
    ]


def test_a_failed_gate_stops_what_follows_in_its_run_and_in_later_ones(
    spark: SparkSession, good_run: RunSummary
) -> None:
    publish(SHORT_DAY, SHORT_DAY)
    schedule = settings().landing_dir / "flight_schedule" / f"flight_schedule_{SHORT_DAY}.csv"
    schedule.write_text("\n".join(schedule.read_text().splitlines()[:50]) + "\n")
    days = (SHORT_DAY, SHORT_DAY)

    with pytest.raises(LakehouseError) as raised:
        materialize(f"{BRONZE} or {DBT}", days)
    assert "step gate_bronze failed" in raised.value.what
    assert "bronze.flight_schedule" in raised.value.what and str(SHORT_DAY) in raised.value.what
    assert check_state("bronze/flight_schedule", "great_expectations") is False
    assert check_state("bronze/weather_observations", "great_expectations") is True

    with pytest.raises(LakehouseError, match=r"step dbt_features failed: gate bronze failed"):
        materialize(DBT, days)

    version = int(re.findall(r"bronze.flight_schedule version (\d+)", raised.value.what)[0])
    override(spark, "bronze.flight_schedule", version, by="tester", reason="a short day on purpose")
    assert "intermediate/int_flights" in materialize(DBT, days).materialized


def test_a_full_refresh_makes_tables_anew(spark: SparkSession, good_run: RunSummary) -> None:
    materialize(DBT, (GOOD_DAY, GOOD_DAY))
    again = spark.sql("describe history intermediate.int_flights limit 1").first()
    materialize(DBT, (GOOD_DAY, GOOD_DAY), full_refresh=True)
    anew = spark.sql("describe history intermediate.int_flights limit 1").first()
    assert again is not None and again["operation"] == "WRITE"
    assert anew is not None and anew["operation"] == "CREATE OR REPLACE TABLE AS SELECT"


def test_a_red_source_stops_what_is_made_from_it_and_nothing_else(
    spark: SparkSession, good_run: RunSummary
) -> None:
    publish(RED_DAY, RED_DAY)
    weather = settings().landing_dir / "weather_observations" / f"weather_observations_{RED_DAY}.parquet"
    rows = pq.read_table(weather)
    pq.write_table(rows.slice(0, 20), weather)
    days = (RED_DAY, RED_DAY)
    with pytest.raises(LakehouseError, match=r"bronze\.weather_observations"):
        materialize(BRONZE, days)

    assert "bronze/airlines" in materialize('key:"bronze/airlines"', (GOOD_DAY, GOOD_DAY)).materialized
    assert "intermediate/int_flights" in materialize(DBT, days).materialized
    with pytest.raises(LakehouseError, match=r"step dbt_features failed: gate bronze failed"):
        materialize('key:"staging/stg_weather_observations"', days)


def test_a_run_lands_what_an_earlier_one_left_and_a_refused_file_stops_its_own_day_alone(
    spark: SparkSession, good_run: RunSummary
) -> None:
    source = "flight_actuals"
    publish(FORGOTTEN_DAY, NEXT_DAY, sources=[source])
    broken = settings().landing_dir / source / f"{source}_{FORGOTTEN_DAY}_again.jsonl"
    broken.write_text('{"carrier_code": "AA"')
    selection = f'key:"bronze/{source}"'
    try:
        summary = materialize(selection, (NEXT_DAY, NEXT_DAY))
        with pytest.raises(LakehouseError, match=rf"{broken.name} was refused"):
            materialize(selection, (FORGOTTEN_DAY, FORGOTTEN_DAY))
    finally:
        broken.unlink()
    landed = spark.sql(
        f"select distinct _batch_id from bronze.{source} where _batch_id like '{source}_2013-05-0%'"
    ).collect()
    assert {f"{source}_{FORGOTTEN_DAY}", f"{source}_{NEXT_DAY}"} <= {row["_batch_id"] for row in landed}
    checks = {(check.asset, check.name): check.passed for check in summary.checks}
    assert checks[f"bronze/{source}", "deliveries_accepted"] is False
    assert f"bronze/{source}" in summary.materialized


def test_a_build_that_lost_to_another_writer_is_done_again(spark: SparkSession, good_run: RunSummary) -> None:
    """Somebody without our lock, such as a team's own job, replaces the same day until dbt has failed."""
    folder = settings().dagster_home / "dbt"
    before = set(folder.iterdir())
    ended = threading.Event()

    def dbt_lost() -> bool:
        logs = [each / "dbt.log" for each in set(folder.iterdir()) - before]
        return any(log.is_file() and "DELTA_CONCURRENT" in log.read_text() for log in logs)

    def write() -> None:
        while not ended.is_set() and not dbt_lost():
            spark.sql(
                f"update intermediate.int_flights set flight_number = flight_number "
                f"where flight_date = date'{GOOD_DAY}'"
            )

    publish(GOOD_DAY, GOOD_DAY)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        summary = materialize(DBT, (GOOD_DAY, GOOD_DAY), full_refresh=True)
    finally:
        ended.set()
        writer.join()
    assert dbt_lost(), "the fault happened"
    assert summary.materialized["intermediate/int_flights"] == 1


def check_state(asset: str, name: str) -> bool | None:
    """Whether the last evaluation of a check passed, as the UI shows it."""
    key = dg.AssetCheckKey(dg.AssetKey.from_user_string(asset), name)
    with open_instance() as instance:
        record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key]).get(key)
    if record is None or record.event is None or record.event.dagster_event is None:
        return None
    return record.event.dagster_event.asset_check_evaluation_data.passed
