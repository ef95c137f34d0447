"""What stands before every request: the host it names, its token, and the headers of each answer."""

import hmac
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

import orjson

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

# In a request's scope: whether it carried the token, or none is needed.
IS_KNOWN = "lakehouse.is_known"
# Told to anybody: that the service lives and is ready, and the page of the API, which holds nothing of it.
OPEN_PATHS = ("/health", "/ready", "/docs", "/docs/page.js", "/docs/page.css")
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        b"frame-ancestors 'none'",
    ),
]


class Guard:
    """An ASGI application in front of another one.

    Args:
        hosts: names by which the service may be called, lower case, without port: a page of another site that
            has its name point here is refused.
        token: each request has to carry it, but for `OPEN_PATHS`; None: none has to.
    """

    def __init__(self, inner: Application, hosts: Collection[str], token: str | None) -> None:
        self._inner = inner
        self._hosts = frozenset(hosts)
        self._token = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        headers: dict[bytes, bytes] = dict(scope["headers"])
        if host_of(headers.get(b"host", b"")) not in self._hosts:
            await _refuse(send_with_headers, 400, "the service is not called by this host's name")
        elif not (known := self._is_known(headers)) and scope["path"] not in OPEN_PATHS:
            await _refuse(
                send_with_headers,
                401,
                "a token is needed: Authorization: Bearer …",
                (b"www-authenticate", b"Bearer"),
            )
        else:
            await self._inner({**scope, IS_KNOWN: known}, receive, send_with_headers)

    def _is_known(self, headers: dict[bytes, bytes]) -> bool:
        return self._token is None or hmac.compare_digest(headers.get(b"authorization", b""), self._token)


def host_of(header: bytes) -> str:
    """The name in a Host header, without its port.

    >>> host_of(b"LocalHost:8100"), host_of(b"[::1]:8100")
    ('localhost', '[::1]')
    """
    text = header.decode("latin-1").lower()
    if text.startswith("["):
        return text.partition("]")[0] + "]"
    return text.partition(":")[0]


async def _refuse(send: Send, status: int, what: str, *more: tuple[bytes, bytes]) -> None:
    body = orjson.dumps({"detail": what})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
