"""How a sample of CSV is written: delimiter, header, numbers, words for what is missing; and its values."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import csv as python_csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.errors import LakehouseError
from lakehouse.ingest.dialect import Csv
from lakehouse.ingest.propose.infer import type_of_texts
from lakehouse.ingest.propose.proposal import CHECK, TODO, Said
from lakehouse.ingest.read.csv import cells
from lakehouse.ingest.read.records import csv_records, line_end

Texts = Sequence[str | None]

_DELIMITERS = (",", ";", "\t", "|")
_NULL_WORDS = ("NA", "N/A", "n/a", "NULL", "null", "None", "NaN", "nan", r"\N", "-", "?")
_COMMA_NUMBER = re.compile(r"-?([0-9]+|[0-9]{1,3}(\.[0-9]{3})+),[0-9]+")
_THOUSANDS = re.compile(r"-?[0-9]{1,3}(\.[0-9]{3})+(,[0-9]+)?")
_POINT_NUMBER = re.compile(r"-?[0-9]*\.[0-9]+")
_WHOLE = re.compile(r"-?[0-9]+")


@dataclass(frozen=True)
class CsvSample:
    """A sample of CSV.

    Args:
        values: by the column's name in the file; None of what is missing.
        csv: how it is written.
        said: the same, as a declaration says what is not the plain form.
    """

    values: Mapping[str, Texts]
    csv: Csv
    said: Mapping[str, Any]


def read_sample(text: str, file: str) -> CsvSample:
    """Look at a sample.

    Args:
        text: its whole lines.

    Raises:
        LakehouseError: its header names columns twice, or not at all.
    """
    plain: dict[str, Any] = {}
    if "\n" not in text and "\r" in text:
        plain["line_end"] = "cr"
    if text.startswith("#"):
        plain["comment"] = "#"
    end = "\r" if plain.get("line_end") == "cr" else "\n"
    block = (text if text.endswith(end) else text + end).encode()
    plain |= _delimiter(block, plain)
    csv = Csv(**plain)
    first, rows = _rows(csv, block)
    is_header = not any(_is_value(cell) for cell in first)
    if is_header:
        _check_header(first, file)
    names = first if is_header else [f"column_{place + 1}" for place in range(len(first))]
    all_rows = rows if is_header else [list[str | None](first), *rows]
    values: dict[str, Texts] = {name: [row[place] for row in all_rows] for place, name in enumerate(names)}
    said: dict[str, Any] = {
        name: Said(value, CHECK) if name == "comment" else value for name, value in plain.items()
    }
    if numbers := _numbers(values, csv):
        csv = csv.model_copy(update=numbers)
        said |= {name: Said(value, CHECK) for name, value in numbers.items()}
    if words := _null_words(values, csv):
        values = {name: [None if each in words else each for each in texts] for name, texts in values.items()}
        said["null_values"] = Said(["", *words], CHECK)
    if not is_header:
        said["header"] = Said(False, CHECK)
    return CsvSample(values, csv, said)


def _delimiter(block: bytes, plain: Mapping[str, Any]) -> dict[str, str]:
    """The delimiter by which most rows have as many values as the first one; empty where that is a comma."""

    def fit(delimiter: str) -> tuple[float, int]:
        csv = Csv(**plain, delimiter=delimiter)
        first, rows = _rows(csv, block)
        total = max(1, len(csv_records(csv, block, 1)) - 1)
        return (len(rows) / total, len(first)) if len(first) > 1 else (0.0, 0)

    best = max(_DELIMITERS, key=fit)
    return {} if best == "," else {"delimiter": best}


def _rows(csv: Csv, block: bytes) -> tuple[list[str], list[list[str | None]]]:
    """The values of the first row, and of those others that have as many."""
    records = csv_records(csv, block, 1)
    if not records:
        return [], []
    first = records[0].raw.decode(errors="replace").rstrip("\r\n")
    head = next(python_csv.reader([first], delimiter=csv.delimiter, quotechar='"'), [])
    rest = b"".join(record.raw for record in records[1:])
    if not rest.strip(line_end(csv) + b"\r"):
        return head, []
    found = cells(csv, rest, 1, len(head))
    columns = [column.to_pylist() for column in found.texts.columns]
    rows = [list(row) for index, row in enumerate(zip(*columns, strict=True)) if index not in found.bad]
    return head, rows


def _is_value(cell: str) -> bool:
    """Whether a cell of the first row is a number, a date and so on, and so hardly a column's name."""
    return type_of_texts([cell], Csv()) not in ("string", TODO)


def _check_header(names: Sequence[str], file: str) -> None:
    unnamed = [str(place) for place, name in enumerate(names, 1) if not name.strip()]
    twice = sorted({name for name in names if names.count(name) > 1} - {""})
    if unnamed or twice:
        said = f"has no name for column {', '.join(unnamed)}" if unnamed else f"has {', '.join(twice)} twice"
        raise LakehouseError(f"{file}: its header {said}", "have the file written with a name per column")


def _numbers(values: Mapping[str, Texts], csv: Csv) -> dict[str, str]:
    """How numbers are written, where it is with a decimal comma."""
    if csv.delimiter == ",":
        return {}
    commas = [column for texts in values.values() if (column := _all(texts, _COMMA_NUMBER))]
    if not commas or any(_all(texts, _POINT_NUMBER) for texts in values.values()):
        return {}
    grouped = any(_THOUSANDS.fullmatch(each) for column in commas for each in column)
    return {"decimal": ",", **({"thousands": "."} if grouped else {})}


def _all(texts: Texts, number: re.Pattern[str]) -> list[str]:
    """The texts of a column of such numbers and whole ones; none where it has others."""
    there = [each for each in texts if each and each not in _NULL_WORDS]
    is_so = any(map(number.fullmatch, there)) and all(
        number.fullmatch(each) or _WHOLE.fullmatch(each) for each in there
    )
    return there if is_so else []


def _null_words(values: Mapping[str, Texts], csv: Csv) -> list[str]:
    """The words for what is missing: without them, a column of text is one of another type."""
    words: set[str] = set()
    for texts in values.values():
        found = {each for each in texts if each in _NULL_WORDS}
        others = [each for each in texts if each not in _NULL_WORDS]
        if found and type_of_texts(others, csv) not in ("string", TODO):
            words |= {each for each in found if each}
    return sorted(words)
