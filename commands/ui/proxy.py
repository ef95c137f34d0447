"""A server behind the front: it listens on a Unix socket in a folder that only its owner may enter.

What comes in is handed on as it is, streamed both ways; connections that stay (Dagster's subscriptions) as
well.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterable
from pathlib import Path
from typing import Any

import httpx
import websockets
from starlette.requests import Request
from starlette.responses import HTMLResponse, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.typing import Subprotocol

from commands.ui.html import document

# What belongs to one connection and not to what is asked (RFC 9110, 7.6.1); the length is counted anew.
_HOP_BY_HOP = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "upgrade"),
    *("transfer-encoding", "proxy-connection"),
}
# What the guard has looked at, and the servers behind it need not see.
_GUARDED = {"authorization", "cookie", "origin"}
_CONNECT_SECONDS = 5
# Of a page that has no policy of its own: it loads nothing from elsewhere, and tells nobody.
PAGES = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
# Of a file that somebody stored: opened as a page, it is nobody's.
FILES = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STORED = ("get-artifact", "mlflow-artifacts/artifacts", "model-versions/get-artifact", "artifacts/files")


class Upstream:
    """An application that asks the server on a socket.

    Args:
        name: for people.
        has_pages: whether pages without a policy of their own get one.
    """

    def __init__(self, name: str, socket: Path, *, has_pages: bool = False) -> None:
        self._name, self._socket, self._has_pages = name, socket, has_pages
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket)),
            base_url="http://localhost",
            # A download takes as long as it takes.
            timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        if scope["type"] == "websocket":
            await self._stay(WebSocket(scope, receive, send))
        else:
            await self._ask(Request(scope, receive), scope, receive, send)

    async def close(self) -> None:
        """Let go the connections."""
        await self._client.aclose()

    async def _ask(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        asked = self._client.build_request(
            request.method,
            httpx.URL(raw_path=_raw_path(scope)),
            headers=list(_handed_on(request.headers.raw)),
            content=request.stream() if _has_body(request) else None,
        )
        try:
            answered = await self._client.send(asked, stream=True)
        except httpx.TransportError:
            page = document(f"{self._name} is not there yet", "<p>It starts; this page looks again.</p>", 2)
            await HTMLResponse(page, 503, {"Retry-After": "2"})(scope, receive, send)
            return
        answer = StreamingResponse(_content(answered), answered.status_code)
        answer.raw_headers = [
            (name.lower(), value)
            for name, value in answered.headers.raw
            if name.lower().decode() not in _HOP_BY_HOP
        ]
        if policy := self._policy(request.url.path, answered.headers):
            answer.headers["Content-Security-Policy"] = policy
        await answer(scope, receive, send)

    def _policy(self, path: str, headers: httpx.Headers) -> str | None:
        if any(name in path for name in _STORED):
            return FILES
        is_page = headers.get("content-type", "").startswith("text/html")
        return PAGES if self._has_pages and is_page and "content-security-policy" not in headers else None

    async def _stay(self, browser: WebSocket) -> None:
        path = _raw_path(browser.scope).decode("ascii")
        spoken = [Subprotocol(each) for each in browser.scope.get("subprotocols", [])]
        try:
            async with unix_connect(
                str(self._socket),
                f"ws://localhost{path}",
                subprotocols=spoken or None,
                max_size=None,
                open_timeout=_CONNECT_SECONDS,
            ) as server:
                await browser.accept(subprotocol=server.subprotocol)
                await _until_one_ends(_from_browser(browser, server), _from_server(server, browser))
        except (OSError, TimeoutError, websockets.InvalidHandshake):
            # It is not there now: the browser tries again.
            await browser.close(1013)
        except websockets.ConnectionClosed:
            pass
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await browser.close()


def _raw_path(scope: Scope) -> bytes:
    """Path and query as they came: decoded once more they could be others."""
    path: bytes = scope["raw_path"].partition(b"?")[0]
    query: bytes = scope["query_string"]
    return path + (b"?" + query if query else b"")


def _handed_on(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    return ((name, value) for name, value in headers if name.lower().decode() not in _HOP_BY_HOP | _GUARDED)


def _has_body(request: Request) -> bool:
    return "content-length" in request.headers or "transfer-encoding" in request.headers


async def _content(answered: httpx.Response) -> AsyncIterator[bytes]:
    """The bytes as they came, packed or not."""
    try:
        async for part in answered.aiter_raw():
            yield part
    finally:
        await answered.aclose()


async def _from_browser(browser: WebSocket, server: ClientConnection) -> None:
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            message = await browser.receive()
            if message["type"] == "websocket.disconnect":
                return
            await server.send(message["text"] if message.get("text") is not None else message["bytes"])


async def _from_server(server: ClientConnection, browser: WebSocket) -> None:
    async for message in server:
        if isinstance(message, str):
            await browser.send_text(message)
        else:
            await browser.send_bytes(message)


async def _until_one_ends(*ways: Coroutine[Any, Any, None]) -> None:
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
