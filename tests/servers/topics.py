"""A source of readings from a topic, and what publishes to it."""

import json
from collections.abc import Iterable
from typing import Any

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from lakehouse.ingest.source import Source
from tests.servers.kafka import Broker

_TIMEOUT = 30


def readings_source(broker: Broker, topic: str, name: str = "readings", **stream: Any) -> Source:
    """A source whose records have a station, a reading and a time."""
    return Source.model_validate(
        {
            "name": name,
            "description": "Readings of stations.",
            "owner": "weather",
            "stream": {"bootstrap_servers": broker.address, "topic": topic, "value": "json"} | stream,
            "arrives": "live",
            "time_zone": "America/New_York",
            "reported_time": "read_at",
            "delivery_delay_minutes": 0,
            "keys": ["station", "read_at"],
            "columns": [
                {"name": "station", "type": "string", "description": "Station."},
                {"name": "reading", "type": "int", "description": "Reading."},
                {"name": "read_at", "type": "timestamp", "description": "When."},
            ],
        }
    )


def reading(number: int, **more: object) -> bytes:
    """The value of a record."""
    row = {"station": "A", "reading": number, "read_at": f"2013-07-10T10:{number % 60:02}:00Z"}
    return json.dumps(row | more).encode()


def create_topic(broker: Broker, topic: str, partitions: int = 1, **config: str) -> None:
    """Create a topic, and wait until the broker says that it is there."""
    new = NewTopic(
        topic, partitions, 1, config={key.replace("_", "."): value for key, value in config.items()}
    )
    admin = broker.admin()
    for done in admin.create_topics([new], operation_timeout=_TIMEOUT).values():
        done.result(_TIMEOUT)


def delete_topic(broker: Broker, topic: str) -> None:
    """Delete a topic, and wait until it is gone."""
    admin = broker.admin()
    for done in admin.delete_topics([topic], operation_timeout=_TIMEOUT).values():
        done.result(_TIMEOUT)


def expire_before(broker: Broker, topic: str, offset: int, partition: int = 0) -> None:
    """Remove the records of a partition before an offset, as their retention would."""
    admin = broker.admin()
    for done in admin.delete_records([TopicPartition(topic, partition, offset)]).values():
        done.result(_TIMEOUT)


def publish(
    broker: Broker,
    topic: str,
    values: Iterable[bytes | None],
    *,
    partition: int = 0,
    key: bytes | None = None,
    **options: object,
) -> None:
    """Publish records to a partition, each once, and wait until the broker has them."""
    producer = Producer({"bootstrap.servers": broker.address, "enable.idempotence": True} | options)
    failed: list[object] = []
    for value in values:
        producer.produce(
            topic, value, key, partition, on_delivery=lambda error, _: failed.append(error) if error else None
        )
    assert producer.flush(_TIMEOUT) == 0
    assert failed == []
