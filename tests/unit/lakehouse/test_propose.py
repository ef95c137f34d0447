"""A declaration proposed from a sample loads once its TODOs are filled in, and reads that very sample."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from lakehouse.errors import LakehouseError
from lakehouse.ingest.declarations import load_source
from lakehouse.ingest.propose.api import propose_api, records_path
from lakehouse.ingest.propose.files import SAMPLE_BYTES, propose_file
from lakehouse.ingest.propose.proposal import declaration
from lakehouse.ingest.read.content import Content
from lakehouse.ingest.read.stream import read_stream
from lakehouse.ingest.source import Source
from tests.integration.lakehouse.api_server import Answered, Asked, serving

FILLED = {
    "arrives": "live",
    "time_zone": "Europe/Berlin",
    "delivery_delay_minutes": "0",
    "description": "Said.",
    "owner": "weather",
}


def filled(text: str, folder: Path, **more: str) -> Source:
    """The source of a proposal, with each TODO filled in."""

    def fill(found: re.Match[str]) -> str:
        return f"{found[1]}: {(FILLED | more)[found[1]]}"

    path = folder / "readings.yml"
    path.write_text(re.sub(r"(\w+): TODO", fill, text))
    return load_source(path)


def proposed(path: Path) -> str:
    return declaration("readings", propose_file("readings", path))


def read(source: Source, path: Path) -> list[Content]:
    with path.open("rb") as file:
        return list(read_stream(source, file, {}))


def types_of(source: Source) -> dict[str, str]:
    return {column.name: column.type for column in source.columns}


AT = "2013-07-10T10:00:00Z"
CSV = {
    "plain": (
        f"station,reading,read_at\nA,1,{AT}\nA,2,2013-07-10T11:00:00+02:00\n",
        {"station": "string", "reading": "int", "read_at": "timestamp"},
        {},
    ),
    "types": (
        f"big,share,is_ok,on_day,read_at\n5000000000,1.5,true,2013-07-10,{AT}\n1,2,false,2013-07-11,{AT}\n",
        {"big": "bigint", "share": "double", "is_ok": "boolean", "on_day": "date", "read_at": "timestamp"},
        {},
    ),
    "semicolons and decimal commas": (
        f"Station No;Amount;read_at\n1;1.234,50;{AT}\n2;3,5;{AT}\n",
        {"station_no": "int", "amount": "double", "read_at": "timestamp"},
        {"delimiter": ";", "decimal": ",", "thousands": "."},
    ),
    "tabs, and a word for what is missing": (
        f"id\treading\tread_at\n1\tNA\t{AT}\n2\t7\t{AT}\n",
        {"id": "int", "reading": "int", "read_at": "timestamp"},
        {"delimiter": "\t", "null_values": ["", "NA"]},
    ),
    "without a header": (
        f"A,1,{AT}\nB,2,{AT}\n",
        {"column_1": "string", "column_2": "int", "column_3": "timestamp"},
        {"header": False},
    ),
    "a number that begins with zeros": (
        f"zip,read_at\n01234,{AT}\n99999,{AT}\n",
        {"zip": "string", "read_at": "timestamp"},
        {},
    ),
    "a value over several lines": (
        f'id,said,read_at\n1,"one\ntwo, three",{AT}\n2,four,{AT}\n',
        {"id": "int", "said": "string", "read_at": "timestamp"},
        {},
    ),
    "local times": (
        "id,read_at\n1,2013-07-10 10:00:00\n2,2013-07-10T11:00\n",
        {"id": "int", "read_at": "timestamp"},
        {},
    ),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", CSV)
def test_csv(name: str, encoding: str, tmp_path: Path) -> None:
    content, types, dialect = CSV[name]
    path = tmp_path / "sample.csv"
    path.write_text(content, encoding=encoding, newline="")
    text = proposed(path)
    expected = dialect | ({"encoding": "utf-16"} if encoding == "utf-16" else {})
    assert yaml.safe_load(text).get("csv", {}) == expected
    assert ("time_zone: TODO  # its times have no offset" in text) == (name == "local times")
    source = filled(text, tmp_path)
    assert types_of(source) == types
    parts = read(source, path)
    assert sum(part.rows.num_rows for part in parts) == 2
    assert not [row for part in parts for row in part.unreadable]


def test_what_is_proposed_is_marked_and_what_nobody_can_know_is_a_todo(tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    path.write_text(f"reading,code,updated_at,read_at\n1,A,{AT},{AT}\n1,B,{AT},{AT}\n")
    text = proposed(path)
    assert "reported_time: updated_at  # proposed: check it\n" in text
    assert "keys: [code]  # proposed: check it\n" in text
    todo = [line.split(":")[0].strip() for line in text.splitlines() if ": TODO" in line]
    assert (
        todo
        == ["description", "owner", "arrives", "time_zone", "delivery_delay_minutes"] + ["description"] * 4
    )


def test_rows_that_only_several_columns_tell_apart(tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    path.write_text(f"station,reading,read_at\nA,1,{AT}\nB,1,{AT}\nA,1,2013-07-10T11:00:00Z\n")
    assert "keys: [station, read_at]  # proposed" in proposed(path)


def test_the_first_mib_is_looked_at_and_its_cut_row_left_out(tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    row = f"{'x' * 100},1,{AT}\n"
    path.write_text("name,reading,read_at\n" + row * (SAMPLE_BYTES // len(row) + 10) + f"y,text,{AT}\n")
    assert types_of(filled(proposed(path).replace("[TODO]", "[name]"), tmp_path))["reading"] == "int"


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "sample.jsonl"
    rows: list[dict[str, Any]] = [
        {"id": 1, "at": AT, "where": {"lat": 1.5, "tags": ["a"]}, "isOk": True, "none": None},
        {"id": 2, "at": AT, "where": {"lat": 2, "tags": []}, "isOk": None, "none": None},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = proposed(path)
    assert "type: TODO  # the sample has no value of it" in text
    source = filled(text, tmp_path, type="string")
    assert types_of(source) == {
        "id": "int",
        "at": "timestamp",
        "where_lat": "double",
        "where_tags": "array<string>",
        "is_ok": "boolean",
        "none": "string",
    }
    (content,) = read(source, path)
    assert not content.unreadable
    assert content.rows.to_pylist()[0]["where_tags"] == ["a"]


def test_what_cannot_be_a_column_is_said(tmp_path: Path) -> None:
    path = tmp_path / "sample.jsonl"
    path.write_text(json.dumps({"at": AT, "items": [{"id": 1}]}) + "\n")
    assert "# Not proposed, and not read as it is: items is a list of objects" in proposed(path)


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "sample.parquet"
    at = datetime(2013, 7, 10, 10, tzinfo=UTC)
    table = pa.table(
        {
            "Id": pa.array([1, 2], pa.int16()),
            "amount": pa.array([Decimal("1.50"), None], pa.decimal128(12, 2)),
            "code": pa.array(["a", "b"]).dictionary_encode(),
            "big": pa.array([1, 2], pa.uint64()),
            "tags": pa.array([["a"], []], pa.list_(pa.string())),
            "read_at": pa.array([at, at], pa.timestamp("ns", "UTC")),
            "local_at": pa.array([at.replace(tzinfo=None)] * 2, pa.timestamp("us")),
        }
    )
    pq.write_table(table, path)
    text = proposed(path)
    source = filled(text, tmp_path)
    assert types_of(source) == {
        "id": "int",
        "amount": "decimal(12,2)",
        "code": "string",
        "big": "decimal(20,0)",
        "tags": "array<string>",
        "read_at": "timestamp",
        "local_at": "timestamp",
    }
    (content,) = read(source, path)
    assert content.rows.num_rows == 2
    assert not content.unreadable


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b'[{"a": 1}]', "is one JSON list"),
        (b"a,a\nx,y\n", "has a twice"),
        (b"a,,b\nx,y,z\n", "has no name for column 2"),
        (b'{"a": 1}\n{"a"\n', "line 2 is not JSON"),
        (b"a\0b\0", "has NUL bytes"),
        (b"PAR1 and no more", "cut off or damaged"),
    ],
)
def test_what_is_no_sample_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "sample"
    path.write_bytes(content)
    with pytest.raises(LakehouseError, match=re.escape(said)):
        proposed(path)


def test_an_api(tmp_path: Path) -> None:
    records = [{"id": number, "at": AT, "value": 1.5} for number in range(3)]

    def answer(asked: Asked) -> Answered:
        next_page = f"http://elsewhere.example{asked.path}?page=2"
        return Answered({"meta": {"tags": []}, "data": {"items": records}, "next": next_page})

    with serving(answer) as api:
        url = f"{api.url}/v1/readings?from=2013-07-10&until=2013-07-11&kind=all&api_key=very-secret"
        text = declaration("readings", propose_api("readings", url))
    assert [asked.query["api_key"] for asked in api.asked] == ["very-secret"]
    assert "very-secret" not in text
    source = filled(text, tmp_path)
    assert source.api is not None
    assert source.api.url == f"{api.url}/v1/readings"
    assert source.api.params == {"from": "{day}", "until": "{next_day}", "kind": "all"}
    assert source.api.records == ("data", "items")
    assert source.api.auth is not None and source.api.auth.kind == "query"
    assert source.api.pagination.kind == "next_link"
    assert types_of(source) == {"id": "int", "at": "timestamp", "value": "double"}
    assert source.keys == ["id"]


def test_an_api_whose_address_names_no_day_is_a_snapshot(tmp_path: Path) -> None:
    with serving(lambda _: Answered([{"id": 1, "at": AT}])) as api:
        text = declaration("readings", propose_api("readings", f"{api.url}/readings"))
    assert filled(text, tmp_path).arrives == "snapshot"


@pytest.mark.parametrize(
    ("answered", "said"),
    [
        (Answered(b"<html>"), "not JSON"),
        (Answered({"data": {"id": 1}}), "no list of records"),
        (Answered(b"", status=404), "answered 404"),
    ],
)
def test_an_api_without_records_is_refused(answered: Answered, said: str) -> None:
    with serving(lambda _: answered) as api, pytest.raises(LakehouseError, match=said):
        propose_api("readings", f"{api.url}/readings")


def test_the_longest_list_is_that_of_the_records() -> None:
    body = {"errors": [{"code": 1}], "result": {"rows": [{"id": 1}, {"id": 2}]}}
    assert records_path(body) == ("result", "rows")
    assert records_path([{"id": 1}]) == ()
    assert records_path({"rows": []}) is None
