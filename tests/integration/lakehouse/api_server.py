"""A real HTTP server on loopback that answers as a test says, and a source that is fetched from it."""

import hashlib
import json
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from lakehouse.ingest.api.fetch import fetch_lacking
from lakehouse.ingest.ledger import Ledger
from lakehouse.ingest.report import IngestReport
from lakehouse.ingest.source import Source

# Two days are over, and long enough.
NOW = datetime(2013, 7, 12, 12, tzinfo=UTC)
DAYS = ("2013-07-10", "2013-07-11")


@dataclass(frozen=True)
class Asked:
    """A request as the server got it."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    at: float


@dataclass(frozen=True)
class Answered:
    """What a server says.

    Args:
        body: of a dictionary or list the JSON.
        length: the `Content-Length`; the body's by default, None for none, so that the close ends it.
        sent: how many bytes of the body are sent before the connection is dropped; all by default.
        pause: seconds before each byte of the body.
    """

    body: object = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = -1
    sent: int | None = None
    pause: float = 0


Answering = Callable[[Asked], Answered]


@dataclass
class Api:
    """A server that runs, and what it was asked."""

    url: str
    answer: Answering
    asked: list[Asked] = field(default_factory=list)

    def pages(self, parameter: str) -> list[str | None]:
        """The values of a query parameter, request by request."""
        return [each.query.get(parameter) for each in self.asked]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up, or is killed, is what is tested."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # pyright: ignore[reportArgumentType]


@contextmanager
def serving(answer: Answering, certificate: Path | None = None) -> Iterator[Api]:
    """Run a server until the end of the block.

    Args:
        certificate: a file with a certificate and its key, for https.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body are two packets: the second would wait 40 ms for the first.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            split = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(split.path, dict(parse_qsl(split.query)), headers, time.monotonic())
            api.asked.append(asked)
            said = api.answer(asked)
            body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
            self.send_response_only(said.status)
            kind = {} if "content-type" in said.headers else {"content-type": "application/json"}
            for name, value in {**kind, **said.headers}.items():
                self.send_header(name, value)
            if said.length is not None:
                self.send_header("Content-Length", str(len(body) if said.length < 0 else said.length))
            else:
                self.close_connection = True
            self.end_headers()
            for part in [body[: said.sent]] if not said.pause else map(bytes, zip(body, strict=True)):
                time.sleep(said.pause)
                self.wfile.write(part)
            if said.sent is not None:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "http" if certificate is None else "https"
    api = Api(f"{scheme}://127.0.0.1:{server.server_port}", answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def record(number: int, day: str = "2013-07-10", **more: object) -> dict[str, object]:
    """One reading."""
    at = f"{day}T{10 + number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"
    return {"station": "A", "reading": number, "read_at": at} | more


def declared(api: Mapping[str, object], **changes: object) -> dict[str, Any]:
    """The declaration of a source of readings that are fetched."""
    return {
        "name": "readings",
        "description": "Readings of a station.",
        "owner": "weather",
        "format": "jsonl",
        "files": "weather/readings_{delivery}.jsonl",
        "arrives": "live",
        "time_zone": "UTC",
        "reported_time": "read_at",
        "delivery_delay_minutes": 15,
        "complete_when": "manifest",
        "keys": ["station", "read_at"],
        "columns": [
            {"name": "station", "type": "string", "description": "Station."},
            {"name": "reading", "type": "int", "description": "Reading."},
            {"name": "read_at", "type": "timestamp", "description": "When."},
        ],
        "api": {
            "params": {"day": "{day}"},
            "records": "data.items",
            "first_day": DAYS[0],
            "last_day": DAYS[0],
            "max_wait_seconds": 2,
            **api,
        },
    } | changes


def source_of(server: Api, changes: Mapping[str, object] | None = None, **more: object) -> Source:
    """The source of readings, at a server."""
    api = {"url": f"{server.url}/readings", **more}
    return Source.model_validate(declared(api, **(changes or {})))


def fetch(landing: Path, source: Source, **options: Any) -> IngestReport:
    """Fetch what lacks, of an empty ledger by default."""
    report = IngestReport()
    ledger = options.pop("ledger", None) or Ledger()
    fetch_lacking([source], landing, ledger, report, **{"now": NOW, **options})
    return report


def delivered(landing: Path, period: str = DAYS[0]) -> list[dict[str, object]]:
    """The rows of a delivery, which its manifest agrees with."""
    path = landing / "weather" / f"readings_{period}.jsonl"
    content = path.read_bytes()
    rows = [json.loads(line) for line in content.splitlines()]
    manifest = json.loads(path.with_name(f"{path.name}.manifest").read_bytes())
    assert manifest == {"rows": len(rows), "sha256": hashlib.sha256(content).hexdigest()}
    return rows


def landed_files(landing: Path) -> list[str]:
    """The files that a reader of the landing zone sees, and pages that are kept."""
    return sorted(
        str(path.relative_to(landing))
        for path in landing.rglob("*")
        if path.is_file() and path.name != ".lock"
    )


def days_until(last: str) -> tuple[date, date]:
    """All days up to one."""
    return date(1900, 1, 1), date.fromisoformat(last)


DELIVERY = ["weather/readings_2013-07-10.jsonl", "weather/readings_2013-07-10.jsonl.manifest"]
CURSOR = {"kind": "cursor", "parameter": "after", "next": "data.next"}


def rows(count: int, first: int = 0) -> list[dict[str, object]]:
    return [record(first + number) for number in range(count)]


def page(items: object, **more: object) -> dict[str, object]:
    return {"data": {"items": items, **more}}


def numbered(asked: Asked, parameter: str, first: int) -> int:
    return int(asked.query.get(parameter, first))


def by_page(asked: Asked) -> Answered:
    number = numbered(asked, "page", 1)
    return Answered(page(rows(2, number * 10) if number <= 3 else [], more=number < 3, pages=3, total=6))


def by_offset(asked: Asked) -> Answered:
    # It caps what it gives, whatever is asked for.
    offset = numbered(asked, "skip", 0)
    return Answered(page(rows(6)[offset : offset + 2], more=offset < 4, total=6))


def by_cursor(asked: Asked) -> Answered:
    number = numbered(asked, "after", 0)
    last = {} if number >= 40 else {"next": number + 20}
    return Answered(page(rows(2, number), **({"next": None} | last), more=number < 40))


def by_bare_cursor(asked: Asked) -> Answered:
    number = numbered(asked, "after", 0)
    last = {} if number >= 40 else {"next": number + 20}
    return Answered(page(rows(2, number), **last, more=number < 40))


def by_next_link(asked: Asked) -> Answered:
    number = numbered(asked, "p", 1)
    return Answered(page(rows(2, number * 10), next=f"?day=2013-07-10&p={number + 1}" if number < 3 else ""))


def by_link_header(asked: Asked) -> Answered:
    number = numbered(asked, "p", 1)
    link = (
        {"Link": f'</readings?p={number + 1}>; rel="next", </readings?p=3>; rel="last"'} if number < 3 else {}
    )
    return Answered(page(rows(2, number * 10)), headers=link)
