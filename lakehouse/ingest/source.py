"""Declared sources: what each `sources/NAME.yml` says about the files of one source.

A declaration is checked when it is read; what is wrong is named by file and field.
"""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
import yaml
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from lakehouse.errors import LakehouseError
from lakehouse.ingest.declared import ARROW_TYPES, Column, Declared, MinRows, Name, Text
from lakehouse.ingest.delivery import Delivery, is_revision
from lakehouse.ingest.periods import PERIOD, parse_period
from lakehouse.settings import PROJECT_ROOT

# The ledger, one row per delivery; no source may have its name.
DELIVERIES = "deliveries"
# In the quarantine's schema: what a source's table of unreadable rows ends in.
UNREADABLE = "_unreadable"

_DELIVERY = "{delivery}"
_SUFFIXES = {"csv": ".csv", "jsonl": ".jsonl", "parquet": ".parquet"}
# Files that say of the one beside them that it is whole; see complete.py.
MARKER, MANIFEST = ".done", ".manifest"
# How many days before its end a delivery may come, where the declaration says nothing.
_DAYS_AHEAD = {"live": 1, "snapshot": 1, "ahead": 31}


class Source(Declared):
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
    complete_when: Literal["settled", "marker", "manifest"] = Field(
        default="settled",
        description="settled: the file has stood still; marker: FILE.done lies beside it; manifest: "
        "FILE.manifest lies beside it, and its row count and SHA-256 are the file's.",
    )
    may_be_empty: bool = Field(default=False, description="A delivery without any row is whole.")
    min_rows: MinRows = Field(
        default=MinRows(), description="The least rows of a delivery: a number, or one per kind of delivery."
    )
    max_bad_share: float = Field(
        default=0.05, ge=0, le=1, description="A file with a larger share of unreadable rows is refused."
    )
    rows_per_day: tuple[int, int] | None = Field(
        default=None,
        description="The least and most rows of a whole day, corrections aside; the gate checks it. "
        "Of a snapshot source: of a day's deliveries.",
    )
    max_quarantined_share: float = Field(
        default=0.05, ge=0, le=1, description="A day with a larger share of rows that break a rule is red."
    )
    days_ahead: int | None = Field(
        default=None, ge=0, le=3660, description="How many days before its end a delivery may come."
    )
    columns: list[Column] = Field(min_length=1)

    @field_validator("name")
    @classmethod
    def _is_free(cls, value: str) -> str:
        if value == DELIVERIES or value.endswith(UNREADABLE):
            raise ValueError(
                f"{value} is reserved: bronze.{DELIVERIES} is the ledger, *{UNREADABLE} holds unreadable rows"
            )
        return value

    @field_validator("min_rows", mode="before")
    @classmethod
    def _of_each_kind(cls, value: object) -> object:
        return MinRows(day=value, hour=value, other=value) if isinstance(value, int) else value

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{value!r} is not a time zone") from None
        return value

    @field_validator("columns")
    @classmethod
    def _are_distinct(cls, value: list[Column]) -> list[Column]:
        for names in ([column.name for column in value], [column.delivered_name for column in value]):
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

    @cached_property
    def delivered_schema(self) -> pa.Schema:
        """The same as `arrow_schema`, by the columns' names in the files."""
        return pa.schema([(column.delivered_name, ARROW_TYPES[column.type]) for column in self.columns])

    @cached_property
    def folder(self) -> Path:
        """The folder of its files, below the landing zone."""
        return Path(self.files).parent

    @cached_property
    def form(self) -> str:
        """The form of its files' names, for people."""
        return Path(self.files).name.replace(_DELIVERY, "YYYY-MM-DD[THH][_note]")

    def least_rows(self, delivery: Delivery) -> int:
        """How many rows a delivery must have at least, unless it is empty and may be."""
        if delivery.note is not None:
            return self.min_rows.other
        return self.min_rows.day if delivery.period.length == "day" else self.min_rows.hour

    def is_of_the_future(self, delivery: Delivery, now: datetime) -> bool:
        """Whether a delivery's period ends later than the source may know of."""
        days = _DAYS_AHEAD[self.arrives] if self.days_ahead is None else self.days_ahead
        return delivery.period.end(self.time_zone) > now + timedelta(days=days)

    def deliveries(self, landing: Path, days: tuple[date, date] | None = None) -> list[Delivery]:
        """The source's files in the landing zone, by batch id.

        Args:
            days: only those delivered for these days, both included. Of a snapshot source also the last one
                before them, as it is the one in force.
        """
        found = [delivery for delivery in map(self.delivery, self._files(landing)) if delivery is not None]
        found.sort(key=lambda delivery: delivery.batch_id)
        return found if days is None else self.on_days(found, days)

    def on_days(self, deliveries: Iterable[Delivery], days: tuple[date, date]) -> list[Delivery]:
        """Those of some deliveries, sorted by batch id, that `deliveries` gives for these days."""
        first, last = days
        all_of_them = list(deliveries)
        before = [delivery for delivery in all_of_them if delivery.day < first]
        in_force = before[-1:] if self.arrives == "snapshot" else []
        return in_force + [delivery for delivery in all_of_them if first <= delivery.day <= last]

    def misnamed(self, landing: Path) -> list[Path]:
        """Files in the source's folder whose name tells no period, so that no one knows what they deliver."""
        return sorted(path for path in self._files(landing) if self.delivery(path) is None)

    def delivery(self, path: Path) -> Delivery | None:
        """What a file delivers, by its name; None when the name is not one of this source."""
        matched = self._pattern.fullmatch(path.name)
        if matched is None or is_revision(matched["note"]):
            return None
        try:
            period = parse_period(matched["period"])
        except ValueError:
            return None
        completes = matched["note"] is None and self.arrives != "snapshot"
        return Delivery(
            source=self.name,
            batch_id=path.name.removesuffix(_SUFFIXES[self.format]),
            path=path,
            day=period.day,
            period=period,
            note=matched["note"],
            delivered_from=period.start(self.time_zone) if completes else None,
            delivered_until=period.end(self.time_zone) if completes else None,
        )

    def why_misnamed(self, path: Path) -> str:
        """Why the name of a file in the source's folder is refused."""
        matched = self._pattern.fullmatch(path.name)
        if matched is not None and is_revision(matched["note"]):
            return "its name ends as a revision's does: give it the name of the first, and supersede that"
        try:
            parse_period(matched["period"] if matched else "")
        except ValueError as error:
            return f"its name is not of the form {self.form}" + (f": {error}" if matched else "")
        return f"its name is not of the form {self.form}"

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        period = rf"(?P<period>{PERIOD})(?:_(?P<note>[a-z0-9_]+))?"
        return re.compile(period.join(map(re.escape, Path(self.files).name.split(_DELIVERY))))

    def _files(self, landing: Path) -> Iterator[Path]:
        folder = landing / self.folder
        if not folder.is_dir():
            return iter(())
        # A dot marks what is still being written; a marker or manifest is of the file beside it.
        beside = tuple(_SUFFIXES[self.format] + kind for kind in (MARKER, MANIFEST))
        return (
            path
            for path in folder.iterdir()
            if path.is_file() and not path.name.startswith(".") and not path.name.endswith(beside)
        )


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
