"""Four days of real flights, and what dbt builds from them as they arrive: one story for all tests here.

Each chapter is a dbt build:

    first   1 and 2 September, and 3 September until 13:00
    second  the rest of 3 September, and the 4th
    third   corrections of four arrivals of the 1st, told on the 4th
    fourth  nothing new
    full    all of it at once, in another schema
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from demo.publish import publish
from lakehouse.dbt.plan import PlannedModel, plan_build
from lakehouse.dbt.project import DbtResult, run_dbt
from lakehouse.engine.session import spark_session
from lakehouse.ingest.land import ingest

HOUR = 12
CORRECTED = 4
# Tables without days: these grow by dbt's own strategy, those are files of the project.
SNAPSHOTS = ("aircraft_history", "airline_history")
SEEDS = ("airport_time_zones", "us_holidays")


@dataclass
class Lakehouse:
    """A landing zone, the bronze that it fills, and a developer's schemas that dbt builds from it."""

    folder: Path
    schema: str = field(default_factory=lambda: f"dbt_{uuid.uuid4().hex[:8]}")

    @property
    def full(self) -> str:
        """The schema that is built at once."""
        return f"{self.schema}_full"

    @property
    def bronze(self) -> str:
        return f"{self.schema}_bronze"

    @property
    def predictions(self) -> str:
        return f"{self.schema}_predictions"

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    @property
    def spark(self) -> SparkSession:
        return spark_session()

    def ingest(self) -> None:
        assert not ingest(self.spark, landing=self.landing, schema=self.bronze).refused

    def dbt(self, *args: str, schema: str | None = None, **variables: str) -> DbtResult:
        """Run dbt on this bronze; into the schema that grows, or another one."""
        return run_dbt(
            args,
            variables={
                "bronze_schema": self.bronze,
                "predictions_schema": self.predictions,
                **variables,
            },
            target="dev",
            # Each schema's own, so that compiled() tells of the schema that grows.
            target_path=self.target(schema or self.schema),
            environment={"LAKEHOUSE_DBT_SCHEMA": schema or self.schema},
        )

    def target(self, schema: str) -> Path:
        """Where dbt's artifacts of a schema's builds go."""
        return self.folder / "target" / schema

    def plan(self) -> dict[str, PlannedModel]:
        """What a build of the schema that grows would do, by model."""
        planned = plan_build(
            variables={"bronze_schema": self.bronze, "predictions_schema": self.predictions},
            environment={"LAKEHOUSE_DBT_SCHEMA": self.schema},
            target_path=self.target(self.schema),
        )
        return {each.model: each for each in planned}

    def build(self, schema: str | None = None) -> DbtResult:
        return self.dbt("build", "--exclude-resource-type", "test", "unit_test", schema=schema)

    def table(self, name: str, schema: str | None = None) -> DataFrame:
        return self.spark.table(f"{schema or self.schema}.{name}")

    def commits(self, name: str) -> list[Mapping[str, Any]]:
        """The table's commits, newest first."""
        return [row.asDict() for row in self.spark.sql(f"describe history {self.schema}.{name}").collect()]

    def versions(self, names: Iterable[str]) -> dict[str, int]:
        """The newest version of each table."""
        return {name: self.commits(name)[0]["version"] for name in names}

    def last_days(self, name: str) -> Any:
        """The ranges of days that the table's last commit replaced, as its note says."""
        return json.loads(self.commits(name)[0]["userMetadata"])["days"]

    def drop(self) -> None:
        """Drop all its schemas."""
        for schema in (self.schema, self.full, self.bronze, self.predictions):
            self.spark.sql(f"drop schema if exists {schema} cascade")

    def compiled(self) -> dict[str, str]:
        """The compiled SQL of each model."""
        folder = self.target(self.schema) / "compiled" / "lakehouse" / "dbt_project" / "models"
        return {path.stem: path.read_text() for path in folder.rglob("*.sql")}


@dataclass
class Story:
    """What the chapters left behind."""

    lakehouse: Lakehouse
    tables: list[str]
    features_at_the_hour: list[Any]
    planned_third: dict[str, PlannedModel]
    planned_fourth: dict[str, PlannedModel]
    days_of_third: dict[str, Any]
    versions_of_third: dict[str, int]
    versions_of_fourth: dict[str, int]


@pytest.fixture(scope="session")
def story(_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    lakehouse = Lakehouse(tmp_path_factory.mktemp("dbt"))
    publish(date(2013, 9, 1), date(2013, 9, 3), landing=lakehouse.landing, through_hour=HOUR)
    lakehouse.ingest()
    lakehouse.build()
    views = {row["viewName"] for row in lakehouse.spark.sql(f"show views in {lakehouse.schema}").collect()}
    shown = lakehouse.spark.sql(f"show tables in {lakehouse.schema}").collect()
    tables = sorted(
        row["tableName"]
        for row in shown
        if row["tableName"] not in {*views, *SNAPSHOTS, *SEEDS} and not row["isTemporary"]
    )
    at_the_hour = lakehouse.table("flight_features").where("flight_date = '2013-09-03'").collect()
    _predict(lakehouse)

    publish(date(2013, 9, 3), date(2013, 9, 4), landing=lakehouse.landing)
    lakehouse.ingest()
    lakehouse.build()

    correct_arrivals(lakehouse.landing, reported_at="2013-09-04T15:00:00Z")
    lakehouse.ingest()
    planned_third = lakehouse.plan()
    lakehouse.build()
    days_of_third = {name: lakehouse.last_days(name) for name in tables}
    versions_of_third = lakehouse.versions([*tables, *SNAPSHOTS, *SEEDS])

    planned_fourth = lakehouse.plan()
    lakehouse.build()
    versions_of_fourth = lakehouse.versions([*tables, *SNAPSHOTS, *SEEDS])
    lakehouse.build(schema=lakehouse.full)
    yield Story(
        lakehouse,
        tables,
        at_the_hour,
        planned_third,
        planned_fourth,
        days_of_third,
        versions_of_third,
        versions_of_fourth,
    )
    lakehouse.drop()


def _predict(lakehouse: Lakehouse) -> None:
    """A score for each flight of 2 September."""
    lakehouse.spark.sql(
        f"""
        insert into {lakehouse.predictions}.arrival_delay
        select
            flight_id, predict_at, flight_date, (abs(hash(flight_id)) % 1000) / 1000, 0, null, 'm', '1',
            'flight_features', 'id', 0, current_timestamp(), flight_id
        from {lakehouse.schema}.flight_features where flight_date = '2013-09-02'
        """
    )


def correct_arrivals(landing: Path, reported_at: str) -> None:
    """Deliver the first arrivals of 1 September an hour later than told before; told at `reported_at`."""
    folder = landing / "flight_actuals"
    told = [
        json.loads(line) for line in (folder / "flight_actuals_2013-09-01.jsonl").read_text().splitlines()
    ]
    # What arrives after midnight was scheduled the day before.
    arrived = [
        event
        for event in told
        if event["event_type"] == "arrived" and event["sched_dep_at"] >= "2013-09-01T04"
    ][:CORRECTED]
    for event in arrived:
        event["delay_minutes"] += 60
        event["reported_at"] = reported_at
    (folder / f"flight_actuals_{reported_at[:10]}_corrections.jsonl").write_text(
        "".join(json.dumps(event) + "\n" for event in arrived)
    )
