"""Who may ask for the pages of `lakehouse dev`: the browser that opened the printed link, no other pages.

Loopback keeps other machines out, but not other users of this one, nor the pages of other sites in the same
browser. A token in the printed link becomes a cookie at the first visit, as Jupyter does it. A cookie is sent
to any port of a host, so that whoever asks is looked at as well: `Host` must be a name of this machine (else
a site could let its own name point here), and what a page of another origin asks for is refused.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from commands.ui.html import document

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
# Says that the front lives, and nothing else.
HEALTH = "/health"
_READING = ("GET", "HEAD", "OPTIONS")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
}


@dataclass(frozen=True)
class Asked:
    """What was asked for.

    Args:
        method: of HTTP; `WEBSOCKET` for a connection that stays.
        query: as it came, without its question mark.
        headers: names in lower case.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Refused:
    """Why something is not given; nothing of what lies behind is told."""

    status: int
    why: str


@dataclass(frozen=True)
class Entered:
    """A browser showed the token in a link: it gets a cookie, and goes on without the token.

    Args:
        location: path and query to go on to.
    """

    location: str


@dataclass(frozen=True)
class Rules:
    """Whom to let in.

    Args:
        cookie: the name of the cookie; other servers of this host may have their own.
        hosts: names of this machine, beside those of loopback.
    """

    token: str
    cookie: str
    hosts: frozenset[str] = frozenset()

    def judge(self, asked: Asked) -> Refused | Entered | None:
        """None lets it through."""
        host = asked.headers.get("host", "")
        if _name(host) not in LOCAL | self.hosts:
            return Refused(403, "this is not a name of this server; LAKEHOUSE_UI_HOSTS lists more")
        if asked.path == HEALTH and asked.method in _READING:
            return None
        foreign = _foreign(asked, host)
        if foreign is not None:
            return foreign
        by_header = self._is_token(asked.headers.get("authorization", "").removeprefix("Bearer "))
        given = dict(parse_qsl(asked.query)).get("token")
        if given is not None and asked.method == "GET" and self._is_token(given):
            return Entered(_without_token(asked))
        if not by_header and not self._is_token(_cookies(asked).get(self.cookie, "")):
            return Refused(401, "open the link that `lakehouse dev` printed: it has the token")
        return _unsafe(asked, by_header)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.token.encode())


def _name(host: str) -> str | None:
    """The host's name without its port; None where it is not one."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _place(origin: str) -> str | None:
    """Host and port of an origin; None where it is not one."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _foreign(asked: Asked, host: str) -> Refused | None:
    """Refuses what a page of another origin asks for; a link that a person follows is let through."""
    origin = asked.headers.get("origin")
    if origin is not None and _place(origin) != host.lower():
        return Refused(403, "a page of another origin asked for this")
    follows_a_link = (
        asked.method == "GET"
        and asked.headers.get("sec-fetch-mode") == "navigate"
        and asked.headers.get("sec-fetch-dest") == "document"
    )
    # Another port of this machine is another origin of the same site.
    if asked.headers.get("sec-fetch-site") in ("cross-site", "same-site") and not follows_a_link:
        return Refused(403, "a page of another origin asked for this")
    return None


def _unsafe(asked: Asked, by_header: bool) -> Refused | None:
    """Refuses what could change something and is not known to come from a page of ours."""
    # Dagster's own pages name the operation in the address, beside the body that holds it.
    said = {name for name, _ in parse_qsl(asked.query, keep_blank_values=True)} - {"op"}
    is_link = asked.method != "WEBSOCKET" and (bool(said) or asked.method not in ("GET", "POST"))
    if {".", ".."} & set(asked.path.split("/")):
        # The server behind would resolve them, and be asked for another path than was looked at here.
        return Refused(400, "a path has no dots for folders")
    if asked.path.rstrip("/").endswith("/graphql") and is_link:
        # Dagster runs a mutation that stands in a link.
        return Refused(405, "GraphQL is asked by POST")
    ours = "origin" in asked.headers or asked.headers.get("sec-fetch-site") == "same-origin"
    if asked.method not in _READING and not ours and not by_header:
        return Refused(403, "it was not said which page asked for this")
    return None


def _cookies(asked: Asked) -> dict[str, str]:
    # Other programs of this host set cookies, too, and not all as the standard library wants them.
    return cookie_parser(asked.headers.get("cookie", ""))


def _without_token(asked: Asked) -> str:
    rest = urlencode([(name, value) for name, value in parse_qsl(asked.query) if name != "token"])
    # Two slashes at its start would be the name of another host.
    return "/" + asked.path.lstrip("/\\") + (f"?{rest}" if rest else "")


class Guard:
    """Lets through what the rules do, in front of an application."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app, self._rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI says."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        asked = _asked(scope)
        verdict = self._rules.judge(asked)
        if verdict is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            # Closed before it is accepted: HTTP 403.
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _answer(verdict, asked, self._rules)(scope, receive, _with_headers(send))


def _asked(scope: Scope) -> Asked:
    headers = Headers(scope=scope)
    return Asked(
        method="WEBSOCKET" if scope["type"] == "websocket" else scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers={name: headers[name] for name in headers},
    )


def _answer(verdict: Refused | Entered, asked: Asked, rules: Rules) -> Response:
    if isinstance(verdict, Entered):
        answer = RedirectResponse(verdict.location, 303)
        answer.set_cookie(
            rules.cookie, rules.token, max_age=30 * 86_400, httponly=True, samesite="strict", path="/"
        )
        return answer
    if verdict.status == 401 and "text/html" in asked.headers.get("accept", ""):
        # A strict cookie is not sent where another site's link led here; a link of this page sends it.
        return HTMLResponse(
            document("Not let in", f"<p>{verdict.why}.</p><p>You did? <a href=''>Then go on</a>.</p>"), 401
        )
    return PlainTextResponse(f"{verdict.why}\n", verdict.status)


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sent
