"""Reads a range of a topic in Spark's tasks: each record as the source's row, or as text with the reason."""

import json
from collections.abc import Mapping

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import from_avro, to_avro

from lakehouse.engine.worker_code import in_workers
from lakehouse.ingest.source import Source
from lakehouse.ingest.stream.declared import Stream, spark_options
from lakehouse.ingest.stream.values import TOMBSTONE, JsonReader

# What bronze has of each record beside the declared columns: name to type and description.
RECORD_COLUMNS = {
    "_topic_id": ("string", "Kafka's id of the topic; one that was recreated under its name has another."),
    "_partition": ("int", "The partition of the topic."),
    "_offset": ("bigint", "The record's offset in it: with id and partition it names the record."),
    "_record_at": (
        "timestamp",
        "The record's own time: its producer's, or the broker's, as the topic is set.",
    ),
}
# What the quarantine has of those that are no row, beside these.
UNREADABLE_COLUMNS = {
    "record_key": ("string", "The record's key, encoded as raw is."),
    "raw": ("string", "The record's value as it was published; empty for a tombstone."),
    "encoding": ("string", "text; or base64, where value or key is not UTF-8."),
    "reason": ("string", "Why it is not a row as its source declares it."),
}

# Larger ranges of one partition are read by several tasks.
_RECORDS_PER_TASK = 100_000
_PARSED = "declared"


def read_records(
    spark: SparkSession, source: Source, stream: Stream, ranges: Mapping[int, tuple[int, int]]
) -> DataFrame:
    """The records of a range, one row each: declared columns, `_partition`, `_offset`, `_record_at`, and
    `reason`, `raw`, `record_key`, `encoding`, which are NULL of a row that is as declared.

    Args:
        ranges: per partition the first offset, and the one after the last; none of them empty.
    """
    records = (
        spark.read.format("kafka")
        .options(**_reading(stream, ranges))
        .load()
        .select(
            "key",
            "value",
            F.col("partition").alias("_partition"),
            F.col("offset").alias("_offset"),
            F.col("timestamp").alias("_record_at"),
        )
    )
    return _of_avro(source, stream, records) if stream.value == "avro" else _of_json(source, stream, records)


def _reading(stream: Stream, ranges: Mapping[int, tuple[int, int]]) -> dict[str, str]:
    def ends(which: int) -> str:
        return json.dumps({stream.topic: {str(part): span[which] for part, span in ranges.items()}})

    return {
        **spark_options(stream),
        "assign": json.dumps({stream.topic: sorted(ranges)}),
        "startingOffsets": ends(0),
        "endingOffsets": ends(1),
        # A record that expired since the batch was planned is an error, and not left out.
        "failOnDataLoss": "true",
        "kafka.isolation.level": "read_committed",
        "maxRecordsPerPartition": str(_RECORDS_PER_TASK),
        "kafkaConsumer.pollTimeoutMs": "30000",
        "kafka.request.timeout.ms": "20000",
        "kafka.default.api.timeout.ms": "20000",
        "fetchOffset.numRetries": "1",
    }


def _of_json(source: Source, stream: Stream, records: DataFrame) -> DataFrame:
    reader = JsonReader(columns=source.columns, required=source.required, schema_id=stream.schema_id)
    read = in_workers("lakehouse.ingest.stream.values", "read_values", reader.as_json())
    declared = ", ".join(f"`{column.name}` {column.type}" for column in source.columns)
    kept = "_partition int, _offset bigint, _record_at timestamp"
    aside = ", ".join(f"{name} {sql}" for name, (sql, _) in UNREADABLE_COLUMNS.items())
    return records.mapInArrow(read, f"{declared}, {kept}, {aside}")


def _of_avro(source: Source, stream: Stream, records: DataFrame) -> DataFrame:
    """By Spark's own reader. Avro does not say how long a value is, nor of which schema: so what was read is
    written again, and must be the same bytes."""
    header = F.lit(b"" if stream.schema_id is None else b"\x00" + stream.schema_id.to_bytes(4, "big"))
    length = 0 if stream.schema_id is None else 5
    begins = F.substring("value", 1, length) == header if length else F.lit(True)
    body = F.expr(f"substring(value, {length + 1})") if length else F.col("value")
    text = stream.schema_text
    parsed = records.withColumn("_body", F.when(begins, body)).withColumn(
        _PARSED, from_avro("_body", text, {"mode": "PERMISSIVE"})
    )
    lacking = [column.delivered_name for column in source.columns if column.name in source.required]
    absent = [F.col(f"{_PARSED}.`{name}`").isNull() for name in lacking]
    all_absent, reason = absent[0], F.when(F.col("value").isNull(), F.lit(TOMBSTONE))
    for each in absent[1:]:
        all_absent = all_absent & each
    if length:
        reason = reason.when(~begins, f"does not begin with Confluent's header of schema {stream.schema_id}")
    reason = reason.when(all_absent, "is not a record of the declared Avro schema")
    for name, is_absent in zip(lacking, absent, strict=True):
        reason = reason.when(is_absent, f"column {name}: has no value, and one is required")
    # Asked last: what could not be read has no value to write.
    reason = reason.when(
        to_avro(F.col(_PARSED), text) != F.col("_body"), "is not a record of the declared Avro schema alone"
    )
    judged = parsed.withColumn("reason", reason)
    is_bad = F.col("reason").isNotNull()
    return judged.select(
        *(
            F.when(~is_bad, F.col(f"{_PARSED}.`{column.delivered_name}`").cast(column.type)).alias(
                column.name
            )
            for column in source.columns
        ),
        "_partition",
        "_offset",
        "_record_at",
        F.when(is_bad, F.base64("key")).alias("record_key"),
        F.when(is_bad, F.base64("value")).alias("raw"),
        F.when(is_bad, "base64").alias("encoding"),
        "reason",
    )
