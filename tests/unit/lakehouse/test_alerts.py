"""Alerts reach real receivers, also one that is down at first; once, grouped, and resolved."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from lakehouse import settings as module
from lakehouse.alerts import outbox, raise_alert, resolve
from lakehouse.alerts.outbox import MOST_MESSAGES, alerts, messages
from lakehouse.alerts.send import receivers, send
from lakehouse.engine.ports import free_port
from lakehouse.errors import LakehouseError

SECRET = "s3cret-path"


@dataclass
class Receiver:
    """A receiver on loopback, and what it got."""

    port: int
    got: list[dict[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/{SECRET}"


@contextmanager
def listening(receiver: Receiver, status: int = 200) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if status == 200:
                receiver.got.append(json.loads(body))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = HTTPServer(("127.0.0.1", receiver.port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def receiver() -> Receiver:
    return Receiver(free_port())


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> Iterator[None]:
    monkeypatch.setenv("LAKEHOUSE_WAREHOUSE", str(tmp_path))
    monkeypatch.setenv("LAKEHOUSE_ALERT_URLS", receiver.url)
    module.settings.cache_clear()
    yield
    module.settings.cache_clear()


def test_a_receiver_that_is_down_at_first_loses_nothing_and_is_told_once(receiver: Receiver) -> None:
    assert raise_alert("failed gate", "bronze.flight_schedule", "50 rows instead of 900", "http://x/docs")
    assert not raise_alert("failed gate", "bronze.flight_schedule", "51 rows")
    (first,) = send(now=1000.0)
    assert (first.messages, first.said, first.retry_at) == (1, "the receiver did not take it", 1060.0)
    with listening(receiver, status=503):
        (second,) = send(now=1060.0)
    assert second.retry_at == 1180.0
    raise_alert("drift", "arrival_delay", "(score) stands out")
    resolve("failed gate", "bronze.flight_schedule")
    with listening(receiver):
        (early,) = send(now=1100.0)
        assert early.retry_at == 1180.0 and receiver.got == []
        (sent,) = send(now=1180.0)
        assert (sent.messages, sent.said) == (3, None)
        assert send(now=9999.0) == []
    (told,) = receiver.got
    assert told["title"] == "Lakehouse: 2 alerts, 1 resolved"
    assert "bronze.flight_schedule" in told["message"] and "50 rows instead of 900" in told["message"]
    assert "resolved; it was: 51 rows" in told["message"] and "http://x/docs" in told["message"]
    assert told["message"].index("drift:") < told["message"].index("failed gate:")
    with outbox.outbox() as connection:
        assert messages(connection, receivers()[0].name) == []
        assert [(each.subject, each.times) for each in alerts(connection)] == [("arrival_delay", 1)]


def test_mail_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    mails: list[bytes] = []

    class Inbox:
        async def handle_DATA(self, server: object, session: object, envelope: object) -> str:  # noqa: N802
            mails.append(envelope.content)  # type: ignore[attr-defined]
            return "250 OK"

    port = free_port()
    url = f"mailto://127.0.0.1:{port}?from=lake@example.org&to=team@example.org&mode=insecure"
    monkeypatch.setenv("LAKEHOUSE_ALERT_URLS", url)
    module.settings.cache_clear()
    raise_alert("failed run", "daily", "step dbt_features failed")
    assert [each.said for each in send(now=0.0)] == ["the receiver did not take it"]
    controller = Controller(Inbox(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        assert [each.said for each in send(now=60.0)] == [None]
    finally:
        controller.stop()
    (mail,) = (message_from_bytes(each) for each in mails)
    assert mail["subject"] == "Lakehouse: failed run, daily"
    parts = [part for part in mail.walk() if not part.is_multipart()]
    assert b"step dbt_features failed" in (parts[0].get_payload(decode=True) or b"")  # type: ignore[operator]


def test_of_two_receivers_the_one_that_took_it_is_not_told_again(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = Receiver(free_port())
    file = tmp_path / "urls"
    file.write_text(f"# the team's chat\n{other.url}\n")
    monkeypatch.setenv("LAKEHOUSE_ALERT_URLS_FILE", str(file))
    module.settings.cache_clear()
    raise_alert("quality", "arrival_delay", "calibration is off")
    with listening(receiver):
        assert sorted(each.said or "" for each in send(now=0.0)) == ["", "the receiver did not take it"]
        with listening(other):
            assert [each.said for each in send(now=60.0)] == [None]
    assert (len(receiver.got), len(other.got)) == (1, 1)


def test_an_open_alert_is_repeated_after_the_window_and_an_event_each_time(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("lakehouse.alerts.outbox.time.time", lambda: clock[0])
    assert raise_alert("stale source", "flight_actuals", "nothing for 3 hours")
    clock[0] = 23 * 3600.0
    assert not raise_alert("stale source", "flight_actuals", "nothing for 26 hours")
    clock[0] = 25 * 3600.0
    assert raise_alert("stale source", "flight_actuals", "nothing for 28 hours")
    assert raise_alert("promotion", "arrival_delay", "version 2")
    assert raise_alert("promotion", "arrival_delay", "version 3")
    assert not resolve("promotion", "arrival_delay")
    with listening(receiver):
        send(now=clock[0])
    (told,) = receiver.got
    assert "still: nothing for 28 hours" in told["message"]
    assert "version 2" in told["message"] and "version 3" in told["message"]
    assert resolve("stale source", "flight_actuals") and not resolve("stale source", "flight_actuals")
    # Wrong again: that is another alert.
    assert raise_alert("stale source", "flight_actuals", "nothing for 2 hours")


def test_the_outbox_is_bounded_and_says_what_it_dropped(receiver: Receiver) -> None:
    for number in range(30):
        raise_alert("failed run", f"job {number}", "failed")
    with outbox.outbox() as connection:
        rows = [(1, "raised", f"failed {number}", None, 0.0) for number in range(MOST_MESSAGES - 30)]
        connection.executemany(
            "insert into messages (alert_id, event, what, link, at) values (?, ?, ?, ?, ?)", rows
        )
    raise_alert("failed run", "one more", "failed")
    with outbox.outbox() as connection:
        assert connection.execute("select count(*) from messages").fetchone()[0] == MOST_MESSAGES
    with listening(receiver):
        send(now=0.0)
    (told,) = receiver.got
    assert len(told["message"].splitlines()) < 30
    assert f"{MOST_MESSAGES - 20 + 1} older messages are left out" in told["message"]


def test_the_address_is_shown_nowhere(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    raise_alert("failed run", "daily", "failed")
    sent = send(now=0.0)
    shown = (
        repr(module.settings()) + repr(receivers()) + repr(sent) + caplog.text + "".join(capfd.readouterr())
    )
    assert SECRET not in shown and str(receiver.port) not in shown
    assert SECRET.encode() not in outbox.path().read_bytes()


def test_who_raises_an_alert_is_never_stopped_by_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(LakehouseError, match="no kind of alert 'failed runs'"):
        raise_alert("failed runs", "daily", "failed")
    monkeypatch.setattr("lakehouse.alerts.outbox.sqlite3.connect", full)
    assert not raise_alert("failed run", "daily", "failed")
    assert "alert not noted (failed run, daily)" in capsys.readouterr().err


def test_two_processes_at_once_note_one_alert() -> None:
    raised = []

    def work() -> None:
        raised.append(raise_alert("failed gate", "bronze.a", "failed"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(raised) == [False] * 7 + [True]
    with outbox.outbox() as connection:
        assert [each.times for each in alerts(connection)] == [8]
