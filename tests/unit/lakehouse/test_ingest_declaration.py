"""Declarations of how files are written: what makes no sense is refused, with line and field."""

from typing import Any

import pytest
import yaml

from lakehouse.errors import LakehouseError
from lakehouse.ingest.declarations import load_source
from lakehouse.ingest.declared import Column
from lakehouse.ingest.dialect import Csv, Json, Parquet
from lakehouse.ingest.source import Source
from lakehouse.settings import PROJECT_ROOT
from tests.unit.lakehouse.readings import columns_of, declared


def _types(types: dict[str, Any]) -> list[dict[str, Any]]:
    return columns_of(types | {"read_at": "timestamp"})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"csv": {"delimiter": ",,"}}, "line 21: csv.delimiter"),
        ({"csv": {"delimiter": '"'}}, "csv: delimiter: is '\"', and so is quote"),
        ({"csv": {"delimiter": "é"}}, "csv: delimiter: 'é' is not an ASCII"),
        ({"csv": {"quote": "\n"}}, "csv: quote"),
        ({"csv": {"comment": ","}}, "comment"),
        ({"csv": {"encoding": "latin-99"}}, "csv.encoding: 'latin-99' is not an encoding of text"),
        ({"csv": {"encoding": "rot13"}}, "csv.encoding: 'rot13' is not an encoding of text"),
        ({"csv": {"encoding": "utf-7"}}, "csv.encoding"),
        ({"csv": {"decimal": ",", "thousands": ","}}, "thousands: is ',', and so is decimal"),
        ({"csv": {"null_values": "NA"}}, "csv.null_values"),
        ({"csv": {"null_values": ["\\N"], "escape": "\\"}}, "null_values: holds the escape"),
        ({"csv": {"true_values": ["1"], "false_values": ["1"]}}, "false_values: 1 is true as well"),
        ({"csv": {"true_values": []}}, "csv.true_values"),
        ({"csv": {"header": False}, "allow_new_columns": True}, "csv.header: without a header"),
        ({"csv": {"skip_lines": -1}}, "csv.skip_lines"),
        ({"csv": {"separator": ";"}}, "csv.separator"),
        ({"csv": {"quote": None, "multiline": "allowed"}}, "multiline: allowed"),
        ({"parquet": {"legacy_calendar": "rebase"}}, "line 20: parquet: the source's format is csv"),
        ({"json": {"encoding": "latin-1"}}, "json: the source's format is csv"),
        ({"columns": _types({"a": {"type": "string", "format": "%Y"}})}, "format: a is of type string"),
        ({"columns": _types({"a": {"type": "timestamp", "format": "%F"}})}, "time_zone: '%F' has no %z"),
        (
            {"columns": _types({"a": {"type": "timestamp", "format": "%F%z", "time_zone": "UTC"}})},
            "time_zone: '%F%z' has %z",
        ),
        ({"columns": _types({"a": {"type": "date", "format": "%F %H"}})}, "has %H, and a date has no time"),
        ({"columns": _types({"a": {"type": "date", "format": "%Y-%m"}})}, "does not say the year, month"),
        ({"columns": _types({"a": {"type": "date", "format": "%q"}})}, "has %q: known are"),
        ({"columns": _types({"a": {"type": "date", "format": "%Y%-m%-d"}})}, "other digits behind it"),
        ({"columns": _types({"a": {"type": "date", "unit": "s"}})}, "unit: a is of type date"),
        ({"columns": _types({"a": {"type": "timestamp", "unit": "s", "time_zone": "UTC"}})}, "is in UTC"),
        ({"columns": _types({"a": {"type": "timestamp", "unit": "h"}})}, "columns.0.unit"),
        ({"columns": _types({"a": {"type": "timestamp", "time_zone": "Berlin"}})}, "columns.0.time_zone"),
        ({"columns": _types({"a": {"type": "timestamp", "ambiguous": "later"}})}, "ambiguous: says which"),
        ({"columns": _types({"a": {"type": "int", "allow_inf_nan": True}})}, "allow_inf_nan: a is of type"),
        ({"columns": _types({"a": "decimal(39,2)"})}, "columns.0.type: 'decimal(39,2)'"),
        ({"columns": _types({"a": "decimal(2,3)"})}, "columns.0.type"),
        ({"columns": _types({"a": "array<int>"})}, "columns.0.type: CSV has no arrays"),
        ({"columns": _types({"a": "array<array<int>>"})}, "columns.0.type: 'array<array<int>>'"),
        ({"columns": _types({"a": {"type": "int", "path": "b.c"}})}, "columns.0.path: is of JSON lines"),
        ({"columns": _types({"a": {"type": "int", "path": "b..c"}})}, "path: 'b..c' is not of the form"),
    ],
)
def test_a_wrong_declaration_is_refused_with_line_and_field(tmp_path, changes, field):
    path = tmp_path / "readings.yml"
    path.write_text(yaml.safe_dump(declared("csv", {"a": "string"}) | changes, sort_keys=False))

    with pytest.raises(LakehouseError) as refused:
        load_source(path)

    assert field in refused.value.what
    assert f"{path}: line " in refused.value.what


def test_the_page_on_file_formats_has_each_option_and_a_declaration_that_is_right():
    page = (PROJECT_ROOT / "docs" / "file-formats.md").read_text()

    for model in (Csv, Json, Parquet):
        assert not [
            name for name in model.model_fields if f"`{name}`" not in page and f"{{{name}: " not in page
        ]
    listed = (PROJECT_ROOT / "docs" / "ingestion.md").read_text()
    assert not [
        name for name in Column.model_fields if f"`{name}`" not in listed and f"`{name}:" not in listed
    ]
    example = yaml.safe_load(page.partition("    name: sales")[2].partition("A declaration")[0])
    shown = {name: value for name, value in example.items() if name in ("csv", "columns")}
    whole = declared("csv", {}) | shown | {"reported_time": "sold_at", "keys": ["amount"]}
    assert Source.model_validate(whole).csv.encoding == "cp1252"
