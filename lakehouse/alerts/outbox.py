"""The outbox: open alerts, and what each receiver is still to be told of them.

An alert is open from its first `raise_alert` until `resolve`. While it is open, raising it again changes what
it says, and makes no second message within the window LAKEHOUSE_ALERT_REPEAT_HOURS. A message is kept until
every receiver has it, so that one who is away at first loses nothing. What is kept is bounded: of messages
that nobody takes, the oldest go, and the next notification says how many.

It is a SQLite file, as several processes write: a step of the graph, a sensor, a command. One that is killed
leaves a whole file. Messages are in the order in which they were written, whatever the clocks say.
"""

import sqlite3
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import LakehouseError
from lakehouse.settings import settings

# What is raised, and whether it is an event: that happens and is over, and has nothing to resolve.
KINDS = {
    "failed run": False,
    "failed gate": False,
    "stale source": False,
    "drift": False,
    "quality": False,
    "promotion": True,
    "refusal": True,
    "not monitored": False,
    "online store differs": False,
    "test": True,
}
EVENTS = frozenset(kind for kind, is_event in KINDS.items() if is_event)

RAISED, AGAIN, RESOLVED = "raised", "again", "resolved"
# What is kept, at most: messages that nobody took, and closed alerts for `lakehouse alerts list --all`.
MOST_MESSAGES = 1000
MOST_CLOSED = 1000
# An error of dbt or Spark may be pages long.
_MOST_TEXT = 2000
_PATIENCE_SECONDS = 30

_SCHEMA = """
create table if not exists alerts (
    id integer primary key,
    kind text not null,
    subject text not null,
    what text not null,
    link text,
    raised_at real not null,
    last_at real not null,
    told_at real not null,
    times integer not null,
    resolved_at real
);
create unique index if not exists one_open on alerts (kind, subject) where resolved_at is null;
create table if not exists messages (
    id integer primary key autoincrement,
    alert_id integer not null references alerts,
    event text not null,
    what text not null,
    link text,
    at real not null
);
create table if not exists told (
    message_id integer not null,
    receiver text not null,
    primary key (message_id, receiver)
);
create table if not exists receivers (
    receiver text primary key,
    failures integer not null,
    next_at real not null,
    said text not null
);
create table if not exists lost (number integer not null);
"""


@dataclass(frozen=True)
class Alert:
    """Something that is wrong, or was.

    Args:
        what: as it was raised last.
        raised_at, last_at: when it was raised first and last, seconds since 1970.
        times: how often.
        resolved_at: None while it is open.
        waiting: how many of its messages a receiver still lacks, or nobody has taken yet.
    """

    kind: str
    subject: str
    what: str
    link: str | None
    raised_at: float
    last_at: float
    times: int
    resolved_at: float | None
    waiting: int


@dataclass(frozen=True)
class Message:
    """What receivers are told of an alert.

    Args:
        event: raised, again or resolved.
    """

    id: int
    kind: str
    subject: str
    event: str
    what: str
    link: str | None
    at: float


def raise_alert(kind: str, subject: str, what: str, link: str | None = None) -> bool:
    """Note that something is wrong; receivers are told when messages are next sent.

    Never in the caller's way: an outbox that cannot be written to (a full disk) is reported on stderr.

    Args:
        kind: one of `KINDS`.
        subject: what it is about: a table, a job, a model. An alert is open once for a kind and subject.
        what: what happened, for people.
        link: the page to look at.

    Returns:
        whether receivers are to be told: not again within the window.

    Raises:
        LakehouseError: there is no such kind.
    """
    _require_kind(kind)
    try:
        with outbox() as connection:
            return _raise(
                connection, kind, _text(subject), _text(what[:_MOST_TEXT]), link and _text(link), time.time()
            )
    except (sqlite3.Error, OSError) as error:
        _say_unwritten(kind, subject, error)
        return False


def resolve(kind: str, subject: str) -> bool:
    """Note that something is no longer wrong; nothing happens where it was not open.

    Returns:
        whether it was open.

    Raises:
        LakehouseError: there is no such kind.
    """
    _require_kind(kind)
    try:
        if not path().exists():
            return False
        with outbox() as connection:
            return _resolve(connection, kind, _text(subject), time.time())
    except (sqlite3.Error, OSError) as error:
        _say_unwritten(kind, subject, error)
        return False


def path() -> Path:
    """Where the outbox lies."""
    return settings().warehouse.resolve() / "alerts" / "outbox.db"


