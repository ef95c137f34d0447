"""Publishes the flights' events by an API over HTTP, page by page: what the landing files of a day hold."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from demo.deliveries import flight_events
from demo.publish import known_between, to_bytes

PATH = "/v1/flight-events"
PAGE_ROWS = 500


@contextmanager
def events_api(token: str, port: int = 0) -> Generator[str]:
    """Serve the events on loopback while the block runs; gives the address of the events.

    `GET {address}?day=2013-07-10&page=1` answers `{"events": […], "total": N}`, PAGE_ROWS events a page and
    none behind the last one, to those who send the token.

    Args:
        token: what callers have to send, as `Authorization: Bearer TOKEN`.
        port: where it listens; any free one by default.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path, self.headers.get("Authorization"), token)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            """What was asked for is nobody's business here."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{PATH}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(target: str, authorization: str | None, token: str) -> tuple[int, bytes]:
    """Status and body for a request.

    Args:
        target: path and query, as they stand in the request.
    """
    if authorization != f"Bearer {token}":
        return 401, b'{"error": "send the token"}'
    asked = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(asked.query).items()}
    try:
        day, page = date.fromisoformat(query["day"]), int(query.get("page", "1"))
    except (KeyError, ValueError):
        return 400, b'{"error": "ask for day=YYYY-MM-DD, and page=N"}'
    if asked.path != PATH or page < 1:
        return 404, b'{"error": "there is nothing"}'
    rows = known_between(flight_events(), day).drop(columns="known_at")
    lines = to_bytes(rows.iloc[(page - 1) * PAGE_ROWS : page * PAGE_ROWS], ".jsonl").splitlines()
    # The events as their files have them, digit by digit.
    events = b",".join(lines)
    return 200, b'{"events": [' + events + b'], "total": ' + json.dumps(len(rows)).encode() + b"}"
