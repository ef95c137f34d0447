"""The section `stream:` of a declaration: what is wrong is named, and secrets come from the environment."""

import json
from pathlib import Path

import pytest
import yaml

from lakehouse.errors import LakehouseError
from lakehouse.ingest.declarations import load_source
from lakehouse.ingest.stream.declared import Stream, client_options, spark_options

STREAM = {"bootstrap_servers": "localhost:9092", "topic": "readings", "value": "json"}
DECLARED = {
    "name": "readings",
    "description": "Readings of stations.",
    "owner": "weather",
    "stream": STREAM,
    "arrives": "live",
    "time_zone": "America/New_York",
    "reported_time": "read_at",
    "delivery_delay_minutes": 15,
    "keys": ["station", "read_at"],
    "columns": [
        {"name": "station", "type": "string", "description": "Station."},
        {"name": "reading", "type": "int", "description": "Reading."},
        {"name": "read_at", "type": "timestamp", "description": "When."},
    ],
}
JSON_SCHEMA = {
    "type": "object",
    "properties": {
        "station": {"type": "string"},
        "reading": {"type": ["integer", "null"]},
        "read_at": {"type": "string", "format": "date-time"},
    },
}
AVRO_SCHEMA = {
    "type": "record",
    "name": "reading",
    "fields": [
        {"name": "station", "type": "string"},
        {"name": "reading", "type": ["null", "int"]},
        {"name": "read_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}


def load(folder: Path, stream: dict[str, object] | None = None, **changes: object):
    declared = DECLARED | {"stream": STREAM | (stream or {})} | changes
    path = folder / "readings.yml"
    path.write_text(yaml.safe_dump(declared))
    return load_source(path)


def test_a_source_of_a_topic_needs_no_files(tmp_path):
    source = load(tmp_path)
    assert source.stream is not None and source.stream.topic == "readings"
    assert source.deliveries(tmp_path) == []


@pytest.mark.parametrize(
    ("stream", "changes", "said"),
    [
        ({"topic": "a topic"}, {}, "stream.topic"),
        ({"value": "xml"}, {}, "stream.value"),
        ({"bootstrap_servers": None}, {}, "bootstrap_servers: give it, or bootstrap_servers_env"),
        ({"bootstrap_servers_env": "KAFKA"}, {}, "bootstrap_servers: give it, or bootstrap_servers_env"),
        ({"value": "avro"}, {}, "schema_file: Avro cannot be read without its schema"),
        ({"max_offsets_per_batch": 0}, {}, "stream.max_offsets_per_batch"),
        ({"password": "secret"}, {}, "stream.password"),
        ({"security": {"protocol": "SASL_SSL"}}, {}, "needs mechanism, username_env and password_env"),
        ({"security": {"protocol": "SSL", "password_env": "P"}}, {}, "SSL has no mechanism"),
        ({}, {"format": "csv"}, "format: a source with `stream` delivers no files"),
        ({}, {"allow_new_columns": True}, "allows no new columns"),
        ({}, {"arrives": "snapshot"}, "arrives `live`"),
        ({}, {"name": "stream_batches"}, "stream_batches is reserved"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(tmp_path, stream, changes, said):
    with pytest.raises(LakehouseError) as refused:
        load(tmp_path, stream, **changes)
    assert said in str(refused.value)


@pytest.mark.parametrize(("value", "schema"), [("json", JSON_SCHEMA), ("avro", AVRO_SCHEMA)])
def test_the_columns_are_checked_against_the_schema_beside_the_declaration(tmp_path, value, schema):
    (tmp_path / "readings.json").write_text(json.dumps(schema))
    stream = {"value": value, "schema_file": "readings.json"}
    assert load(tmp_path, stream).stream.schema_file == tmp_path / "readings.json"

    first, reading, last = DECLARED["columns"]
    gust = {"name": "gust", "type": "int", "description": "Gust."}
    for columns, said in (
        ([first, last], "has reading, which is not declared"),
        ([first, reading, last, gust], "gust is not in readings.json"),
        (
            [first, {**reading, "type": "double"}, last],
            "reading is declared double, and readings.json says int",
        ),
    ):
        with pytest.raises(LakehouseError) as refused:
            load(tmp_path, stream, columns=columns)
        assert said in str(refused.value)


@pytest.mark.parametrize(
    ("value", "schema", "said"),
    [
        ("json", None, "No such file"),
        ("json", "{", "Expecting property name"),
        ("json", {"properties": {"station": {"$ref": "#/x"}}}, "property station is not of one plain type"),
        ("json", {"type": "object"}, "has no properties"),
        ("avro", {"type": "string"}, "is not an Avro record"),
        ("avro", AVRO_SCHEMA | {"fields": [{"name": "station", "type": {"type": "array"}}]}, "field station"),
        (
            "avro",
            AVRO_SCHEMA | {"fields": [{"name": "d", "type": {"type": "bytes", "logicalType": "decimal"}}]},
            "field d is not of one plain type",
        ),
    ],
)
def test_a_schema_that_cannot_be_read_is_named(tmp_path, value, schema, said):
    if schema is not None:
        text = schema if isinstance(schema, str) else json.dumps(schema)
        (tmp_path / "readings.json").write_text(text)
    with pytest.raises(LakehouseError) as refused:
        load(tmp_path, {"value": value, "schema_file": "readings.json"})
    assert "readings.json" in str(refused.value) and said in str(refused.value)


def test_passwords_come_from_the_environment_and_only_from_there(monkeypatch):
    stream = Stream.model_validate(
        {
            "bootstrap_servers_env": "T_BROKERS",
            "topic": "readings",
            "value": "json",
            "security": {
                "protocol": "SASL_SSL",
                "mechanism": "SCRAM-SHA-512",
                "username_env": "T_USER",
                "password_env": "T_PASSWORD",
                "ca_file_env": "T_CA",
            },
        }
    )
    with pytest.raises(LakehouseError, match="T_BROKERS is not set, which topic readings needs"):
        client_options(stream)
    for name, value in (("BROKERS", "b:1"), ("USER", "Ana"), ("PASSWORD", 'a"b\\c'), ("CA", "/ca.pem")):
        monkeypatch.setenv(f"T_{name}", value)
    assert client_options(stream) == {
        "bootstrap.servers": "b:1",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "Ana",
        "sasl.password": 'a"b\\c',
        "ssl.ca.location": "/ca.pem",
    }
    assert spark_options(stream) == {
        "kafka.bootstrap.servers": "b:1",
        "kafka.security.protocol": "SASL_SSL",
        "kafka.sasl.mechanism": "SCRAM-SHA-512",
        "kafka.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required "
        'username="Ana" password="a\\"b\\\\c";',
        "kafka.ssl.truststore.type": "PEM",
        "kafka.ssl.truststore.location": "/ca.pem",
    }
