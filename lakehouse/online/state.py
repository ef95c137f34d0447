"""What an online store knows of a table beside its rows: the release pushed last, and the days that it holds.

A push begins by a claim: its stamp, which is the release's place among all releases, then the push's number
in the store. Only the push that claimed last may write, and none may claim with an older release than the one
before: so an older push that comes late, or twice, or beside a newer one, changes nothing. A push plans by
what it saw, and claims only if that still stands; days that it is about to change are not whole until it is
done. A row keeps the stamp that wrote it: those that a push did not write again are gone from the table.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple, Protocol, Self, cast

import msgpack

from lakehouse.delta.version import TableVersion
from lakehouse.online.packing import RowSchema, digest_of
from lakehouse.online.store import OnlineRow

# The one "day" of a table that keeps each entity's newest row; as long as a day's name.
NEWEST = "newest-row"
DAY_LENGTH = 10
STAMP_LENGTH = 20


def now_ms() -> int:
    """Milliseconds since 1970: when rows expire; nothing is ordered by it."""
    return time.time_ns() // 1_000_000


def stamp_of(sequence: int, attempt: int) -> str:
    """Digits that sort as the release's sequence does, then as the number of the push.

    >>> stamp_of(2, 10) > stamp_of(2, 9) > stamp_of(1, 11)
    True
    """
    return f"{sequence:012d}{attempt:08d}"


def sequence_of(stamp: str) -> int:
    """The release's sequence in a stamp."""
    return int(stamp[:12])


@dataclass(frozen=True)
class Marker:
    """A release that was pushed whole; written after all of its rows.

    Args:
        stamp: of the push.
        pushed_at: UTC, ISO 8601; nothing is ordered by it.
    """

    release_id: str
    name: str
    table_id: str
    version: int
    stamp: str
    pushed_at: str

    @property
    def table(self) -> TableVersion:
        """The published version."""
        return TableVersion(self.name, self.table_id, self.version)

    def as_text(self) -> str:
        """As the store keeps it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str | bytes) -> Self:
        """A marker that the store kept."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class HeldDay:
    """A day whose rows were pushed, or began to be.

    Args:
        is_asked: it was asked for by name, and stays until it expires.
        is_whole: the push that changed it last went through.
        expires_ms: milliseconds since 1970.
    """

    is_asked: bool
    is_whole: bool
    expires_ms: int

    def as_text(self) -> str:
        """As the store keeps it."""
        return f"{self.is_asked:d}{self.is_whole:d}{self.expires_ms}"

    @classmethod
    def from_text(cls, text: str) -> Self:
        """A day that the store kept."""
        return cls(text[0] == "1", text[1] == "1", int(text[2:]))


@dataclass(frozen=True)
class Held:
    """What a store has of a table.

    Args:
        claim: the stamp of the push that began last; empty before the first.
    """

    claim: str = ""
    marker: Marker | None = None
    days: Mapping[str, HeldDay] = field(default_factory=dict[str, HeldDay])


class PackedRow(NamedTuple):
    """A row to put: its entity, its day, and what `wrapped` made."""

    key: str
    day: str
    value: bytes


@dataclass(frozen=True)
class Push:
    """What all rows of a push share; travels to Spark's tasks as JSON.

    Args:
        name, table_id, version: the published version.
        entity: the columns that name a row.
        day: the column of days; None where each entity's newest row is kept.
        ttl_ms: for so long a row stays.
    """

    name: str
    table_id: str
    version: int
    release_id: str
    stamp: str
    entity: tuple[str, ...]
    day: str | None
    ttl_ms: int

    def as_text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """From JSON."""
        found = json.loads(text)
        return cls(**found | {"entity": tuple(found["entity"])})

    def wrapped(self, packed: bytes) -> bytes:
        """A packed row with the version that it comes from."""
        return cast("bytes", msgpack.packb([self.version, self.table_id, self.release_id, packed]))


class Unwrapped(NamedTuple):
    """A stored value's parts."""

    version: int
    table_id: str
    release_id: str
    packed: bytes


def unwrap(value: bytes) -> Unwrapped:
    """The parts of what `Push.wrapped` made."""
    return Unwrapped(*msgpack.unpackb(value))


def online_row(name: str, value: bytes, schema: RowSchema) -> OnlineRow:
    """What a reader is given of a stored value."""
    found = unwrap(value)
    table = TableVersion(name, found.table_id, found.version)
    return OnlineRow(schema.unpack(found.packed), table, found.release_id)


def digest_in(value: bytes) -> bytes:
    """The digest of the schema of a stored value."""
    return digest_of(unwrap(value).packed)


class OnlineWriter(Protocol):
    """How a push writes; each call is atomic, and calling it again changes nothing.

    Once another push has claimed the table, the calls with a stamp do nothing.
    """

    def held(self, table: str) -> Held:
        """What the store has of a table."""
        ...

    def begin(
        self, table: str, sequence: int, seen: str, days: Mapping[str, bool], ttl_ms: int
    ) -> str | None:
        """Claim a table for a push: no other that began before writes there any more.

        Args:
            sequence: of the release.
            seen: the claim that this push was planned by.
            days: to write or to remove, each with whether it was asked for by name; not whole from now on.

        Returns:
            the push's stamp; None where another push began meanwhile, or one of a newer release before.
        """
        ...

    def put(self, push: Push, schema: RowSchema, rows: Sequence[PackedRow]) -> int:
        """Write rows; returns how many were written."""
        ...

    def sweep(self, table: str, stamp: str, days: Iterable[str]) -> int:
        """Remove the rows of days that this push did not write: they are gone from the table.

        Returns:
            how many were removed.
        """
        ...

    def finish(self, marker: Marker, days: Iterable[str], forgotten: Iterable[str]) -> bool:
        """Note that the release and its days are whole, and that others are gone: all or nothing.

        Returns:
            whether this was done: not where another push has claimed the table.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
