"""Publishes the flights' events to a Kafka topic: the lines of the landing files of `flight_actuals`."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import TypeAlias

from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # pyright: ignore[reportPrivateImportUsage]

from demo.deliveries import flight_events
from demo.publish import known_between, to_bytes
from lakehouse.errors import LakehouseError

TOPIC = "flight_events"
_TIMEOUT_SECONDS = 60
_OnDelivery: TypeAlias = Callable[[KafkaError | None, Message], None]


def create_topic(servers: str, topic: str = TOPIC, partitions: int = 2) -> None:
    """Create the topic; one that is there is kept.

    Raises:
        KafkaException: the brokers do not answer, or refuse it.
    """
    admin = AdminClient({"bootstrap.servers": servers})
    if topic not in admin.list_topics(timeout=_TIMEOUT_SECONDS).topics:
        admin.create_topics([NewTopic(topic, partitions)])[topic].result(_TIMEOUT_SECONDS)


def publish_events(
    start: date, end: date, servers: str, topic: str = TOPIC, hours: tuple[int, int] = (0, 24)
) -> int:
    """Publish what became known of the flights on these days, both included, in that order.

    Each record is a line of the landing file of its day. The producer is idempotent: however often it has to
    send a record, the brokers append it once. Publishing the same days again appends them again.

    Args:
        servers: HOST:PORT of the brokers, several with commas.
        hours: of each day, the local ones from the first to before the second.

    Returns:
        how many records were published.

    Raises:
        LakehouseError: the brokers did not take all of them.
    """
    producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 20})
    failed: list[str] = []

    def on_delivery(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error.str())

    published = 0
    for day in (start + timedelta(days=days) for days in range((end - start).days + 1)):
        rows = known_between(flight_events(), day, *hours).drop(columns="known_at")
        # A flight's events lie in one partition, and so stay in order.
        keys = rows["carrier_code"] + rows["flight_number"].astype(str) + rows["sched_dep_at"]
        for key, line in zip(keys, to_bytes(rows, ".jsonl").splitlines(), strict=True):
            _produce(producer, topic, key, line, on_delivery)
            published += 1
    left = producer.flush(_TIMEOUT_SECONDS)
    if left or failed:
        raise LakehouseError(
            f"{topic} at {servers} did not take {left + len(failed)} of {published} records: "
            f"{'; '.join(sorted(set(failed))) or 'no answer'}",
            "are the brokers up, and is the topic there?",
        )
    return published


def _produce(producer: Producer, topic: str, key: str, line: bytes, on_delivery: _OnDelivery) -> None:
    while True:
        try:
            producer.produce(topic, line, key, on_delivery=on_delivery)
        except BufferError:
            producer.poll(1)  # until there is room
        else:
            producer.poll(0)
            return
