"""The parts of a source's declaration: its columns, and how many rows a delivery has at least."""

import re
from functools import cached_property
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from lakehouse.ingest.model import Declared
from lakehouse.ingest.time_format import format_problem, has_offset
from lakehouse.ingest.types import ARROW_TYPES, element_type, type_problem

__all__ = ["ARROW_TYPES", "Column", "Declared", "MinRows", "Name", "Text"]

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Text = Annotated[str, Field(min_length=1)]
# Names, each with indices behind it: `a.b[0].c`.
_PATH = re.compile(r"[^.\[\]]+(\[[0-9]{1,6}\])*(\.[^.\[\]]+(\[[0-9]{1,6}\])*)*")


def check_zone(value: str) -> str:
    """A time zone of the tz database.

    Raises:
        ValueError: there is none of that name.
    """
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"{value!r} is not a time zone") from None
    return value


class MinRows(Declared):
    """The least rows of a delivery, by what it delivers; 0 means that it may be empty."""

    day: int = Field(default=1, ge=0, description="Of a whole day, or a snapshot.")
    hour: int = Field(default=1, ge=0, description="Of an hour.")
    other: int = Field(default=1, ge=0, description="Of a delivery beside the regular ones.")


class Column(Declared):
    """One declared column; bronze has it with the same name and type."""

    name: Name
    type: str
    required: bool = Field(default=False, description="A row without a value is quarantined.")
    name_in_file: Text | None = Field(
        default=None, description="The column's name in the files, where bronze has another one."
    )
    path: Text | None = Field(
        default=None, description="Where the value stands in an object of JSON lines: `a.b[0].c`."
    )
    format: Text | None = Field(
        default=None, description="How a date or time is written, as strftime does: `%d.%m.%Y`."
    )
    time_zone: str | None = Field(
        default=None, description="Zone of times that are written without an offset."
    )
    ambiguous: Literal["refused", "earlier", "later"] = Field(
        default="refused",
        description="Which instant a local time is that clocks showed twice, or not at all.",
    )
    unit: Literal["s", "ms", "us", "ns"] | None = Field(
        default=None, description="Of a timestamp that is delivered as a number since 1970 in UTC."
    )
    allow_inf_nan: bool = Field(default=False, description="Take the words NaN and Infinity for a double.")
    description: Text

    @field_validator("type")
    @classmethod
    def _is_type(cls, value: str) -> str:
        plain = value.replace(" ", "")
        if problem := type_problem(plain):
            raise ValueError(f"{value!r}: {problem}")
        return plain

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str | None) -> str | None:
        return None if value is None else check_zone(value)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        kind = element_type(self.type) or self.type
        for field in ("time_zone", "unit"):
            if getattr(self, field) is not None and kind != "timestamp":
                raise ValueError(f"{field}: {self.name} is of type {self.type}, not a timestamp")
        if self.format is not None:
            if kind not in ("date", "timestamp"):
                raise ValueError(f"format: {self.name} is of type {self.type}, not a date or timestamp")
            if problem := format_problem(self.format, kind):
                raise ValueError(f"format: {self.format!r} {problem}")
            if self.unit is not None:
                raise ValueError("unit: a timestamp is a number or a text in a format, not both")
            if kind == "timestamp" and has_offset(self.format) == (self.time_zone is not None):
                said = "has %z, so that each value says it" if self.time_zone else "has no %z"
                raise ValueError(f"time_zone: {self.format!r} {said}")
        if self.unit is not None and self.time_zone is not None:
            raise ValueError("time_zone: a number since 1970 is in UTC")
        if self.ambiguous != "refused" and self.time_zone is None:
            raise ValueError("ambiguous: says which instant a local time is, and needs a time_zone")
        if self.allow_inf_nan and kind != "double":
            raise ValueError(f"allow_inf_nan: {self.name} is of type {self.type}, not double")
        if self.path is not None and self.name_in_file is not None:
            raise ValueError("name_in_file: path says where the value is")
        if self.path is not None and not _PATH.fullmatch(self.path):
            raise ValueError(f"path: {self.path!r} is not of the form a.b[0].c")
        return self

    @property
    def delivered_name(self) -> str:
        """Its name in the files; of a path, the name of the field at its top."""
        return self.name_in_file or (str(self.steps[0]) if self.steps else self.name)

    @cached_property
    def steps(self) -> tuple[str | int, ...]:
        """The path, step by step; empty where none is declared."""
        found = re.finditer(r"\[([0-9]+)\]|([^.\[\]]+)", self.path or "")
        return tuple(int(step[1]) if step[1] else step[2] for step in found)
