"""A dbt project of a few files with this project's macros and settings, in a schema of its own."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pyspark.sql import SparkSession

from lakehouse.dbt.project import DbtResult, run_dbt
from lakehouse.engine.session import spark_session
from lakehouse.settings import PROJECT_ROOT

_GROUPS = {
    "groups": [
        {"name": name, "owner": {"email": "nobody@example.org"}}
        for name in ("platform", "features", "training", "marts")
    ]
}


@dataclass
class SmallProject:
    """Files below a folder, and what dbt builds from them.

    Args:
        folder: an empty folder.
        schema: the developer's; dropped by `drop`.
    """

    folder: Path
    schema: str = field(default_factory=lambda: f"small_{uuid.uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        settings: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "dbt_project.yml").read_text())
        settings["macro-paths"] = [str(PROJECT_ROOT / "dbt_project" / "macros")]
        for kind in ("model", "seed", "snapshot", "docs", "test"):
            settings[f"{kind}-paths"] = [f"{kind}s"]
        self.write("dbt_project.yml", yaml.safe_dump(settings))
        self.write("profiles.yml", (PROJECT_ROOT / "profiles.yml").read_text())
        self.write("models/_groups.yml", yaml.safe_dump(_GROUPS))

    @property
    def spark(self) -> SparkSession:
        return spark_session()

    def write(self, path: str, text: str) -> None:
        """Write a file of the project, its folders with it."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def dbt(
        self, *args: str, target: str = "dev", environment: Mapping[str, str] | None = None, **variables: str
    ) -> DbtResult:
        """Run a dbt command of this project into its schema."""
        own = {"predictions_schema": f"{self.schema}_predictions"} if target == "dev" else {}
        return run_dbt(
            args,
            variables=own | variables,
            target=target,
            project=self.folder,
            environment={
                "LAKEHOUSE_DBT_SCHEMA": self.schema,
                "DBT_LOG_PATH": str(self.folder / "logs"),
                **(environment or {}),
            },
        )

    def rows(self, name: str) -> list[tuple[Any, ...]]:
        """The rows of a table, sorted."""
        found = self.spark.table(f"{self.schema}.{name}").collect()
        return sorted((tuple(row) for row in found), key=str)

    def types(self, name: str) -> dict[str, str]:
        """Column → type."""
        return dict(self.spark.table(f"{self.schema}.{name}").dtypes)

    def comments(self, name: str) -> dict[str, str | None]:
        """Column → comment; the table's own under the empty name."""
        described = self.spark.sql(f"describe extended {self.schema}.{name}").collect()
        columns = len(self.spark.table(f"{self.schema}.{name}").columns)
        own = {row["col_name"]: row["comment"] for row in described[:columns]}
        table = [row["data_type"] for row in described[columns:] if row["col_name"] == "Comment"]
        return own | {"": table[0] if table else None}

    def commits(self, name: str) -> list[str]:
        """The operations of the table's commits, newest first."""
        history = self.spark.sql(f"describe history {self.schema}.{name}").collect()
        return [row["operation"] for row in history]

    def drop(self) -> None:
        for schema in (self.schema, f"{self.schema}_predictions"):
            self.spark.sql(f"drop schema if exists {schema} cascade")
