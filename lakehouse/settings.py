"""Every setting of the platform: type, default, range, and the `LAKEHOUSE_…` variable that changes it."""

import re
from datetime import date
from functools import cache
from pathlib import Path
from typing import Self

import psutil
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from lakehouse.errors import LakehouseError

PROJECT_ROOT = Path(__file__).resolve().parents[1]

# With psycopg 2, which is in the lock: SQLAlchemy takes a bare `postgresql://` for psycopg 3's.
_POSTGRES = "postgresql+psycopg2://"

_NOT_IN_A_PATH = ';,:%?#"\\*[]{}\n\t'


def _default_heap_mb() -> int:
    """A quarter of the machine, between 2 and 4 GiB: enough for a year of flights, with room for training."""
    return min(4096, max(2048, psutil.virtual_memory().total // 4 // 2**20))


class Settings(BaseSettings):
    """Read from the environment (`LAKEHOUSE_WAREHOUSE=…`) and from `.env` in the project root."""

    model_config = SettingsConfigDict(
        env_prefix="LAKEHOUSE_", env_file=PROJECT_ROOT / ".env", extra="ignore", populate_by_name=True
    )

    warehouse: Path = Field(
        default=PROJECT_ROOT / "warehouse",
        description="Folder of all that is data: tables, metastore, engine state, MLflow, Dagster, landing.",
    )
    landing: Path | None = Field(
        default=None, description="Where deliveries arrive; default WAREHOUSE/landing."
    )
    tables: str | None = Field(
        default=None,
        pattern=r"^s3a://[^/]+/[^?#]+$",
        description="Where tables lie, as s3a://bucket/folder; default WAREHOUSE/tables.",
    )
    s3_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://",
        validation_alias=AliasChoices("LAKEHOUSE_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        description="Address of an object store other than Amazon's.",
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
    ui_port: int = Field(
        default=3000,
        ge=1024,
        le=65_535,
        description="The port of `lakehouse dev`; another one is taken where it is in use.",
    )
    ui_address: str = Field(
        default="127.0.0.1",
        description="The address on which `lakehouse dev` listens; 0.0.0.0 in a container.",
    )
    ui_hosts: str = Field(
        default="", description="Names, by comma, by which browsers may ask for its pages beside localhost."
    )
    ui_token: str | None = Field(
        default=None,
        min_length=24,
        pattern=r"^[A-Za-z0-9_-]+$",
        repr=False,
        description="What lets a browser in, instead of a new token at each start.",
    )
    automation: bool = Field(
        default=True, description="Whether sensors and schedules run by themselves where a daemon runs."
    )
    serving_port: int = Field(
        default=8100, ge=0, le=65_535, description="Port of `lakehouse serve`; 0 takes a free one."
    )
    serving_token: SecretStr | None = Field(
        default=None, repr=False, description="Token that each request to `lakehouse serve` has to carry."
    )
    serving_max_rows: int = Field(default=1000, ge=1, le=100_000, description="Rows of a request, at most.")
    serving_max_body_kb: int = Field(
        default=8192, ge=16, le=1_048_576, description="Size of a request's body in KiB, at most."
    )
    serving_max_in_flight: int = Field(
        default=64, ge=1, le=10_000, description="Requests that are worked on at once; more are answered 429."
    )
    serving_requests_per_second: float = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Requests a second, over which they are answered 429; 0: any.",
    )
    serving_segment_seconds: float = Field(
        default=60, ge=0.1, le=86_400, description="Seconds after which the journal begins another segment."
    )
    serving_journal_mb: int = Field(
        default=2048, ge=1, le=1_048_576, description="MiB of scores that may wait to be flushed into Delta."
    )
    serving_log_days: int = Field(
        default=400, ge=1, le=36_500, description="Days that serving.scores keeps, before its newest one."
    )
    mlflow_tracking_uri: str | None = Field(
        default=None,
        validation_alias=AliasChoices("LAKEHOUSE_MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_URI"),
        repr=False,
        description="MLflow's server (http…) or database (postgresql…); default a file of the warehouse.",
    )
    mlflow_artifacts: str | None = Field(
        default=None,
        description="Where new experiments keep files when no server decides it; default WAREHOUSE/mlflow.",
    )
    dagster_database: str | None = Field(
        default=None,
        repr=False,
        description="Dagster's database (postgresql…); default SQLite files of the warehouse.",
    )
    metastore_url: str | None = Field(
        default=None,
        repr=False,
        description="The metastore's PostgreSQL, by JDBC; default Derby in the warehouse.",
    )
    metastore_user: str | None = Field(default=None, description="Who logs in there.")
    metastore_password: str | None = Field(default=None, repr=False, description="With which password.")

    kept_model_versions: int = Field(
        default=12,
        ge=0,
        le=10_000,
        description="Number of a model's newest tagged versions that keep their data.",
    )
    kept_model_days: int = Field(
        default=400, ge=0, le=36_500, description="Versions with a tag that are younger keep their data, too."
    )

    kept_run_days: int = Field(
        default=90,
        ge=1,
        le=36_500,
        description="Runs of Dagster that ended earlier are deleted by maintenance.",
    )
    kept_checkpoint_days: int = Field(
        default=14, ge=1, le=36_500, description="For so long a training that died can be resumed."
    )
    alert_urls: SecretStr | None = Field(
        default=None,
        repr=False,
        description="Who is told of alerts: Apprise's addresses, parted by blanks; a secret.",
    )
    alert_urls_file: Path | None = Field(
        default=None,
        description="A file of such addresses, one a line, besides those of LAKEHOUSE_ALERT_URLS.",
    )
    alert_repeat_hours: float = Field(
        default=24,
        ge=0.1,
        le=720,
        description="Hours after which an open alert that is raised again is repeated.",
    )
    openlineage_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Where OpenLineage events are posted to, as http://host:5000; none are by default.",
    )
    openlineage_namespace: str = Field(
        default="lakehouse", min_length=1, description="OpenLineage's namespace of jobs."
    )

    first_day: date = Field(
        default=date(2013, 1, 1), description="The first day of the graph; earlier deliveries are left."
    )
    last_day: date | None = Field(
        default=date(2013, 12, 31),
        description="The last day of the graph; `open` ends it tomorrow, with a new day each midnight.",
    )

    online_store: str = Field(
        default="sqlite",
        repr=False,
        description="Where features are online: `sqlite`, a file in the warehouse, or `redis://…`.",
    )
    online_timeout_ms: int = Field(
        default=500, ge=10, le=60_000, description="How long the online store may take to answer."
    )
    online_ttl_hours: float = Field(
        default=48,
        gt=0,
        le=87_600,
        description="Hours for which a pushed row stays; older days are not pushed.",
    )

    @field_validator("online_store")
    @classmethod
    def _names_a_store(cls, store: str) -> str:
        if store != "sqlite" and not store.startswith(("redis://", "rediss://")):
            raise ValueError("neither `sqlite` nor an address that begins with redis:// or rediss://")
        return store

    @field_validator("mlflow_tracking_uri", "dagster_database")
    @classmethod
    def _with_the_driver_that_is_here(cls, address: str | None) -> str | None:
        return None if address is None else re.sub(r"^postgres(ql)?://", _POSTGRES, address)

    @field_validator("mlflow_tracking_uri")
    @classmethod
    def _is_a_store(cls, address: str | None) -> str | None:
        if address is not None and not address.startswith((_POSTGRES, "http://", "https://", "sqlite:///")):
            raise ValueError("it must begin with http://, https://, postgresql:// or sqlite:///")
        return address

    @field_validator("dagster_database")
    @classmethod
    def _is_postgres(cls, address: str | None) -> str | None:
        if address is not None and not address.startswith(_POSTGRES):
            raise ValueError("it must begin with postgresql://")
        return address

    @field_validator("metastore_url")
    @classmethod
    def _is_jdbc(cls, address: str | None) -> str | None:
        if address is not None and not address.startswith("jdbc:postgresql://"):
            raise ValueError("it must begin with jdbc:postgresql://")
        return address

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
        """Spark's warehouse directory, unless `tables` is set: one folder per schema, in it one per table."""
        return self.warehouse.resolve() / "tables"

    @property
    def tables_uri(self) -> str:
        """The same, or what `tables` names, as Spark is told."""
        # Hadoop decodes no escapes: a blank is a blank.
        return self.tables.rstrip("/") if self.tables is not None else f"file:{self.tables_dir}"

    @property
    def mlflow_dir(self) -> Path:
        """MLflow's SQLite file and artifacts."""
        return self.warehouse.resolve() / "mlflow"

    @property
    def serving_dir(self) -> Path:
        """The journal of what was scored online, until it is flushed."""
        return self.warehouse.resolve() / "serving"

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance: runs, events, schedules."""
        return self.warehouse.resolve() / "dagster"

    @property
    def online_dir(self) -> Path:
        """The embedded online store, Feast's registry, and the id that names this warehouse on a server."""
        return self.warehouse.resolve() / "online"

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
        wrong = "; ".join(_described(problem) for problem in error.errors())
        # Not chained: its text repeats the values, passwords among them.
        raise LakehouseError(f"bad settings: {wrong}", "docs/settings.md lists each one's range") from None


def _described(problem: ErrorDetails) -> str:
    if not problem["loc"]:
        return problem["msg"].removeprefix("Value error, ")
    name = str(problem["loc"][0]).lower().removeprefix("lakehouse_")
    # What is shown nowhere else may hold a password.
    value = repr(problem["input"]) if Settings.model_fields[name].repr else "…"
    return f"LAKEHOUSE_{name.upper()}={value}: {problem['msg']}"