@contextmanager
def outbox() -> Generator[sqlite3.Connection]:
    """The outbox, in a transaction that ends with the block; another process waits for it."""
    file = path()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    connection = sqlite3.connect(file, timeout=_PATIENCE_SECONDS, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("begin immediate")
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        yield connection
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise
    finally:
        connection.close()


def alerts(connection: sqlite3.Connection, closed: bool = False) -> list[Alert]:
    """The open alerts, the newest last; on demand those that were closed, too."""
    rows = connection.execute(
        "select alerts.*, (select count(*) from messages where alert_id = alerts.id) as waiting from alerts "
        f"where {'true' if closed else 'resolved_at is null'} order by id"
    )
    return [
        Alert(
            row["kind"],
            row["subject"],
            row["what"],
            row["link"],
            row["raised_at"],
            row["last_at"],
            row["times"],
            row["resolved_at"],
            row["waiting"],
        )
        for row in rows
    ]


def messages(connection: sqlite3.Connection, receiver: str) -> list[Message]:
    """What a receiver still lacks, in order."""
    rows = connection.execute(
        "select messages.id, kind, subject, event, messages.what, messages.link, at "
        "from messages join alerts on alerts.id = alert_id "
        "where not exists (select 1 from told where message_id = messages.id and receiver = ?) "
        "order by messages.id",
        (receiver,),
    )
    return [Message(*tuple(row)) for row in rows]


def _raise(
    connection: sqlite3.Connection, kind: str, subject: str, what: str, link: str | None, now: float
) -> bool:
    known = connection.execute(
        "select id, told_at from alerts where kind = ? and subject = ? and resolved_at is null",
        (kind, subject),
    ).fetchone()
    if known is None:
        added = connection.execute(
            "insert into alerts (kind, subject, what, link, raised_at, last_at, told_at, times, resolved_at) "
            "values (?, ?, ?, ?, ?, ?, ?, 1, ?)",
            (kind, subject, what, link, now, now, now, now if kind in EVENTS else None),
        )
        _add_message(connection, int(added.lastrowid or 0), RAISED, what, link, now)
        _forget_closed(connection)
        return True
    connection.execute(
        "update alerts set what = ?, link = coalesce(?, link), last_at = ?, times = times + 1 where id = ?",
        (what, link, now, known["id"]),
    )
    if abs(now - known["told_at"]) < settings().alert_repeat_hours * 3600:
        return False
    connection.execute("update alerts set told_at = ? where id = ?", (now, known["id"]))
    # A reminder that nobody took is replaced by this one.
    connection.execute(
        "delete from messages where alert_id = ? and event = ?",
        (known["id"], AGAIN),
    )
    _add_message(connection, known["id"], AGAIN, what, link, now)
    return True


def _resolve(connection: sqlite3.Connection, kind: str, subject: str, now: float) -> bool:
    known = connection.execute(
        "select id, what, link from alerts where kind = ? and subject = ? and resolved_at is null",
        (kind, subject),
    ).fetchone()
    if known is None:
        return False
    connection.execute("update alerts set resolved_at = ? where id = ?", (now, known["id"]))
    _add_message(connection, known["id"], RESOLVED, known["what"], known["link"], now)
    return True


def _add_message(
    connection: sqlite3.Connection, alert: int, event: str, what: str, link: str | None, now: float
) -> None:
    connection.execute(
        "insert into messages (alert_id, event, what, link, at) values (?, ?, ?, ?, ?)",
        (alert, event, what, link, now),
    )
    waiting = connection.execute("select count(*) from messages").fetchone()[0]
    if waiting > MOST_MESSAGES:
        connection.execute(
            "delete from messages where id in (select id from messages order by id limit ?)",
            (waiting - MOST_MESSAGES,),
        )
        before = connection.execute("select coalesce(sum(number), 0) from lost").fetchone()[0]
        connection.execute("delete from lost")
        connection.execute("insert into lost values (?)", (before + waiting - MOST_MESSAGES,))
        connection.execute("delete from told where message_id not in (select id from messages)")


def _forget_closed(connection: sqlite3.Connection) -> None:
    """Keep the newest closed alerts, and those that messages are about."""
    connection.execute(
        "delete from alerts where resolved_at is not null and id not in (select alert_id from messages) "
        "and id not in (select id from alerts where resolved_at is not null order by id desc limit ?)",
        (MOST_CLOSED,),
    )


def _text(said: str) -> str:
    """A text that can be kept: the name of a file may hold bytes that are no letters."""
    return said.encode("utf-8", "replace").decode()


def _require_kind(kind: str) -> None:
    if kind not in KINDS:
        raise LakehouseError(f"there is no kind of alert {kind!r}", f"known: {', '.join(KINDS)}")


def _say_unwritten(kind: str, subject: str, error: Exception) -> None:
    sys.stderr.write(f"alert not noted ({kind}, {subject}): {path()}: {error}\n")
