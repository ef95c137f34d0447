"""The columns that ingestion adds to every row, and those of rows that cannot be read."""

TECHNICAL_COLUMNS = {
    "_batch_id": "string",
    "_ingested_at": "timestamp",
    "_source_file": "string",
    "_batch_digest": "string",
    "_delivered_until": "timestamp",
}

COMMENTS = {
    "_batch_id": "The delivery that brought the row.",
    "_ingested_at": "When this warehouse got it.",
    "_source_file": "The file, below the landing zone.",
    "_batch_digest": "SHA-256 of the delivery.",
    "_delivered_until": "Until when the source has told everything; empty for snapshots and corrections.",
}

QUARANTINE_COLUMNS = {
    "line_number": ("bigint", "The line of the file at which the row begins; of Parquet, the row's number."),
    "raw": ("string", "The row as it was delivered; of Parquet, as JSON."),
    "reason": ("string", "Why it cannot be read as its source declares it."),
}
