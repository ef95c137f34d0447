"""The flights' events that come by a topic are the same rows as those that come in files."""

from datetime import date

import yaml

from demo.publish import publish
from demo.topic import create_topic, publish_events
from lakehouse.delta.content_hash import content_hash
from lakehouse.ingest.declarations import load_sources
from lakehouse.ingest.land import ingest
from lakehouse.ingest.source import Source
from lakehouse.settings import PROJECT_ROOT
from tests.servers.kafka import running_broker

FIRST, LAST = date(2013, 7, 10), date(2013, 7, 11)


def test_the_events_of_two_days_have_one_hash_by_topic_and_by_file(spark, schema, tmp_path):
    declared = yaml.safe_load((PROJECT_ROOT / "sources" / "flight_actuals.yml").read_text())
    landing = tmp_path / "landing"
    publish(FIRST, LAST, landing=landing, sources=["flight_actuals"])
    files = ingest(spark, ["flight_actuals"], landing=landing, declared=load_sources(), schema=schema)

    with running_broker(tmp_path / "kafka") as broker:
        create_topic(broker.address)
        published = publish_events(FIRST, LAST, broker.address)
        # The past is played again: how far it was read says nothing of what has been told.
        stream = {
            "bootstrap_servers": broker.address,
            "topic": "flight_events",
            "value": "json",
            "max_offsets_per_batch": 2000,
            "frontier": "none",
        }
        of_files = ("format", "files")
        changed = {key: value for key, value in declared.items() if key not in of_files}
        source = Source.model_validate(changed | {"name": "flight_events", "stream": stream})
        topic = ingest(spark, declared={source.name: source}, schema=schema)

    assert published == sum(batch.rows for batch in topic.landed) == sum(batch.rows for batch in files.landed)
    assert len(topic.landed) > 1 and topic.refused == []
    assert topic.frontiers[0].delivered_until is None
    columns = [column.name for column in source.columns]
    by_topic, by_file = (
        content_hash(spark.table(f"{schema}.{name}").select(*columns), source.keys)
        for name in ("flight_events", "flight_actuals")
    )
    assert by_topic == by_file
    print(by_topic.row_count, by_topic.rows)  # noqa: T201
