"""Every setting of the platform: type, default, range, and the `LAKEHOUSE_…` variable that changes it."""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Self

import psutil
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lakehouse.errors import LakehouseError

PROJECT_ROOT = Path(__file__).resolve().parents[1]

_NOT_IN_A_PATH = ';,:%?#"\\*[]{}\n\t'


def _default_heap_mb() -> int:
    """A quarter of the machine, between 2 and 4 GiB: enough for a year of flights, with room for training."""
    return min(4096, max(2048, psutil.virtual_memory().total // 4 // 2**20))


class Settings(BaseSettings):
    """Read from the environment (`LAKEHOUSE_WAREHOUSE=…`) and from `.env` in the project root."""

    model_config = SettingsConfigDict(env_prefix="LAKEHOUSE_", env_file=PROJECT_ROOT / ".env", extra="ignore")

    warehouse: Path = Field(
        default=PROJECT_ROOT / "warehouse",
        description="Folder of all that is data: tables, metastore, engine state, MLflow, Dagster, landing.",
    )
    landing: Path | None = Field(
        default=None, description="Where deliveries arrive; default WAREHOUSE/landing."
    )
    settle_seconds: float = Field(
        default=2,
        ge=0,
        le=3600,
        description="Seconds for which a delivered file must not have changed before it is taken.",
    )
    heap_mb: int = Field(
        default_factory=_default_heap_mb, ge=1024, le=262_144, description="Heap of the Spark engine, in MiB."
    )
    cores: int = Field(
        default_factory=lambda: psutil.cpu_count() or 1, ge=1, le=256, description="Cores the engine may use."
    )
    shuffle_partitions: int = Field(default=2, ge=1, le=10_000, description="spark.sql.shuffle.partitions.")
    idle_minutes: float = Field(
        default=60,
        ge=0,
        le=10_080,
        description="Minutes without clients after which the engine stops; 0 means never.",
    )
    start_timeout_seconds: int = Field(default=120, ge=10, le=3600, description="How long a start may take.")
    connect_timeout_seconds: int = Field(
        default=60, ge=1, le=3600, description="How long a server may take to answer the first call."
    )
    spark_ui_port: int = Field(
        default=0, ge=0, le=65_535, description="Port of Spark's UI on loopback; 0 is off."
    )
    mlflow_port: int = Field(default=5000, ge=1024, le=65_535, description="MLflow's UI in `lakehouse dev`.")
    dagster_port: int = Field(
        default=3000, ge=1024, le=65_535, description="Dagster's UI in `lakehouse dev`."
    )
    docs_port: int = Field(
        default=3001, ge=1024, le=65_535, description="What the gates checked (Data Docs) in `lakehouse dev`."
    )
    kept_model_versions: int = Field(
        default=12,
        ge=0,
        le=10_000,
        description="Number of a model's newest tagged versions that keep their data.",
    )
    kept_model_days: int = Field(
        default=400, ge=0, le=36_500, description="Versions with a tag that are younger keep their data, too."
    )

    first_day: date = Field(
        default=date(2013, 1, 1), description="The first day of the graph; earlier deliveries are left."
    )
    last_day: date | None = Field(
        default=date(2013, 12, 31),
        description="The last day of the graph; `open` ends it tomorrow, with a new day each midnight.",
    )

    @field_validator("last_day", mode="before")
    @classmethod
    def _may_be_open(cls, value: object) -> object:
        return None if value == "open" else value

    @model_validator(mode="after")
    def _has_days(self) -> Self:
        if self.last_day is not None and self.last_day < self.first_day:
            raise ValueError(
                f"LAKEHOUSE_LAST_DAY={self.last_day} is before LAKEHOUSE_FIRST_DAY={self.first_day}"
            )
        return self

    @field_validator("warehouse")
    @classmethod
    def _can_be_named(cls, warehouse: Path) -> Path:
        """Each of these ends a part of some address: Derby's, Spark's lists, class paths, URLs, patterns."""
        found = [letter for letter in _NOT_IN_A_PATH if letter in str(warehouse.resolve())]
        if found:
            raise ValueError(f"a warehouse's path cannot hold {' '.join(found)}")
        return warehouse

    @property
    def landing_dir(self) -> Path:
        """Where deliveries arrive."""
        return (self.landing or self.warehouse / "landing").resolve()

    @property
    def engine_dir(self) -> Path:
        """State, locks, token, log and scratch of the engine: in the warehouse, so all clones share them."""
        return self.warehouse.resolve() / "engine"

    @property
    def tables_dir(self) -> Path:
        """Spark's warehouse directory: one folder per schema, one below it a table."""
        return self.warehouse.resolve() / "tables"

    @property
    def mlflow_dir(self) -> Path:
        """MLflow's SQLite file and artifacts."""
        return self.warehouse.resolve() / "mlflow"

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance: runs, events, schedules."""
        return self.warehouse.resolve() / "dagster"

    @property
    def data_docs_dir(self) -> Path:
        """Great Expectations' pages."""
        return self.warehouse.resolve() / "data_docs"


@cache
def settings() -> Settings:
    """The settings of this process.

    Raises:
        LakehouseError: a variable has a value of the wrong type or out of its range.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"LAKEHOUSE_{str(problem['loc'][0]).upper()}={problem['input']!r}: {problem['msg']}"
            if problem["loc"]
            else problem["msg"].removeprefix("Value error, ")
            for problem in error.errors()
        )
        raise LakehouseError(f"bad settings: {wrong}", "docs/settings.md lists each one's range") from error
