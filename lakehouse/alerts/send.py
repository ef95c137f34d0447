"""Tell the receivers: by Apprise, to the addresses of the settings and nowhere else.

An address is a secret. It is never logged, printed or kept: a receiver is known by the scheme and a short
hash of its address. Each receiver gets what it lacks in one notification. One that does not take it is tried
again after 1, 2, 4 … and at last 60 minutes, and the others are not told twice. A process that is killed
between telling and noting tells again: at least once, not at most once.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from sqlite3 import Connection

from lakehouse.alerts.outbox import RESOLVED, Message, messages, outbox, path
from lakehouse.engine.state import exclusive
from lakehouse.errors import LakehouseError
from lakehouse.settings import settings

_FIRST_WAIT, _LONGEST_WAIT = 60.0, 3600.0
# One notification lists so many; what else there is, it counts.
_MOST_LISTED = 20
Notify = Callable[[str, str, str], str | None]


@dataclass(frozen=True)
class Receiver:
    """Somebody who is told.

    Args:
        name: scheme and hash of the address: all that may be shown of it.
        url: Apprise's address, a secret.
    """

    name: str
    url: str

    def __repr__(self) -> str:
        return f"Receiver({self.name})"


@dataclass(frozen=True)
class Sent:
    """What a receiver was told.

    Args:
        messages: how many it took, or is still to take where it failed or waits.
        said: why it did not take them; None where it did.
        retry_at: when it is tried again, seconds since 1970.
    """

    receiver: str
    messages: int
    said: str | None = None
    retry_at: float | None = None


def receivers() -> list[Receiver]:
    """The receivers of the settings, each once.

    Raises:
        LakehouseError: the file of the addresses cannot be read, or one is not an address.
    """
    secret = settings().alert_urls
    text = "" if secret is None else secret.get_secret_value()
    file = settings().alert_urls_file
    if file is not None:
        try:
            text += "\n" + file.read_text(encoding="utf-8")
        except OSError as error:
            raise LakehouseError(
                f"LAKEHOUSE_ALERT_URLS_FILE={file} cannot be read: {error.strerror}", "one address a line"
            ) from error
    lines = (line.strip() for line in text.splitlines())
    urls = [url for line in lines if not line.startswith("#") for url in line.split()]
    for number, url in enumerate(urls, start=1):
        if "://" not in url:
            raise LakehouseError(
                f"address {number} of LAKEHOUSE_ALERT_URLS is not one of Apprise's: it has no scheme",
                "such as mailtos://user:password@example.org; docs/alerts.md has more",
            )
    return [Receiver(_name(url), url) for url in dict.fromkeys(urls)]


def _name(url: str) -> str:
    scheme = url.partition("://")[0]
    return f"{scheme} {hashlib.sha256(url.encode()).hexdigest()[:8]}"


def send(now: float | None = None, *, at_once: bool = False, notify: Notify | None = None) -> list[Sent]:
    """Tell each receiver what it lacks; one process at a time does.

    Args:
        now: seconds since 1970; the clock by default.
        at_once: try those, too, that are to be tried later.
        notify: tells a receiver, by address, title and text, and gives why it did not take it.

    Returns:
        of each receiver that lacks something; empty where nobody does.
    """
    known = receivers()
    if not path().exists():
        return []
    at = time.time() if now is None else now
    with exclusive(path().with_suffix(".sending")):
        found = [_tell(receiver, at, at_once, notify or by_apprise) for receiver in known]
        with outbox() as connection:
            _forget_told(connection, [receiver.name for receiver in known])
    return [each for each in found if each is not None]


def _tell(receiver: Receiver, now: float, at_once: bool, notify: Notify) -> Sent | None:
    with outbox() as connection:
        waiting = messages(connection, receiver.name)
        known = connection.execute(
            "select failures, next_at, said from receivers where receiver = ?", (receiver.name,)
        ).fetchone()
        lost = connection.execute("select coalesce(sum(number), 0) from lost").fetchone()[0]
    if not waiting:
        return None
    if known is not None and not at_once and now < known["next_at"] <= now + _LONGEST_WAIT:
        return Sent(receiver.name, len(waiting), known["said"], known["next_at"])
    # Outside of the transaction: who raises an alert meanwhile does not wait for a receiver.
    said = notify(receiver.url, title_of(waiting), text_of(waiting, lost))
    with outbox() as connection:
        if said is None:
            connection.execute("delete from receivers where receiver = ?", (receiver.name,))
            connection.executemany(
                "insert or ignore into told values (?, ?)",
                [(message.id, receiver.name) for message in waiting],
            )
            return Sent(receiver.name, len(waiting))
        failures = (0 if known is None else known["failures"]) + 1
        retry_at = now + min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(failures - 1, 10))
        connection.execute(
            "insert or replace into receivers values (?, ?, ?, ?)",
            (receiver.name, failures, retry_at, said),
        )
    return Sent(receiver.name, len(waiting), said, retry_at)


def _forget_told(connection: Connection, known: Sequence[str]) -> None:
    """Drop the messages that all receivers have; without receivers all are kept, up to their number."""
    if not known:
        return
    marks = ", ".join("?" for _ in known)
    connection.execute(
        "delete from messages where (select count(*) from told where message_id = messages.id "
        f"and receiver in ({marks})) = ?",
        (*known, len(known)),
    )
    connection.execute("delete from told where message_id not in (select id from messages)")
    connection.execute("delete from lost where not exists (select 1 from messages)")
    # An address that is no longer in the settings keeps nothing.
    connection.execute(f"delete from receivers where receiver not in ({marks})", tuple(known))


def title_of(told: Sequence[Message]) -> str:
    """One line for some messages.

    >>> title_of([Message(1, "failed gate", "bronze.a", "raised", "2 rows", None, 0.0)])
    'Lakehouse: failed gate, bronze.a'
    """
    if len(told) == 1:
        (message,) = told
        done = "resolved: " if message.event == RESOLVED else ""
        return f"Lakehouse: {done}{message.kind}, {message.subject}"
    resolved = sum(message.event == RESOLVED for message in told)
    raised = len(told) - resolved
    parts = [f"{raised} alerts" if raised else "", f"{resolved} resolved" if resolved else ""]
    return f"Lakehouse: {', '.join(filter(None, parts))}"


def text_of(told: Sequence[Message], lost: int = 0) -> str:
    """Messages by kind, each with the page to look at.

    Args:
        lost: how many older ones were dropped, as nobody took them.
    """
    listed = told[-_MOST_LISTED:]
    lines: list[str] = []
    ordered = sorted(listed, key=lambda message: (message.kind, message.id))
    for kind, of_kind in groupby(ordered, key=lambda message: message.kind):
        lines.append(f"{kind}:")
        lines += [_line(message) for message in of_kind]
    left_out = len(told) - len(listed) + lost
    if left_out:
        lines.append(f"{left_out} older messages are left out: lakehouse alerts list --all")
    return "\n".join(lines)


def _line(message: Message) -> str:
    at = datetime.fromtimestamp(message.at, UTC)
    state = {"resolved": "resolved; it was: ", "again": "still: "}.get(message.event, "")
    link = f"\n  {message.link}" if message.link else ""
    return f"- {message.subject} ({at:%Y-%m-%d %H:%M} UTC): {state}{message.what}{link}"


def by_apprise(url: str, title: str, text: str) -> str | None:
    """Send one notification; gives why the receiver did not take it.

    Apprise raises nothing and logs addresses: its log is kept to ourselves, and only its size is told.
    """
    # Takes most of a second to import.
    from apprise import Apprise, AppriseAsset, NotifyType, PersistentStoreMode

    logger = logging.getLogger("apprise")
    logger.setLevel(logging.CRITICAL + 1)
    asset = AppriseAsset(
        app_id="Lakehouse",
        app_desc="Lakehouse alerts",
        app_url="",
        storage_mode=PersistentStoreMode.MEMORY,
        secure_logging=True,
    )
    apprise = Apprise(asset=asset)
    if not apprise.add(url):
        return "Apprise does not know this address"
    taken = apprise.notify(body=text, title=title, notify_type=NotifyType.INFO, body_format="text")
    return None if taken else "the receiver did not take it"
