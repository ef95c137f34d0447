"""What the brokers say of a topic: which one it is, and from where to where it has records."""

import logging
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # pyright: ignore[reportPrivateImportUsage] - its docs say so

from lakehouse.errors import LakehouseError
from lakehouse.ingest.stream.declared import Stream, client_options, servers

_TIMEOUT_SECONDS = 15
# How long the records that are asked for their time may take to come.
_TIMES_SECONDS = 5

# It prints each failed connection on standard error, beside the exception that says it all.
_quiet = logging.getLogger("librdkafka")
_quiet.setLevel(logging.CRITICAL + 1)


class UnreachableError(LakehouseError):
    """The brokers do not answer: a later call may find them."""


@dataclass(frozen=True)
class Topic:
    """A topic at one instant.

    Args:
        topic_id: Kafka's, which a topic that was deleted and recreated under its name does not keep.
        first: the first offset that is still there, per partition.
        end: the offset after the last one that can be read, per partition.
        seen_at: UTC, before the brokers were asked: what was appended until then is before `end`.
    """

    name: str
    topic_id: str
    first: Mapping[int, int]
    end: Mapping[int, int]
    seen_at: datetime


def look_at(stream: Stream) -> Topic:
    """Ask the brokers about a topic.

    Raises:
        UnreachableError: they do not answer.
        LakehouseError: there is no such topic, or it may not be read.
    """
    said: list[KafkaError] = []
    with _client_errors(stream, said):
        # Its annotation knows of no callbacks.
        options: dict[str, Any] = {**client_options(stream), "error_cb": said.append}
        client = AdminClient(options, logger=_quiet)
        try:
            # Not its metadata as a producer asks for it: that creates a topic that is not there.
            described = client.describe_topics(
                TopicCollection([stream.topic]), request_timeout=_TIMEOUT_SECONDS
            )[stream.topic].result()
        finally:
            client.poll(0)  # it calls back with what was wrong
        seen_at = datetime.now(UTC)
        partitions = sorted(partition.id for partition in described.partitions)
        first, end = (_offsets(client, stream.topic, partitions, spec) for spec in ("earliest", "latest"))
        return Topic(stream.topic, str(described.topic_id), first, end, seen_at)


def _offsets(client: AdminClient, topic: str, partitions: list[int], spec: str) -> dict[int, int]:
    asked = {TopicPartition(topic, partition): getattr(OffsetSpec, spec)() for partition in partitions}
    # What an open transaction wrote cannot be read yet, nor what follows it.
    found = client.list_offsets(
        asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_TIMEOUT_SECONDS
    )
    return {partition.partition: future.result().offset for partition, future in found.items()}


def oldest_record_at(stream: Stream, offsets: Mapping[int, int]) -> datetime | None:
    """The time of the oldest of these records, one per partition, as its timestamp says.

    Args:
        offsets: per partition.

    Returns:
        UTC; None where none came in time, as of offsets that hold no record.

    Raises:
        UnreachableError: the brokers do not answer.
    """
    with _client_errors(stream):
        consumer = Consumer(
            {
                **client_options(stream),
                "group.id": "lakehouse-lag",  # nothing is committed, and no group joined
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "queued.min.messages": 1,
                "fetch.message.max.bytes": 1024,
            },
            logger=_quiet,
        )
        try:
            waiting = dict(offsets)
            consumer.assign([TopicPartition(stream.topic, part, at) for part, at in waiting.items()])
            times: list[int] = []
            while waiting and (record := consumer.poll(_TIMES_SECONDS)) is not None:
                error = record.error()
                if error is not None:
                    raise KafkaException(error)
                if waiting.pop(record.partition() or 0, None) is not None:
                    times.append(record.timestamp()[1])
                    consumer.pause([TopicPartition(stream.topic, record.partition() or 0)])
        finally:
            consumer.close()
    return datetime.fromtimestamp(min(times) / 1000, UTC) if times else None


_UNREACHABLE = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._RESOLVE,
}
_NO_TOPIC = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}


@contextmanager
def _client_errors(stream: Stream, said: Sequence[KafkaError] = ()) -> Generator[None]:
    try:
        yield
    except KafkaException as failed:
        error: KafkaError = failed.args[0]
        where = f"topic {stream.topic} at {servers(stream)}"
        if error.code() in _NO_TOPIC:
            raise LakehouseError(f"there is no {where}", "create it, or look at its name") from failed
        denied = next((each for each in said if each.code() == KafkaError._AUTHENTICATION), None)
        if denied is not None:
            raise LakehouseError(
                f"{where}: the brokers let nobody in with this name and password ({denied.str()})",
                "nothing was landed; look at the variables that `security` names",
            ) from failed
        if error.code() in _UNREACHABLE:
            raise UnreachableError(
                f"{where}: the brokers do not answer ({error.str()})",
                "nothing was landed; are they up, and are address, protocol and password right?",
            ) from failed
        raise LakehouseError(f"{where}: {error.str()}", "nothing was landed") from failed
