"""The online store on a Redis server: one string per entity, read by one MGET.

Keys begin with `lakehouse:{WAREHOUSE:TABLE}:`, so a table's keys lie on one node of a cluster:

    row:KEY         stamp (20 bytes), day (10 bytes), and the value
    day:DAY         the set of keys of a day's rows
    days            day → `HeldDay`
    claim           the stamp of the push that began last
marker          the release that was pushed last
    attempts        how many pushes there were
    schema:DIGEST   columns of packed rows

Rows, sets of keys and schemas expire. What compares stamps is a script: it runs on the server, alone.
"""

# redis-py's answers are typed as sync or async.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from lakehouse.online.packing import RowSchema, key_text
from lakehouse.online.state import (
    DAY_LENGTH,
    STAMP_LENGTH,
    Held,
    HeldDay,
    Marker,
    PackedRow,
    Push,
    digest_in,
    now_ms,
    online_row,
    stamp_of,
)
from lakehouse.online.store import OnlineRow, OnlineStoreUnavailable

_HEADER = STAMP_LENGTH + DAY_LENGTH
# So many rows go in one script: a server answers nobody else meanwhile.
ROWS_AT_ONCE = 200
# Sets of keys and schemas outlive the rows that need them.
_LONGER_MS = 3_600_000

# KEYS: claim, days, attempts.
# ARGV: sequence (12 digits), the claim that was seen, time to live, now, then day and asked of each.
_BEGIN = """
local claim = redis.call('get', KEYS[1]) or ''
if claim ~= ARGV[2] or string.sub(claim, 1, 12) > ARGV[1] then return false end
local stamp = ARGV[1] .. string.format('%08d', redis.call('incr', KEYS[3]))
local expires = string.format('%.0f', tonumber(ARGV[4]) + tonumber(ARGV[3]))
for at = 5, #ARGV, 2 do
    local held, asked = redis.call('hget', KEYS[2], ARGV[at]), ARGV[at + 1]
    if held and string.sub(held, 1, 1) == '1' then asked = '1' end
    redis.call('hset', KEYS[2], ARGV[at], asked .. '0' .. expires)
end
redis.call('set', KEYS[1], stamp)
return stamp
"""
# KEYS: claim, set of the day's keys, schema, rows.
# ARGV: stamp, day, time to live, schema, then each row's key and value.
_PUT = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
local longer = tonumber(ARGV[3]) + 3600000
-- Rows of another day may live longer than these, and are read by the same schema.
redis.call('set', KEYS[3], ARGV[4], 'px', math.max(longer, redis.call('pttl', KEYS[3])))
for at = 4, #KEYS do
    local arg = 5 + 2 * (at - 4)
    redis.call('set', KEYS[at], ARGV[1] .. ARGV[2] .. ARGV[arg + 1], 'px', ARGV[3])
    redis.call('sadd', KEYS[2], ARGV[arg])
end
redis.call('pexpire', KEYS[2], longer)
return #KEYS - 3
"""
# KEYS: claim, set of the day's keys, rows. ARGV: stamp, day, then each row's key.
_SWEEP = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
local gone = 0
for at = 3, #KEYS do
    local head = redis.call('getrange', KEYS[at], 0, 29)
    local is_of_day = string.sub(head, 21, 30) == ARGV[2]
    if is_of_day and string.sub(head, 1, 20) < ARGV[1] then
        redis.call('del', KEYS[at])
        gone = gone + 1
        is_of_day = false
    end
    if not is_of_day then redis.call('srem', KEYS[2], ARGV[at]) end
end
return gone
"""
# KEYS: claim, days, marker.
# ARGV: stamp, marker, the number of written days, these, then the forgotten ones.
_FINISH = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
for at = 4, #ARGV do
    if at <= 3 + tonumber(ARGV[3]) then
        local held = redis.call('hget', KEYS[2], ARGV[at])
        redis.call('hset', KEYS[2], ARGV[at], string.sub(held, 1, 1) .. '1' .. string.sub(held, 3))
    else
        redis.call('hdel', KEYS[2], ARGV[at])
    end
end
redis.call('set', KEYS[3], ARGV[2])
return 1
"""


def _connect(address: str, timeout: float) -> "redis.Redis":
    """Nothing is tried again: a call ends within its time, and the next one connects anew."""
    return redis.Redis.from_url(
        address,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        decode_responses=False,
    )


class _Keys:
    """The names of a warehouse's keys."""

    def __init__(self, warehouse: str) -> None:
        self._warehouse = warehouse

    def of(self, table: str, *parts: str) -> str:
        return ":".join((f"lakehouse:{{{self._warehouse}:{table}}}", *parts))

    def schema(self, table: str, digest: bytes) -> str:
        return self.of(table, "schema", digest.hex())


@contextmanager
def _answering(client: "redis.Redis", timeout: float) -> Generator[None]:
    """Name the server that does not answer, but not its password.

    Raises:
        OnlineStoreUnavailable: within the block, it did not.
    """
    try:
        yield
    except redis.RedisError as error:
        known = cast("dict[str, Any]", client.get_connection_kwargs())
        raise OnlineStoreUnavailable(
            f"Redis at {known.get('host', '?')}:{known.get('port', '?')} did not answer within "
            f"{timeout:g} s: {type(error).__name__}: {error}",
            "is it up, and is its password in LAKEHOUSE_ONLINE_STORE?",
        ) from error


