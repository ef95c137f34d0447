"""What a source's YAML says of a database, under `database:` (docs/sources-database.md has every field)."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from lakehouse.ingest.declared import Column, Declared, Name, Text

Variable = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]

_TABLE = r"^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*){0,2}$"
_LENGTH = re.compile(r"(\d+) (second|minute|hour|day)s?")


class Database(Declared):
    """Where the rows are, and how much of them one load reads; secrets are in environment variables."""

    url: str | None = Field(default=None, description="JDBC URL with host, port and database, and no more.")
    url_env: Variable | None = Field(default=None, description="The variable that holds the URL.")
    user_env: Variable | None = Field(default=None, description="The variable that holds the user's name.")
    password_env: Variable | None = Field(default=None, description="The variable that holds the password.")
    table: Annotated[str, Field(pattern=_TABLE)] | None = Field(
        default=None, description="The table or view, as the database's SQL names it."
    )
    query: Text | None = Field(default=None, description="A select, where it is not one table as it is.")
    watermark: Name | None = Field(
        default=None, description="A declared timestamp or whole number that grows with each change of a row."
    )
    overlap: timedelta | int = Field(
        default=0, description="How far below the last watermark is read again: `15 minutes`, or a number."
    )
    lag: timedelta | int = Field(
        default=0, description="How far the load stays behind now (a number: behind the greatest)."
    )
    partition_by: Text | None = Field(default=None, description="A column that never changes in a row.")
    partitions: int = Field(default=1, ge=1, le=256, description="How many ranges are read side by side.")
    zone: str | None = Field(default=None, description="Of timestamps that the database keeps without one.")
    deletes: Literal["compare"] | None = Field(
        default=None, description="compare: keys that the table no longer has land as deleted rows."
    )
    deleted_column: Name | None = Field(default=None, description="The boolean that is true in those.")
    fetch_rows: int = Field(default=10_000, ge=1, le=1_000_000, description="Rows per round trip.")
    timeout_seconds: int = Field(
        default=600, ge=1, le=86_400, description="How long the database may be silent."
    )

    @field_validator("overlap", "lag", mode="before")
    @classmethod
    def _is_length(cls, value: object) -> object:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        # ISO 8601 (`PT15M`) is how a declaration is written by a program.
        if is_number or isinstance(value, timedelta) or (isinstance(value, str) and value.startswith("P")):
            return value
        matched = _LENGTH.fullmatch(value) if isinstance(value, str) else None
        if matched is None:
            raise ValueError(f"{value!r} is not of the form `15 minutes` (seconds, hours, days) or a number")
        return timedelta(**{f"{matched[2]}s": int(matched[1])})

    @field_validator("overlap", "lag")
    @classmethod
    def _is_not_negative(cls, value: timedelta | int) -> timedelta | int:
        if (value.total_seconds() if isinstance(value, timedelta) else value) < 0:
            raise ValueError("must not be negative")
        return value

    @field_validator("url")
    @classmethod
    def _has_no_secret(cls, value: str | None) -> str | None:
        if value is not None and (not value.startswith("jdbc:") or re.search(r"[?;&@]", value)):
            raise ValueError(
                "must be jdbc:KIND://HOST:PORT/DATABASE and no more; user and password are in variables "
                "(user_env, password_env), a URL with options too (url_env)"
            )
        return value

    @field_validator("zone")
    @classmethod
    def _is_zone(cls, value: str | None) -> str | None:
        try:
            ZoneInfo(value or "UTC")
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{value!r} is not a time zone") from None
        return value

    @field_validator("query")
    @classmethod
    def _is_one_select(cls, value: str | None) -> str | None:
        if value is not None and value.rstrip().endswith(";"):
            raise ValueError("must not end in a semicolon: it becomes a part of the statements that read it")
        return value

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        for one, other in (("url", "url_env"), ("table", "query")):
            if (getattr(self, one) is None) == (getattr(self, other) is None):
                raise ValueError(f"give either {one} or {other}")
        if (self.deletes is None) != (self.deleted_column is None):
            raise ValueError("deletes and deleted_column belong together")
        if self.partitions > 1 and self.partition_by is None:
            raise ValueError("partitions: needs partition_by, a column that never changes in a row")
        return self


def check_database(
    database: Database,
    *,
    columns: Sequence[Column],
    keys: Sequence[str],
    reported_time: str,
    arrives: str,
    of_files: Mapping[str, Any],
) -> None:
    """Refuse what a source says of a database and does not fit the rest of its declaration.

    Args:
        of_files: fields that only sources of files have, those that are set.

    Raises:
        ValueError: naming the field.
    """
    if of_files:
        raise ValueError(f"{', '.join(of_files)}: is of files, and this source reads a database")
    if (database.watermark is None) != (arrives == "snapshot"):
        raise ValueError(
            "database.watermark: is missing: without one a load is the whole table (arrives: snapshot)"
            if database.watermark is None
            else "database.watermark: a snapshot is read whole, and has none"
        )
    types = {column.name: column.type for column in columns}
    if database.watermark is None:
        for field in ("partition_by", "deletes"):
            if getattr(database, field) is not None:
                raise ValueError(f"database.{field}: needs a watermark; a snapshot is read by one statement")
    elif types.get(database.watermark) not in ("timestamp", "int", "bigint"):
        raise ValueError(
            f"database.watermark: {database.watermark} is not a declared timestamp, int or bigint"
        )
    else:
        is_time = types[database.watermark] == "timestamp"
        for field in ("overlap", "lag"):
            length = getattr(database, field)
            if length and isinstance(length, timedelta) != is_time:
                raise ValueError(
                    f"database.{field}: must be a {'length of time' if is_time else 'number'}, "
                    f"as {database.watermark} is a {types[database.watermark]}"
                )
    if database.deleted_column is not None:
        if types.get(database.deleted_column) != "boolean":
            raise ValueError(
                f"database.deleted_column: {database.deleted_column} is not a declared boolean column"
            )
        if reported_time in keys or database.deleted_column in keys:
            raise ValueError(
                "database.deletes: keys must name a row however often it changes, so neither "
                f"{reported_time} nor {database.deleted_column} can be one"
            )
