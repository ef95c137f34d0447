"""How a source's files are written, where they are not as CSV, JSON lines or Parquet most often are.

What is not declared is not guessed: each default is the plain form, and a file in another one is refused.
"""

import codecs
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from lakehouse.ingest.declared import Column, Declared
from lakehouse.ingest.types import element_type

Character = Annotated[str, Field(min_length=1, max_length=1)]

# Codecs that Python calls encodings of text, and that no file is delivered in.
_NOT_OF_FILES = {
    "idna", "mbcs", "oem", "palmos", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7",
}  # fmt: skip


def _is_encoding(value: str) -> str:
    try:
        # Not public, and the only way to tell `latin-1` from `rot13` and `zip`.
        is_text = bool(getattr(codecs.lookup(value), "_is_text_encoding", True))
        name = codecs.lookup(value).name
    except LookupError:
        is_text, name = False, value
    if not is_text or name.replace("_", "-") in _NOT_OF_FILES:
        raise ValueError(f"{value!r} is not an encoding of text, such as utf-8, latin-1, cp1252 or utf-16")
    return name


class Csv(Declared):
    """The dialect of CSV."""

    delimiter: Character = Field(default=",", description="What stands between two values.")
    quote: Character | None = Field(
        default='"',
        description="What a value may be set in; doubled, it stands for itself. null: nothing is.",
    )
    escape: Character | None = Field(
        default=None,
        description="What takes the meaning from the next character; then a doubled quote is refused.",
    )
    encoding: str = Field(default="utf-8", description="Of the bytes.")
    decimal: Literal[".", ","] = Field(
        default=".", description="What stands before the fraction of a number."
    )
    thousands: Literal[".", ",", "'", " ", "_"] | None = Field(
        default=None, description="What stands between each three digits of a number."
    )
    null_values: list[str] = Field(
        default=[""], description="What a missing value is written as, not in quotes."
    )
    true_values: list[str] = Field(
        default=["true", "True", "TRUE", "1"], min_length=1, description="What true is written as."
    )
    false_values: list[str] = Field(
        default=["false", "False", "FALSE", "0"], min_length=1, description="What false is written as."
    )
    header: bool = Field(
        default=True, description="Whether the first row holds the names; else the columns come as declared."
    )
    comment: Character | None = Field(default=None, description="Rows that begin with it are skipped.")
    skip_lines: int = Field(default=0, ge=0, le=1000, description="Lines before the header that are skipped.")
    line_end: Literal["lf", "cr"] = Field(
        default="lf",
        description="lf: a line feed, with or without a carriage return before it; cr: that alone.",
    )
    multiline: Literal["checked", "allowed", "never"] = Field(
        default="checked",
        description="Whether a value in quotes may hold line breaks; checked: unless each line is a row.",
    )

    _encoding = field_validator("encoding")(_is_encoding)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        signs = {
            name: value
            for name in ("delimiter", "quote", "escape", "comment")
            if (value := getattr(self, name)) is not None
        }
        for name, value in signs.items():
            # Arrow's reader looks at bytes.
            if not value.isascii() or value in "\r\n\0":
                raise ValueError(f"{name}: {value!r} is not an ASCII character within a line")
            same = [other for other in signs if signs[other] == value and other != name]
            if same:
                raise ValueError(f"{name}: is {value!r}, and so is {same[0]}")
        if self.decimal == self.thousands:
            raise ValueError(f"thousands: is {self.thousands!r}, and so is decimal")
        if self.quote is None and self.multiline == "allowed":
            raise ValueError("multiline: allowed, but without a quote no value can hold a line break")
        for name, words in (
            ("null_values", self.null_values),
            ("true_values", self.true_values),
            ("false_values", self.false_values),
        ):
            if self.escape is not None and any(self.escape in word for word in words):
                raise ValueError(
                    f"{name}: holds the escape {self.escape!r}, which is gone when words are compared"
                )
            if name != "null_values" and any(word != word.strip() or not word for word in words):
                raise ValueError(f"{name}: a word is empty, or has a blank at an end")
        both = set(self.true_values) & set(self.false_values)
        if both:
            raise ValueError(f"false_values: {', '.join(sorted(both))} is true as well")
        return self


class Json(Declared):
    """How JSON lines are written."""

    encoding: str = Field(default="utf-8", description="Of the bytes.")

    _encoding = field_validator("encoding")(_is_encoding)


class Parquet(Declared):
    """How Parquet is written."""

    legacy_calendar: Literal["refuse", "rebase", "proleptic"] = Field(
        default="refuse",
        description="Dates before 1582-10-15 (times before 1900) of a writer with the Julian calendar, or of "
        "one that does not say. refuse: the row is unreadable; rebase: they are Julian, and read as the same "
        "day and month; proleptic: they are Gregorian, whatever the file says.",
    )


def dialect_problem(
    file_format: str | None,
    declared: AbstractSet[str],
    csv: Csv,
    allow_new_columns: bool,
    columns: Iterable[Column],
) -> str | None:
    """Why a dialect or a column makes no sense for a format, beginning with the field; None where all does.

    Args:
        declared: which of the sections csv, json_lines and parquet there are.
    """
    own = {"csv": "csv", "jsonl": "json_lines", "parquet": "parquet"}.get(file_format or "")
    for section in sorted(declared):
        if section != own:
            return f"{section.removesuffix('_lines')}: the source's format is {file_format}"
    if not csv.header and allow_new_columns:
        return "csv.header: without a header no one can tell what a new column is: allow_new_columns"
    for index, column in enumerate(columns):
        if column.path is not None and file_format != "jsonl":
            return f"columns.{index}.path: is of JSON lines, and the source's format is {file_format}"
        if element_type(column.type) and file_format == "csv":
            return f"columns.{index}.type: CSV has no arrays"
        if file_format == "parquet" and column.allow_inf_nan:
            return f"columns.{index}.allow_inf_nan: is of numbers as text, and Parquet has typed ones"
    return None