class RedisStore:
    """Rows by entity, from a server.

    Args:
        address: `redis://:PASSWORD@HOST:PORT/DATABASE`, or `rediss://` for TLS.
        warehouse: whose rows are read.
        timeout: seconds for a connection, and for an answer.
    """

    def __init__(self, address: str, warehouse: str, timeout: float) -> None:
        self._client = _connect(address, timeout)
        self._timeout = timeout
        self._keys = _Keys(warehouse)
        self._schemas: dict[bytes, RowSchema] = {}

    def rows(self, table: str, keys: Sequence[Mapping[str, Any]]) -> list[OnlineRow | None]:
        """See `OnlineStore`."""
        if not keys:
            return []
        with _answering(self._client, self._timeout):
            found = self._client.mget([self._keys.of(table, "row", key_text(key)) for key in keys])
            values = [None if each is None else each[_HEADER:] for each in cast("list[bytes | None]", found)]
            schemas = [None if value is None else self._schema(table, digest_in(value)) for value in values]
        return [
            None if value is None or schema is None else online_row(table, value, schema)
            for value, schema in zip(values, schemas, strict=True)
        ]

    def _schema(self, table: str, digest: bytes) -> RowSchema | None:
        """None where it expired, as its rows did just before."""
        if digest not in self._schemas:
            found = cast("bytes | None", self._client.get(self._keys.schema(table, digest)))
            if found is None:
                return None
            self._schemas[digest] = RowSchema.from_text(found)
        return self._schemas[digest]

    def release(self, table: str) -> str | None:
        """See `OnlineStore`."""
        with _answering(self._client, self._timeout):
            found = cast("bytes | None", self._client.get(self._keys.of(table, "marker")))
        return Marker.from_text(found).release_id if found else None

    def close(self) -> None:
        """See `OnlineStore`."""
        self._client.close()


class RedisWriter:
    """Writes to a server.

    Args:
        address, warehouse: see `RedisStore`.
        timeout: seconds for a connection, and for the answer to a script.
    """

    def __init__(self, address: str, warehouse: str, timeout: float) -> None:
        self._client = _connect(address, timeout)
        self._timeout = timeout
        self._keys = _Keys(warehouse)

    def _run(self, script: str, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> Any:
        with _answering(self._client, self._timeout):
            return self._client.register_script(script)(keys=list(keys), args=list(arguments))

    def held(self, table: str) -> Held:
        """See `OnlineWriter`."""
        with _answering(self._client, self._timeout):
            read = self._client.pipeline(transaction=True)
            read.get(self._keys.of(table, "claim"))
            read.get(self._keys.of(table, "marker"))
            read.hgetall(self._keys.of(table, "days"))
            claim, marker, days = read.execute()
        return Held(
            claim.decode() if claim else "",
            Marker.from_text(marker) if marker else None,
            {day.decode(): HeldDay.from_text(held.decode()) for day, held in days.items()},
        )

    def begin(
        self, table: str, sequence: int, seen: str, days: Mapping[str, bool], ttl_ms: int
    ) -> str | None:
        """See `OnlineWriter`."""
        keys = [self._keys.of(table, name) for name in ("claim", "days", "attempts")]
        each = [part for day, is_asked in days.items() for part in (day, int(is_asked))]
        stamp = self._run(_BEGIN, keys, [stamp_of(sequence, 0)[:12], seen, ttl_ms, now_ms(), *each])
        return None if stamp is None else stamp.decode()

    def put(self, push: Push, schema: RowSchema, rows: Sequence[PackedRow]) -> int:
        """See `OnlineWriter`."""
        by_day: dict[str, list[PackedRow]] = {}
        for row in rows:
            by_day.setdefault(row.day, []).append(row)
        put = 0
        for day, of_day in by_day.items():
            for at in range(0, len(of_day), ROWS_AT_ONCE):
                put += self._put(push, schema, day, of_day[at : at + ROWS_AT_ONCE])
        return put

    def _put(self, push: Push, schema: RowSchema, day: str, rows: Sequence[PackedRow]) -> int:
        of = self._keys.of
        keys = [
            of(push.name, "claim"),
            of(push.name, "day", day),
            self._keys.schema(push.name, schema.digest),
            *(of(push.name, "row", row.key) for row in rows),
        ]
        parts = [part for row in rows for part in (row.key, row.value)]
        return int(self._run(_PUT, keys, [push.stamp, day, push.ttl_ms, schema.as_text(), *parts]))

    def sweep(self, table: str, stamp: str, days: Iterable[str]) -> int:
        """See `OnlineWriter`."""
        return sum(self._sweep(table, stamp, day) for day in days)

    def _sweep(self, table: str, stamp: str, day: str) -> int:
        claim, index = self._keys.of(table, "claim"), self._keys.of(table, "day", day)
        gone, cursor = 0, -1
        while cursor != 0:
            with _answering(self._client, self._timeout):
                cursor, found = cast(
                    "tuple[int, list[bytes]]",
                    self._client.sscan(index, cursor=max(cursor, 0), count=ROWS_AT_ONCE),
                )
            members = [member.decode() for member in found]
            keys = [claim, index, *(self._keys.of(table, "row", member) for member in members)]
            gone += int(self._run(_SWEEP, keys, [stamp, day, *members]))
        return gone

    def finish(self, marker: Marker, days: Iterable[str], forgotten: Iterable[str]) -> bool:
        """See `OnlineWriter`."""
        keys = [self._keys.of(marker.name, name) for name in ("claim", "days", "marker")]
        written = list(days)
        arguments = [marker.stamp, marker.as_text(), len(written), *written, *forgotten]
        return bool(self._run(_FINISH, keys, arguments))

    def close(self) -> None:
        """See `OnlineWriter`."""
        self._client.close()
