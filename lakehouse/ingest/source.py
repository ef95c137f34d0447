"""A declared source: what `sources/NAME.yml` says of it, checked as a whole."""


# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from lakehouse.ingest.api.declared import Api
from lakehouse.ingest.database.declared import Database, check_database
from lakehouse.ingest.declared import Column, Declared, MinRows, Name, Text, check_zone
from lakehouse.ingest.delivery import OBJECT_STORES, Delivery, entries, in_bucket, is_revision
from lakehouse.ingest.dialect import Csv, Json, Parquet, dialect_problem
from lakehouse.ingest.periods import PERIOD, parse_period
from lakehouse.ingest.stream.declared import Stream
from lakehouse.ingest.types import arrow_type

# The ledger, one row per delivery; no source may have its name.
DELIVERIES = "deliveries"
# The planned batches of topics; no source may have its name, either.
STREAM_BATCHES = "stream_batches"
# In the quarantine's schema: what a source's table of unreadable rows ends in.
UNREADABLE = "_unreadable"

_DELIVERY = "{delivery}"
_SUFFIXES = {"csv": ".csv", "jsonl": ".jsonl", "parquet": ".parquet"}
_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4", ".br": "brotli"}
# Files that say of the one beside them that it is whole; see complete.py.
MARKER, MANIFEST = ".done", ".manifest"
# How many days before its end a delivery may come, where the declaration says nothing.
_DAYS_AHEAD = {"live": 1, "snapshot": 1, "ahead": 31}


