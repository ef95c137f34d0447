"""The rows of bronze behind a looked-up row: those with its key, each with its batch and landing file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.dbt.manifest import DbtModels
from lakehouse.delta.table import table_exists
from lakehouse.ingest.source import Source
from ml.explanation.feature_rows import FoundRow, read_rows, with_key


@dataclass(frozen=True)
class BronzeRow:
    """A row of bronze with the key of one of the rows.

    Args:
        row: the place in `rows`.
        version: of the bronze table; None for its newest, where no feature was read from it.
        known_at: from when on its source had told it.
        is_later: that is after the instant of the prediction, so no feature tells of it.
        file: the landing file, below the landing zone.
    """

    row: int
    table: str
    version: int | None
    key: dict[str, str]
    known_at: datetime
    is_later: bool
    batch_id: str
    file: str
    ingested_at: str


def by_table(models: DbtModels, sources: Mapping[str, Source]) -> dict[str, Source]:
    """The declared sources by `schema.table` of their bronze tables."""
    known: Sequence[Mapping[str, Any]] = list(models.manifest["sources"].values())
    return {
        f"{each['schema']}.{each['identifier']}": sources[each["name"]]
        for each in known
        if each["name"] in sources
    }


def bronze_rows(
    spark: SparkSession, rows: Sequence[FoundRow], declared: Mapping[str, Source], asked_at: datetime
) -> tuple[BronzeRow, ...]:
    """The rows of bronze that a row has all keys of, and those that other sources tell of the entity itself.

    Args:
        declared: the declared sources by their bronze tables.
        asked_at: the instant of the prediction.
    """
    asked: list[tuple[int, str, int | None, dict[str, str]]] = []
    for place, row in enumerate(rows):
        for days in row.direct:
            key = _key_there(declared[days.table], row) if days.is_held and days.table in declared else None
            if key is None:
                continue
            asked.append((place, days.table, days.version, key))
            if row.of.time is None:
                asked += [
                    (place, table, None, key)
                    for table, source in declared.items()
                    if table != days.table and set(key) <= set(source.keys) and table_exists(spark, table)
                ]
    frames = {
        number: with_key(
            spark.sql(f"select * from {table}{'' if version is None else f' version as of {version}'}"), key
        )
        for number, (_, table, version, key) in enumerate(asked)
    }
    found: list[BronzeRow] = []
    for number, held in read_rows(frames).items():
        place, table, version, key = asked[number]
        for values in held:
            told_at = datetime.fromisoformat(values[declared[table].reported_time])
            known_at = told_at + timedelta(minutes=declared[table].delivery_delay_minutes)
            found.append(
                BronzeRow(
                    row=place,
                    table=table,
                    version=version,
                    key={name: str(values[name]) for name in declared[table].keys},
                    known_at=known_at,
                    is_later=known_at > asked_at,
                    batch_id=values["_batch_id"],
                    file=values["_source_file"],
                    ingested_at=values["_ingested_at"],
                )
            )
    return tuple(sorted(found, key=lambda each: (each.row, each.known_at, each.table, each.batch_id)))


def _key_there(source: Source, row: FoundRow) -> dict[str, str] | None:
    """A source's keys with the row's values, if it has all: by name, or by the time at which it was told."""
    values = dict(row.values)
    if row.of.time is not None and row.known_at is not None:
        told_at = datetime.fromisoformat(row.known_at) - timedelta(minutes=source.delivery_delay_minutes)
        values.setdefault(source.reported_time, told_at.isoformat())
    key = {name: values.get(name) for name in source.keys}
    return None if None in key.values() else {name: str(value) for name, value in key.items()}
