"""A request's rows before they are scored: raw values, and where they come from."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson

from lakehouse.online.store import OnlineRow
from ml.serving.refusal import Refusal
from ml.serving.schema import Served

Key = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One row to score.

    Args:
        values: raw features by name.
        key: of the entity; None of a row that came with its values.
        source: the online store's row; None likewise.
    """

    values: Mapping[str, Any]
    key: Key | None = None
    source: OnlineRow | None = None

    @property
    def identity(self) -> tuple[Any, ...]:
        """What names it: its key's values, or else a digest of the values that were given."""
        if self.key is not None:
            return tuple(self.key[name] for name in sorted(self.key))
        return (hashlib.sha256(orjson.dumps(self.given, option=orjson.OPT_SORT_KEYS)).hexdigest(),)

    @property
    def given(self) -> dict[str, Any] | None:
        """The values that came with the request, but for those that say nothing."""
        if self.source is not None:
            return None
        return {name: value for name, value in self.values.items() if value is not None}


def of_entities(keys: Sequence[Key], found: Sequence[OnlineRow | None]) -> list[Row]:
    """The rows of keys, as the store has them.

    Raises:
        Refusal: 404, naming the keys that are unknown.
    """
    unknown = [key for key, row in zip(keys, found, strict=True) if row is None]
    if unknown:
        raise Refusal(
            404, f"{len(unknown)} of {len(keys)} entities are not in the online store", {"unknown": unknown}
        )
    return [Row(row.values, key, row) for key, row in zip(keys, found, strict=True) if row is not None]


def check_columns(row: Row, features: Sequence[str], version: str) -> None:
    """Refuse a row of the store that lacks a column: the model would take it for missing.

    Raises:
        Refusal: 503, naming the columns.
    """
    lacking = gone(row, features)
    if lacking:
        raise Refusal(
            503,
            f"model version {version} needs {', '.join(lacking)}, which the online store's rows do not have",
        )


def gone(row: Row, features: Sequence[str]) -> list[str]:
    """The features of a model that a row does not have."""
    return [name for name in features if name not in row.values]


def share_of(row: Row) -> float:
    """A number from 0 up to 1 that is always the same for the same entity: who meets the canary."""
    text = "|".join(map(str, row.identity))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64


def broken_rules(of: Served, row: Row, missing: int, now: datetime) -> list[str]:
    """What the spec's rule for serving says of a row: `stale`, `missing`, or nothing."""
    rule = of.spec.serving
    broken: list[str] = []
    if rule.max_missing is not None and missing > rule.max_missing:
        broken.append("missing")
    at = event_time(of, row)
    if (
        rule.max_age_minutes is not None
        and at is not None
        and now - at > timedelta(minutes=rule.max_age_minutes)
    ):
        broken.append("stale")
    return broken


def event_time(of: Served, row: Row) -> datetime | None:
    """When the prediction is asked for; None of a row that came with its values."""
    if row.source is None:
        return None
    at: datetime = row.source.values[of.columns.event_time]
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def day(of: Served, row: Row) -> date | None:
    """The local day of the event; None likewise."""
    return None if row.source is None else row.source.values[of.columns.partition]
