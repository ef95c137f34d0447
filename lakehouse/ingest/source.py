"""Declared sources: what each `sources/NAME.yml` says about the files of one source.

A declaration is checked when it is read; what is wrong is named by file and field.
"""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT

ColumnType = Literal["string", "int", "bigint", "double", "boolean", "date", "timestamp"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Text = Annotated[str, Field(min_length=1)]

ARROW_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}

_DELIVERY = "{delivery}"
_SUFFIXES = {"csv": ".csv", "jsonl": ".jsonl", "parquet": ".parquet"}


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Declared):
    """One declared column; bronze has it with the same name and type."""

    name: Name
    type: ColumnType
    required: bool = Field(default=False, description="A row without a value makes the file refused.")
    description: Text


class Source(_Declared):
    """One declared source. Its bronze table has its name and columns, and what ingestion adds to each row."""

    name: Name
    description: Text
    owner: Text
    format: Literal["csv", "jsonl", "parquet"]
    files: str = Field(
        description="Path below the landing zone, `{delivery}` standing for the period delivered."
    )
    arrives: Literal["live", "ahead", "snapshot"] = Field(
        description="live: events as they happen; ahead: plans, before their day; snapshot: all at once."
    )
    time_zone: str = Field(description="Zone of the days and hours in file names.")
    reported_time: Name = Field(description="When the source told it: known_at = this + the delivery delay.")
    event_time: Name | None = Field(default=None, description="When it happened or is to happen.")
    delivery_delay_minutes: int = Field(ge=0, le=7 * 24 * 60)
    keys: list[Name] = Field(min_length=1)
    allow_new_columns: bool = Field(default=False, description="Take up columns that are not declared yet.")
    columns: list[Column] = Field(min_length=1)

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{value!r} is no time zone") from None
        return value

    @field_validator("columns")
    @classmethod
    def _are_distinct(cls, value: list[Column]) -> list[Column]:
        names = [column.name for column in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} declared twice")
        return value

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        types = {column.name: column.type for column in self.columns}
        unknown = [key for key in self.keys if key not in types]
        if unknown:
            raise ValueError(f"keys: {', '.join(unknown)} is not a declared column")
        for field, column in (("reported_time", self.reported_time), ("event_time", self.event_time)):
            if column is not None and types.get(column) != "timestamp":
                raise ValueError(f"{field}: {column} is not a declared column of type timestamp")
        expected = f"{self.name}_{_DELIVERY}{_SUFFIXES[self.format]}"
        if (
            Path(self.files).name != expected
            or Path(self.files).is_absolute()
            or ".." in Path(self.files).parts
        ):
            raise ValueError(f"files: must be a path below the landing zone that ends in {expected}")
        return self

    @cached_property
    def required(self) -> frozenset[str]:
        """Columns that have a value in every row: keys, the reported time, and those declared required."""
        declared = {column.name for column in self.columns if column.required}
        return frozenset({*self.keys, self.reported_time} | declared)

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The declared columns as Arrow types, in declared order."""
        return pa.schema([(column.name, ARROW_TYPES[column.type]) for column in self.columns])

    def deliveries(self, landing: Path, days: tuple[date, date] | None = None) -> list["Delivery"]:
        """The source's files in the landing zone, by batch id.

        Args:
            days: only those delivered for these days, both included. Of a snapshot source also the last one
                before them, as it is the one in force.
        """
        found = [delivery for delivery in map(self.delivery, self._files(landing)) if delivery is not None]
        found.sort(key=lambda delivery: delivery.batch_id)
        if days is None:
            return found
        first, last = days
        before = [delivery for delivery in found if delivery.day < first]
        in_force = before[-1:] if self.arrives == "snapshot" else []
        return in_force + [delivery for delivery in found if first <= delivery.day <= last]

    def misnamed(self, landing: Path) -> list[Path]:
        """Files in the source's folder whose name tells no period, so that no one knows what they deliver."""
        return sorted(path for path in self._files(landing) if self.delivery(path) is None)

    def delivery(self, path: Path) -> "Delivery | None":
        """What a file delivers, by its name; None when the name is not one of this source."""
        matched = self._pattern.fullmatch(path.name)
        if matched is None:
            return None
        hour = None if matched["hour"] is None else int(matched["hour"])
        try:
            day = date.fromisoformat(matched["day"])
        except ValueError:
            return None
        if hour is not None and hour > 23:
            return None
        completes = matched["note"] is None and self.arrives != "snapshot"
        return Delivery(
            source=self.name,
            batch_id=path.name.removesuffix(_SUFFIXES[self.format]),
            path=path,
            day=day,
            delivered_until=self._end(day, hour) if completes else None,
        )

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        period = r"(?P<day>\d{4}-\d{2}-\d{2})(?:T(?P<hour>\d{2}))?(?:_(?P<note>[a-z0-9_]+))?"
        return re.compile(period.join(map(re.escape, Path(self.files).name.split(_DELIVERY))))

    def _files(self, landing: Path) -> Iterator[Path]:
        folder = landing / Path(self.files).parent
        if not folder.is_dir():
            return iter(())
        # A dot marks what is still being written.
        return (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))

    def _end(self, day: date, hour: int | None) -> datetime:
        hours = 24 if hour is None else hour + 1
        local = datetime.combine(
            day + timedelta(days=hours // 24), time(hours % 24), ZoneInfo(self.time_zone)
        )
        return local.astimezone(ZoneInfo("UTC"))


class Delivery(_Declared):
    """One file: a batch, which lands once.

    Args:
        batch_id: the file's name without its suffix.
        day: the local day that the name says.
        delivered_until: UTC instant up to which the source has now told everything; None for a snapshot and
            for a delivery beside the regular ones, such as corrections.
    """

    source: str
    batch_id: str
    path: Path
    day: date
    delivered_until: datetime | None


def load_sources(folder: Path = PROJECT_ROOT / "sources") -> dict[str, Source]:
    """All declarations `*.yml` of a folder, by name.

    Raises:
        LakehouseError: one is not YAML, or a field of it is missing, unknown or wrong.
    """
    sources = [load_source(path) for path in sorted(folder.glob("*.yml"))]
    if not sources:
        raise LakehouseError(f"no sources are declared in {folder}", "docs/ingestion.md shows how to add one")
    return {source.name: source for source in sources}


def load_source(path: Path) -> Source:
    """One declaration.

    Raises:
        LakehouseError: see `load_sources`.
    """
    hint = "docs/ingestion.md explains every field"
    try:
        declared = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise LakehouseError(f"{path} is not YAML: {error}", hint) from error
    if not isinstance(declared, dict):
        raise LakehouseError(f"{path} holds no declaration", hint)
    try:
        source = Source.model_validate(declared)
    except ValidationError as error:
        raise LakehouseError(f"{path}: {'; '.join(map(_problem, error.errors()))}", hint) from None
    if source.name != path.stem:
        raise LakehouseError(f"{path}: name: {source.name} is not the file's name", "give both the same name")
    return source


def _problem(error: ErrorDetails) -> str:
    where = ".".join(str(part) for part in error["loc"])
    text = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {text}" if where else text