class Source(Declared):
    """One declared source. Its bronze table has its name and columns, and what ingestion adds to each row."""

    name: Name
    description: Text
    owner: Text
    format: Literal["csv", "jsonl", "parquet"] | None = Field(
        default=None, description="What the files are; of a source that delivers files."
    )
    files: str | None = Field(
        default=None,
        description="Path below the landing zone, or s3://BUCKET/PATH; `{delivery}` stands for the period.",
    )
    database: Database | None = Field(default=None, description="Of a source that reads a database.")
    stream: Stream | None = Field(default=None, description="The topic, of a source that comes from one.")
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
        description="The least and most rows of a whole day, corrections of other days aside; the gate "
        "checks it. Of a snapshot source: of a day's deliveries.",
    )
    max_quarantined_share: float = Field(
        default=0.05, ge=0, le=1, description="A day with a larger share of rows that break a rule is red."
    )
    days_ahead: int | None = Field(
        default=None, ge=0, le=3660, description="How many days before its end a delivery may come."
    )
    csv: Csv = Field(default=Csv(), description="How CSV is written.")
    json_lines: Json = Field(default=Json(), alias="json", description="How JSON lines are written.")
    parquet: Parquet = Field(default=Parquet(), description="How Parquet is written.")
    columns: list[Column] = Field(min_length=1)
    api: Api | None = Field(default=None, description="From which API its deliveries are fetched.")
    ask_every_minutes: int | None = Field(
        default=None,
        ge=1,
        le=10_080,
        description="How often the graph asks an API, a database or a topic; 60 by default.",
    )

    @property
    def is_asked(self) -> bool:
        """Whether its rows come only where somebody asks for them: of an API, a database or a topic."""
        return any(each is not None for each in (self.api, self.database, self.stream))

    @property
    def asked_every_minutes(self) -> int:
        """How often the graph asks."""
        return self.ask_every_minutes or 60

    @field_validator("name")
    @classmethod
    def _is_free(cls, value: str) -> str:
        if value in (DELIVERIES, STREAM_BATCHES) or value.endswith(UNREADABLE):
            raise ValueError(
                f"{value} is reserved: bronze.{DELIVERIES} is the ledger, {STREAM_BATCHES} the batches of "
                f"topics, *{UNREADABLE} holds unreadable rows"
            )
        return value

    @field_validator("min_rows", mode="before")
    @classmethod
    def _of_each_kind(cls, value: object) -> object:
        return MinRows(day=value, hour=value, other=value) if isinstance(value, int) else value

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        return check_zone(value)

    @field_validator("columns")
    @classmethod
    def _are_distinct(cls, value: list[Column]) -> list[Column]:
        in_files = [column.path or column.delivered_name for column in value]
        for names in ([column.name for column in value], in_files):
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
        if self.ask_every_minutes is not None and not self.is_asked:
            raise ValueError("ask_every_minutes: its files are delivered, and nobody is asked for them")
        dialects = {"csv": Csv(), "json_lines": Json(), "parquet": Parquet()}
        declared = {name for name, plain in dialects.items() if getattr(self, name) != plain}
        if problem := dialect_problem(self.format, declared, self.csv, self.allow_new_columns, self.columns):
            raise ValueError(problem)
        if self.database is not None:
            of_files = ("format", "files", "allow_new_columns")
            check_database(
                self.database,
                columns=self.columns,
                keys=self.keys,
                reported_time=self.reported_time,
                arrives=self.arrives,
                of_files={field: True for field in of_files if getattr(self, field)},
            )
            return self
        if self.stream is not None:
            of_files = {"format": self.format, "files": self.files}
            self.stream.check(
                self.columns, of_files, is_live=self.arrives == "live" and not self.allow_new_columns
            )
            return self
        if self.format is None or self.files is None:
            raise ValueError(f"{'format' if self.format is None else 'files'}: is missing")
        named = f"{self.name}_{_DELIVERY}"
        suffix = _SUFFIXES[self.format]
        path = Path(in_bucket(self.files))
        compressed = suffix if path.suffix == suffix or self.format == "parquet" else suffix + path.suffix
        is_known = compressed == suffix or path.suffix in _COMPRESSIONS
        ends = (named + compressed, f"{named}/*{compressed}")
        is_below = not path.is_absolute() and ".." not in path.parts and "://" not in in_bucket(self.files)
        if not is_known or not self.files.endswith(ends) or not is_below:
            raise ValueError(
                f"files: must be a path below the landing zone, or s3://BUCKET/PATH, that ends in "
                f"{named}{suffix}, or for a folder of parts in {named}/*{suffix}; text may also be "
                f"compressed, as {suffix}.gz"
            )
        if self.api is not None and self.bucket is not None:
            raise ValueError("files: what is fetched from an API lies below the landing zone")
        if self.api is not None:
            self.api.check(self.__dict__, self.days_before_end)
        return self

    @property
    def days_before_end(self) -> int:
        """How many days before its period's end a delivery may come."""
        return _DAYS_AHEAD[self.arrives] if self.days_ahead is None else self.days_ahead

    @cached_property
    def path(self) -> Path:
        """Where its deliveries lie below `root`, `{delivery}` standing for the period."""
        assert self.files is not None, f"{self.name} delivers no files"  # noqa: S101 - checked when it is read
        path = Path(in_bucket(self.files))
        return path.parent if path.name.startswith("*") else path

    @cached_property
    def bucket(self) -> str | None:
        """The bucket of an object store in which its deliveries lie; None where the landing zone has them."""
        if self.files is None or not self.files.startswith(OBJECT_STORES):
            return None
        return self.files.partition("://")[2].partition("/")[0]

    def root(self, landing: Path) -> Path:
        """What `path` and `folder` lie below: the landing zone, or a bucket."""
        if self.bucket is None:
            return landing
        from lakehouse.ingest.object_store import bucket

        return bucket(self.bucket)

    @cached_property
    def has_parts(self) -> bool:
        """Whether a delivery is a folder of files, and not a file."""
        return self.files is not None and Path(self.files).name.startswith("*")

    @cached_property
    def suffix(self) -> str:
        """What the names of its files end in."""
        return "".join(Path(self.files).suffixes[-2:]) if self.files else ""

    @cached_property
    def compression(self) -> str | None:
        """How its files are compressed, as Arrow calls it; None where they are not, or are Parquet."""
        return _COMPRESSIONS.get(Path(self.suffix).suffix)

    @cached_property
    def required(self) -> frozenset[str]:
        """Columns that have a value in every row: keys, the reported time, and those declared required."""
        declared = {column.name for column in self.columns if column.required}
        return frozenset({*self.keys, self.reported_time} | declared)

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The declared columns as Arrow types, in declared order."""
        return pa.schema([(column.name, arrow_type(column.type)) for column in self.columns])

    @cached_property
    def delivered_names(self) -> tuple[str, ...]:
        """The declared columns' names in the files, in declared order; of paths, each top once."""
        return tuple(dict.fromkeys(column.delivered_name for column in self.columns))

    @cached_property
    def column_of(self) -> dict[str, Column]:
        """The declared columns, by name."""
        return {column.name: column for column in self.columns}

    @cached_property
    def folder(self) -> Path:
        """The folder of its files, below `root`."""
        return self.path.parent

    @cached_property
    def form(self) -> str:
        """The form of its files' names, for people."""
        return self.path.name.replace(_DELIVERY, "YYYY-MM-DD[THH][_note]")

    def least_rows(self, delivery: Delivery) -> int:
        """How many rows a delivery must have at least, unless it is empty and may be."""
        if delivery.note is not None:
            return self.min_rows.other
        return self.min_rows.day if delivery.period.length == "day" else self.min_rows.hour

    def is_of_the_future(self, delivery: Delivery, now: datetime) -> bool:
        """Whether a delivery's period ends later than the source may know of."""
        return delivery.period.end(self.time_zone) > now + timedelta(days=self.days_before_end)

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
            batch_id=path.name if self.has_parts else path.name.removesuffix(self.suffix),
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
        return re.compile(period.join(map(re.escape, self.path.name.split(_DELIVERY))))

    def _files(self, landing: Path) -> Iterator[Path]:
        if not self.files:
            return iter(())
        lying = entries(self.root(landing) / self.folder)
        found = [path for path, is_folder in lying if is_folder == self.has_parts]
        # A dot marks what is still being written; a marker or manifest is of the file beside it.
        suffix = "" if self.has_parts else self.suffix
        beside = tuple(suffix + kind for kind in (MARKER, MANIFEST))
        return (path for path in found if not path.name.startswith(".") and not path.name.endswith(beside))
