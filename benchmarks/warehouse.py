"""Real flights in schemas of their own, as a benchmark needs them: landed, built by dbt, dropped again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from demo.publish import publish
from lakehouse.dbt.project import run_dbt
from lakehouse.ingest.land import ingest


@dataclass(frozen=True)
class Warehouse:
    """A landing zone, the bronze that it fills, and the schema that dbt builds from it."""

    spark: SparkSession
    folder: Path
    schema: str

    def arrive(self, first: date, last: date) -> None:
        """Days are published and land in bronze."""
        publish(first, last, landing=self.folder / "landing")
        report = ingest(self.spark, landing=self.folder / "landing", schema=f"{self.schema}_bronze")
        assert not report.refused, report.refused

    def build(self, *options: str, variables: Mapping[str, str] | None = None) -> float:
        """dbt builds what is new, and tests nothing; seconds without dbt's start and parsing.

        Args:
            variables: of dbt, beside those that name schemas.
        """
        target = self.folder / "target"
        run_dbt(
            [
                "build",
                *options,
                "--log-path",
                str(self.folder),
                "--exclude-resource-type",
                "test",
                "unit_test",
            ],
            variables={
                "bronze_schema": f"{self.schema}_bronze",
                "predictions_schema": f"{self.schema}_predictions",
                **(variables or {}),
            },
            target="dev",
            target_path=target,
            environment={"LAKEHOUSE_DBT_SCHEMA": self.schema},
        )
        return float(json.loads((target / "run_results.json").read_text())["elapsed_time"])

    def drop(self) -> None:
        """Remove all of it."""
        for schema in (self.schema, f"{self.schema}_bronze", f"{self.schema}_predictions"):
            self.spark.sql(f"drop schema if exists {schema} cascade")
