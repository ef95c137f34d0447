"""Whether what is online is what is published: rows of a day, compared to the bit."""

import hashlib
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.dbt.days import DayRange
from lakehouse.delta.publications import release_in_force
from lakehouse.delta.table import TableVersion
from lakehouse.errors import LakehouseError
from lakehouse.online.changed import newest_day
from lakehouse.online.packing import RowSchema, packed_rows, schema_of
from lakehouse.online.plan import each_day, window
from lakehouse.online.push import online_rows
from lakehouse.online.state import NEWEST, Held, now_ms
from lakehouse.online.store import OnlineRow, OnlineStore, open_store
from lakehouse.online.tables import OnlineTable
from lakehouse.online.target import target
from lakehouse.settings import settings

_ROWS = 256
_NAMED = 10


@dataclass(frozen=True)
class Comparison:
    """What was compared.

    Args:
        table: the published version.
        release_id: the release in force.
        online_release_id: the release that was pushed last; None where none was.
        day: of the rows, as the store names it; None where the table has none.
        rows: how many were compared.
        differing: how many were not the same.
        examples: some of these: entity, and what differs.
    """

    table: TableVersion
    release_id: str
    online_release_id: str | None
    day: str | None
    rows: int
    differing: int
    examples: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """The release in force is online, and each compared row is what it is there."""
        return self.release_id == self.online_release_id and self.differing == 0


def compare(spark: SparkSession, table: OnlineTable, day: str | None = None, rows: int = _ROWS) -> Comparison:
    """Read a day's rows online and from the published version.

    Args:
        day: one that is online; by default another one after each release.
        rows: to compare, at most; which ones depends on the release.

    Raises:
        LakehouseError: the table was never published.
        OnlineStoreUnavailable: the store does not answer.
    """
    release = release_in_force(spark, table.name)
    if release is None:
        raise LakehouseError(
            f"{table.name} has not been published", "run `lakehouse check` and `lakehouse release`"
        )
    writer, store = target().writer(), open_store()
    try:
        held = writer.held(table.name)
        kept = window(newest_day(spark, release.table, table.day), settings().online_ttl_hours)
        day = day or _sampled(table, held, kept, release.release_id)
        found: list[str] = []
        count = 0
        if day is not None:
            published = online_rows(spark, table, release.table, kept, frozenset({day}))
            order = F.xxhash64(*table.entity, F.lit(release.release_id))
            count, found = _differences(store, table, published.orderBy(order).limit(rows).toArrow())
    finally:
        writer.close()
        store.close()
    return Comparison(
        table=release.table,
        release_id=release.release_id,
        online_release_id=held.marker.release_id if held.marker else None,
        day=day,
        rows=count,
        differing=len(found),
        examples=tuple(found[:_NAMED]),
    )


def _sampled(table: OnlineTable, held: Held, kept: DayRange | None, release_id: str) -> str | None:
    """One of the days that have to be online, by the release: none is left out for long.

    Not of those that the store says it holds: a store that lost its rows would pass.
    """
    asked = {day for day, each in held.days.items() if each.is_asked and each.expires_ms > now_ms()}
    there = sorted({*each_day(kept), *asked}) if table.one_row else [NEWEST] if kept else []
    if not there:
        return None
    return there[int(hashlib.sha256(release_id.encode()).hexdigest(), 16) % len(there)]


def _differences(store: OnlineStore, table: OnlineTable, published: Any) -> tuple[int, list[str]]:
    """How many rows there are, and what differs, by row."""
    schema = schema_of(published.schema)
    expected = [packed for batch in published.to_batches() for packed in packed_rows(batch, schema)]
    keys = [{name: row[name] for name in table.entity} for row in map(schema.unpack, expected)]
    online = store.rows(table.name, keys)
    said = [
        (key, _difference(row, packed, schema))
        for key, row, packed in zip(keys, online, expected, strict=True)
    ]
    return len(expected), [f"{key}: {what}" for key, what in said if what is not None]


def _difference(row: OnlineRow | None, packed: bytes, schema: RowSchema) -> str | None:
    """Which columns of a row differ to the bit; None where none does."""
    if row is None:
        return "is not online"
    others = row.values.keys() ^ set(schema.names)
    if others:
        return f"has other columns: {', '.join(sorted(others))}"
    try:
        online = schema.pack_row(row.values)
    except (AttributeError, TypeError) as error:
        return f"has a value of another type: {error}"
    differing = schema.differing(online, packed)
    return f"differs in {', '.join(differing)}" if differing else None
