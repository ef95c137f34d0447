"""What is fetched from an API lands as a delivered file does: the same rows, quarantine and frontier."""

import json
from pathlib import Path

from pyspark.sql import SparkSession

from lakehouse.delta.content_hash import content_hash
from lakehouse.ingest.api import before
from lakehouse.ingest.land import ingest
from lakehouse.ingest.report import IngestReport
from lakehouse.ingest.source import Source
from tests.integration.lakehouse.api_server import DAYS, Answered, Asked, record, serving, source_of

# In the second hour the API begins to deliver a column more, and one record is broken.
PAGES = [
    [record(number, gust=None) for number in range(60)],
    [record(number, gust=number / 4) for number in range(60, 119)]
    + [record(119, gust=1) | {"reading": "many"}],
]


def land(spark: SparkSession, schema: str, landing: Path, source: Source, **options: object) -> IngestReport:
    landing.mkdir(exist_ok=True)
    return ingest(spark, landing=landing, schema=schema, declared={source.name: source}, **options)


def answer(asked: Asked) -> Answered:
    if asked.query["day"] != DAYS[0]:
        return Answered(status=503, headers={"Retry-After": "600"})
    number = int(asked.query["page"])
    items = PAGES[number - 1] if number <= len(PAGES) else []
    return Answered({"data": {"items": items}})


def test_an_api_and_a_file_with_the_same_records_are_the_same_bronze(spark, tmp_path, monkeypatch):
    # The session is heard after each page, not every ten minutes.
    monkeypatch.setattr(before, "_HEARD_EVERY_SECONDS", 0)
    for name in ("t_by_api", "t_by_file"):
        spark.sql(f"drop schema if exists {name} cascade")
        spark.sql(f"create schema {name}")
    changes = {"allow_new_columns": True, "max_bad_share": 0.1}
    with serving(answer) as server:
        source = source_of(server, changes, pagination={"kind": "page"}, last_day=DAYS[1])
        report = land(spark, "t_by_api", tmp_path / "api", source)
        asked = len(server.asked)

        again = land(spark, "t_by_api", tmp_path / "api", source, days=None)

    # The first day is there though the second has to wait.
    ((fetched,), (landed,), (waiting,)) = report.fetched, report.landed, report.waiting
    assert (fetched.rows, fetched.pages) == (120, 3)
    assert (landed.rows, landed.quarantined) == (119, 1)
    assert waiting.file == f"weather/readings_{DAYS[1]}.jsonl"
    assert report.refused == []
    (frontier,) = report.frontiers
    assert frontier.delivered_until is not None
    assert frontier.delivered_until.isoformat() == "2013-07-11T00:00:00+00:00"
    # The second call asks for the second day alone, and lands nothing twice.
    assert (again.fetched, again.landed, again.skipped) == ([], [], [f"readings_{DAYS[0]}"])
    assert [each.query["day"] for each in server.asked[asked:]] == [DAYS[1]]

    file = tmp_path / "file" / "weather" / f"readings_{DAYS[0]}.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("".join(json.dumps(row) + "\n" for page in PAGES for row in page))
    by_file = Source.model_validate(
        source.model_dump(exclude={"api"}, by_alias=True, exclude_unset=True)
        | {"complete_when": "settled", "columns": source.columns}
    )
    land(spark, "t_by_file", tmp_path / "file", by_file)

    for table in ("{}.readings", "{}_quarantine.readings_unreadable"):
        by_each = [
            spark.table(table.format(schema)).drop("_ingested_at") for schema in ("t_by_api", "t_by_file")
        ]
        assert by_each[0].count() == (119 if "quarantine" not in table else 1)
        assert content_hash(by_each[0]).rows == content_hash(by_each[1]).rows
    for name in ("t_by_api", "t_by_file", "t_by_api_quarantine", "t_by_file_quarantine"):
        spark.sql(f"drop schema {name} cascade")


def test_a_schema_change_that_is_not_allowed_keeps_the_delivery_until_it_is_declared(spark, schema, tmp_path):
    with serving(answer) as server:
        source = source_of(server, pagination={"kind": "page"})
        (refusal,) = land(spark, schema, tmp_path, source).refused
        assert "gust" in refusal.reason
        asked = len(server.asked)

        allowed = source_of(server, {"allow_new_columns": True}, pagination={"kind": "page"})
        report = land(spark, schema, tmp_path, allowed)
    assert [(batch.rows, batch.quarantined) for batch in report.landed] == [(119, 1)]
    # What the API said then is in the landing zone: it is not asked again.
    assert len(server.asked) == asked


def test_a_decision_asks_no_api(spark, schema, tmp_path):
    with serving(answer) as server:
        land(spark, schema, tmp_path, source_of(server), batch_id="")
    assert server.asked == []
