"""The section `stream:` of a source's declaration: which topic of which Kafka brokers, and how it is read."""

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lakehouse.errors import LakehouseError
from lakehouse.ingest.declared import Column, Declared, Text
from lakehouse.ingest.stream.schema import fields_of_avro, fields_of_json, read_schema

Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]

_LOGINS = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


class Security(Declared):
    """How the brokers are spoken to. Names and passwords stand in environment variables alone."""

    protocol: Literal["SSL", "SASL_SSL", "SASL_PLAINTEXT"]
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        default=None, description="Of SASL."
    )
    username_env: Variable | None = Field(
        default=None, description="The variable that holds the user's name."
    )
    password_env: Variable | None = Field(default=None, description="The variable that holds the password.")
    ca_file_env: Variable | None = Field(
        default=None,
        description="The variable that holds the path of the authorities' certificates (PEM); "
        "the machine's own by default.",
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        login = (self.mechanism, self.username_env, self.password_env)
        if self.protocol == "SSL" and any(login):
            raise ValueError("protocol: SSL has no mechanism, username_env or password_env; SASL_SSL has")
        if self.protocol != "SSL" and not all(login):
            raise ValueError(f"protocol: {self.protocol} needs mechanism, username_env and password_env")
        if self.protocol == "SASL_PLAINTEXT" and self.ca_file_env:
            raise ValueError("ca_file_env: SASL_PLAINTEXT does not encrypt")
        return self


class Stream(Declared):
    """A topic whose records are the source's rows."""

    bootstrap_servers: Text | None = Field(default=None, description="HOST:PORT, several with commas.")
    bootstrap_servers_env: Variable | None = Field(
        default=None, description="The environment variable that holds them, instead."
    )
    topic: str = Field(pattern=r"^[a-zA-Z0-9._-]{1,249}$")
    value: Literal["json", "avro"] = Field(description="What a record's value is: one row.")
    schema_file: Path | None = Field(
        default=None, description="JSON Schema or Avro schema, beside the declaration; Avro needs it."
    )
    schema_id: int | None = Field(
        default=None,
        ge=0,
        lt=2**32,
        description="Where values begin with Confluent's header, the schema's number in the registry.",
    )
    max_offsets_per_batch: int = Field(
        default=500_000, ge=1, le=100_000_000, description="About how many records a batch has at most."
    )
    frontier: Literal["arrival", "none"] = Field(
        default="arrival",
        description="arrival: the source has told everything until the instant up to which the topic was "
        "read; none: nobody can tell, as of a topic into which the past is played again.",
    )
    security: Security | None = None
    lag_alert_rows: int | None = Field(default=None, ge=0, description="More unread records are an alert.")
    lag_alert_minutes: float | None = Field(
        default=None, ge=0, description="An unread record that is older is an alert."
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.bootstrap_servers is None) == (self.bootstrap_servers_env is None):
            raise ValueError("bootstrap_servers: give it, or bootstrap_servers_env, and not both")
        if self.value == "avro" and self.schema_file is None:
            raise ValueError("schema_file: Avro cannot be read without its schema")
        if self.topic in (".", ".."):
            raise ValueError(f"topic: {self.topic} is not a topic's name")
        return self

    @cached_property
    def schema_text(self) -> str:
        """The schema file as it is."""
        assert self.schema_file is not None, f"{self.topic} has no schema"  # noqa: S101 - asked where it has
        return self.schema_file.read_text()

    def check(self, columns: Sequence[Column], of_files: Mapping[str, object], *, is_live: bool) -> None:
        """Check the rest of the declaration: nothing of it is about files, and the columns are the schema's.

        Args:
            of_files: the fields of a source that delivers files.
            is_live: whether it arrives live, and takes up no new columns.

        Raises:
            ValueError: it is not so, or the schema cannot be read.
        """
        given = [name for name, value in of_files.items() if value is not None]
        if given:
            raise ValueError(f"{given[0]}: a source with `stream` delivers no files")
        if not is_live:
            raise ValueError("stream: such a source arrives `live`, and allows no new columns")
        self._check_columns(columns)

    def _check_columns(self, columns: Sequence[Column]) -> None:
        if self.schema_file is None:
            return
        try:
            schema = read_schema(self.schema_text)
            fields = fields_of_avro(schema) if self.value == "avro" else fields_of_json(schema)
        except (OSError, ValueError) as error:
            raise ValueError(f"stream.schema_file: {self.schema_file}: {error}") from error
        declared = {column.delivered_name: column for column in columns}
        missing = [name for name in declared if name not in fields]
        if missing:
            raise ValueError(f"columns: {', '.join(missing)} is not in {self.schema_file.name}")
        more = [name for name in fields if name not in declared]
        if more:
            raise ValueError(f"columns: {self.schema_file.name} has {', '.join(more)}, which is not declared")
        for name, column in declared.items():
            if column.type not in fields[name]:
                raise ValueError(
                    f"columns: {column.name} is declared {column.type}, "
                    f"and {self.schema_file.name} says {' or '.join(fields[name])}"
                )


def with_schema_beside(declared: Mapping[str, object], folder: Path) -> dict[str, object]:
    """A declaration whose schema file is found from anywhere; as it stands, it is named from its folder."""
    stream = declared.get("stream")
    if not isinstance(stream, dict) or not isinstance(stream.get("schema_file"), str):
        return dict(declared)
    return {**declared, "stream": {**stream, "schema_file": str(folder.resolve() / stream["schema_file"])}}


def servers(stream: Stream) -> str:
    """The brokers' addresses.

    Raises:
        LakehouseError: the variable that holds them is not set.
    """
    if stream.bootstrap_servers is not None:
        return stream.bootstrap_servers
    return _variable(stream.bootstrap_servers_env, stream.topic)


def client_options(stream: Stream) -> dict[str, str]:
    """How librdkafka speaks to the brokers.

    Raises:
        LakehouseError: a variable is not set.
    """
    options = {"bootstrap.servers": servers(stream)}
    if stream.security is None:
        return options
    security = stream.security
    options["security.protocol"] = security.protocol
    if security.mechanism is not None:
        options["sasl.mechanism"] = security.mechanism
        options["sasl.username"] = _variable(security.username_env, stream.topic)
        options["sasl.password"] = _variable(security.password_env, stream.topic)
    if security.ca_file_env is not None:
        options["ssl.ca.location"] = _variable(security.ca_file_env, stream.topic)
    return options


def spark_options(stream: Stream) -> dict[str, str]:
    """How Spark's tasks speak to the brokers, as options of its Kafka source.

    Raises:
        LakehouseError: a variable is not set.
    """
    options = {"kafka.bootstrap.servers": servers(stream)}
    if stream.security is None:
        return options
    security = stream.security
    options["kafka.security.protocol"] = security.protocol
    if security.mechanism is not None:
        user = _quoted(_variable(security.username_env, stream.topic))
        password = _quoted(_variable(security.password_env, stream.topic))
        options["kafka.sasl.mechanism"] = security.mechanism
        # Spark keeps what ends so out of its plans and logs.
        options["kafka.sasl.jaas.config"] = (
            f"{_LOGINS[security.mechanism]} required username={user} password={password};"
        )
    if security.ca_file_env is not None:
        options["kafka.ssl.truststore.type"] = "PEM"
        options["kafka.ssl.truststore.location"] = _variable(security.ca_file_env, stream.topic)
    return options


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _variable(name: str | None, topic: str) -> str:
    value = os.environ.get(name or "", "")
    if not value:
        raise LakehouseError(
            f"the environment variable {name} is not set, which topic {topic} needs", f"export {name}=…"
        )
    return value
