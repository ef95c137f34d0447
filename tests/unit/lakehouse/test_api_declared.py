"""Declarations of APIs: what is wrong is named by its field, and no secret can stand in one."""

import re

import pytest
import yaml
from pydantic import ValidationError

from lakehouse.errors import LakehouseError
from lakehouse.ingest.api.declared import Api
from lakehouse.ingest.api.delivery import url_of
from lakehouse.ingest.declarations import load_source
from lakehouse.ingest.periods import parse_period
from lakehouse.ingest.source import Source
from lakehouse.settings import PROJECT_ROOT

URL = "https://api.example/readings"
DECLARED = {
    "name": "readings",
    "description": "Readings of stations.",
    "owner": "weather",
    "format": "jsonl",
    "files": "readings/readings_{delivery}.jsonl",
    "arrives": "live",
    "time_zone": "America/New_York",
    "reported_time": "read_at",
    "delivery_delay_minutes": 15,
    "complete_when": "manifest",
    "keys": ["station", "read_at"],
    "columns": [
        {"name": "station", "type": "string", "description": "Station."},
        {"name": "read_at", "type": "timestamp", "description": "When."},
    ],
}


def source(api: dict[str, object], **changes: object) -> Source:
    return Source.model_validate(DECLARED | changes | {"api": {"url": URL, "params": {"day": "{day}"}} | api})


@pytest.mark.parametrize(
    ("api", "changes", "said"),
    [
        ({"url": "ftp://api.example/"}, {}, "api.url: must begin with https://"),
        ({"url": "api.example/readings"}, {}, "api.url: must begin with https://"),
        ({"url": "https://ana:secret@api.example/"}, {}, "api.url: holds a user or a password"),
        ({"url": "https://{day}.example/"}, {}, "api.url: has a placeholder in its host"),
        ({"url": f"{URL}#top"}, {}, "api.url: has a fragment"),
        ({"url": f"{URL}/{{date}}"}, {}, "api.url: {date} is not one of {day}"),
        ({"params": {"day": "{day.year}"}}, {}, "api.params: {day.year} is not one of"),
        ({"params": {"day": "{hour:%H}"}}, {}, "api.params: '{hour:%H}' cannot be filled"),
        ({"params": {"day": "{day"}}, {}, "api.params: expected '}'"),
        ({"params": {}}, {}, "api.url: neither it nor api.params name the period"),
        ({"url": f"{URL}?day=1"}, {}, "api: params: day is in url, too"),
        ({"headers": {"Authorization": "Bearer s3cr3t"}}, {}, "api.headers: Authorization: declare auth"),
        ({"auth": {"kind": "bearer", "token": "s3cr3t"}}, {}, "api.auth.bearer.token"),
        ({"auth": {"kind": "bearer", "token_env": "s3-cr3t"}}, {}, "api.auth.bearer.token_env"),
        ({"auth": {"kind": "digest"}}, {}, "api.auth: Input tag 'digest'"),
        (
            {"url": "http://api.example/", "auth": {"kind": "bearer", "token_env": "TOKEN"}},
            {},
            "api: url: http:// would show the secret",
        ),
        (
            {"auth": {"kind": "query", "name": "day", "value_env": "KEY"}},
            {},
            "day is set by pagination or auth",
        ),
        (
            {"params": {"page": "{day}"}, "pagination": {"kind": "page"}},
            {},
            "page is set by pagination or auth",
        ),
        ({"pagination": {"kind": "cursor"}}, {}, "api.pagination.cursor.next: Field required"),
        ({"pagination": {"kind": "page", "size": 5}}, {}, "api.pagination.page.size"),
        ({"records": "data..items"}, {}, "api.records.1"),
        ({"period": "hour"}, {}, "api.period: an hour is asked for, but none of {hour}"),
        ({"first_day": "2013-02-01", "last_day": "2013-01-01"}, {}, "api: last_day: 2013-01-01 is before"),
        ({"ask_after_minutes": -60}, {}, "api.ask_after_minutes: what happens is there when"),
        ({}, {"arrives": "ahead"}, "api.ask_after_minutes: say how long before the end of its day"),
        ({"ask_after_minutes": -45_000}, {"arrives": "ahead"}, "is earlier than days_ahead (31) allows"),
        (
            {"first_day": "2013-01-01"},
            {"arrives": "snapshot"},
            "api.first_day: a snapshot is asked for as it is",
        ),
        ({}, {"complete_when": "settled"}, "complete_when: must be manifest"),
        ({}, {"format": "csv", "files": "readings/readings_{delivery}.csv"}, "format: must be jsonl"),
    ],
)
def test_a_wrong_declaration_is_refused_by_its_field(tmp_path, api, changes, said):
    path = tmp_path / "readings.yml"
    path.write_text(
        yaml.safe_dump(DECLARED | changes | {"api": {"url": URL, "params": {"day": "{day}"}} | api})
    )
    with pytest.raises(LakehouseError) as error:
        load_source(path)
    assert said in error.value.what
    assert "s3cr3t" not in error.value.what
    assert "s3-cr3t" not in error.value.what


