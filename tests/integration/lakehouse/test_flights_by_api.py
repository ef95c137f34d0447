"""The flights' events that an API gives are the same rows as those that come in files."""

from datetime import date

import yaml

from demo.api import PAGE_ROWS, events_api
from demo.publish import publish
from lakehouse.delta.content_hash import content_hash
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.land import ingest
from lakehouse.ingest.source import Source
from lakehouse.settings import PROJECT_ROOT

FIRST, LAST = date(2013, 7, 10), date(2013, 7, 11)


def test_the_events_of_two_days_have_one_hash_by_api_and_by_file(spark, schema, tmp_path, monkeypatch):
    declared = yaml.safe_load((PROJECT_ROOT / "sources" / "flight_actuals.yml").read_text())
    landing = tmp_path / "landing"
    publish(FIRST, LAST, landing=landing, sources=["flight_actuals"])
    files = ingest(spark, ["flight_actuals"], landing=landing, declared=load_sources(), schema=schema)
    monkeypatch.setenv("EVENTS_TOKEN", "a token of this test")

    with events_api("a token of this test") as address:
        api = {
            "url": address,
            "params": {"day": "{day}"},
            "auth": {"kind": "bearer", "token_env": "EVENTS_TOKEN"},
            "records": "events",
            "total": "total",
            "pagination": {"kind": "page"},
            "first_day": FIRST,
            "last_day": LAST,
        }
        name = "flight_events"
        source = Source.model_validate(
            declared
            | {
                "name": name,
                "files": f"{name}/{name}_{{delivery}}.jsonl",
                "complete_when": "manifest",
                "api": api,
            }
        )
        fetched = ingest(spark, landing=landing, declared={name: source}, schema=schema)

    assert fetched.refused == []
    rows = sum(batch.rows for batch in fetched.landed)
    assert rows == sum(batch.rows for batch in files.landed) == sum(each.rows for each in fetched.fetched)
    assert sum(each.pages for each in fetched.fetched) > rows / PAGE_ROWS
    columns = [column.name for column in source.columns]
    by_api, by_file = (
        content_hash(spark.table(f"{schema}.{table}").select(*columns), source.keys)
        for table in (name, "flight_actuals")
    )
    assert by_api == by_file
    print(by_api.row_count, by_api.rows)  # noqa: T201