def test_a_secret_may_go_over_http_to_this_machine():
    auth = {"kind": "bearer", "token_env": "TOKEN"}
    for host in ("localhost:8000", "127.0.0.1:8000", "[::1]:8000"):
        assert source({"url": f"http://{host}/", "auth": auth}).api is not None


@pytest.mark.parametrize(
    ("api", "period", "url"),
    [
        ({}, "2013-10-01", f"{URL}?day=2013-10-01"),
        ({"url": f"{URL}/{{day:%Y/%m}}", "params": {}}, "2013-10-01", f"{URL}/2013/10"),
        (
            {"url": f"{URL}?unit=si", "params": {"since": "{from}", "before": "{until}"}},
            "2013-11-03",
            # The clocks go back: a day of 25 hours.
            f"{URL}?unit=si&since=2013-11-03T04%3A00%3A00Z&before=2013-11-04T05%3A00%3A00Z",
        ),
        (
            {"params": {"a": "{day}T{hour:02}", "b": "{from_epoch}-{until_epoch}", "c": "{next_day}"}},
            "2013-10-01T09",
            f"{URL}?a=2013-10-01T09&b=1380632400-1380636000&c=2013-10-02",
        ),
        (
            {"params": {"filter": '{{"day": "{day}"}}'}},
            "2013-10-01",
            f"{URL}?filter=%7B%22day%22%3A+%222013-10-01%22%7D",
        ),
    ],
)
def test_an_address_speaks_of_its_period(api, period, url):
    declared = source(api)
    assert declared.api is not None
    assert str(url_of(declared.api, parse_period(period), declared.time_zone)) == url


def test_a_key_with_a_dot_is_declared_in_a_list():
    pagination = {"kind": "next_link", "next": ["@odata.nextLink"]}
    declared = source({"records": "value.rows", "pagination": pagination})
    assert declared.api is not None
    assert declared.api.records == ("value", "rows")
    assert declared.api.pagination.next == ("@odata.nextLink",)


def test_the_guide_is_right():
    page = (PROJECT_ROOT / "docs" / "sources-api.md").read_text()
    example, secrets = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    shown = Source.model_validate(yaml.safe_load(example))
    assert shown.api is not None
    for line in secrets.splitlines():
        assert source(yaml.safe_load(line)).api is not None
    # Each field is explained, and no other one.
    table = page.partition("| field of `api` |")[2].partition("\n\n")[0]
    named = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == set(Api.model_fields)


def test_a_source_without_an_api_is_none():
    assert Source.model_validate(DECLARED).api is None
    with pytest.raises(ValidationError):
        Source.model_validate(DECLARED | {"api": {}})
