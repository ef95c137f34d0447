"""An API's secret: read from the environment, and put on a request at the last moment, for its own host only.

Whatever stands above the transport (pages that are kept, redirects, errors, httpx's own log) never has it.
"""

import base64
import logging
import os
from collections.abc import Mapping
from urllib.parse import quote, quote_plus
from urllib.request import getproxies, proxy_bypass

import httpx

from lakehouse.ingest.api.address import origin, parsed
from lakehouse.ingest.api.declared import Api, Auth, BearerToken, HeaderKey, QueryKey
from lakehouse.ingest.api.problems import RefusedAnswerError

_HIDDEN = "***"


class Secret:
    """What a request has to carry; shows nothing of it."""

    def __init__(self, headers: Mapping[str, str], params: Mapping[str, str], words: list[str]) -> None:
        self._headers = dict(headers)
        self._params = dict(params)
        spelled = {form for word in words for form in (word, quote(word, safe=""), quote_plus(word))}
        # A longer one first: it may contain a shorter one.
        self._words = sorted(spelled, key=len, reverse=True)

    def __repr__(self) -> str:
        return "Secret(…)"

    def on(self, request: httpx.Request) -> httpx.Request:
        """The request with it."""
        url = request.url.copy_merge_params(self._params) if self._params else request.url
        headers = request.headers.copy()
        headers.update(self._headers)
        return httpx.Request(
            request.method, url, headers=headers, stream=request.stream, extensions=request.extensions
        )

    def off(self, url: httpx.URL) -> httpx.URL:
        """An address that an API has given, without the secret that it may repeat."""
        for name, value in self._params.items():
            if value in url.params.get_list(name):
                url = url.copy_remove_param(name)
        return url

    def hidden_in(self, text: str) -> str:
        """A text in which it does not occur, however it is spelled."""
        for word in self._words:
            text = text.replace(word, _HIDDEN)
        return text


def read_secret(auth: Auth | None) -> Secret:
    """The secret that a declaration names.

    Raises:
        RefusedAnswerError: its variable is not set, or cannot be sent.
    """
    if auth is None:
        return Secret({}, {}, [])
    if isinstance(auth, BearerToken):
        token = _variable(auth.token_env, is_header=True)
        return Secret({"Authorization": f"Bearer {token}"}, {}, [token])
    if isinstance(auth, HeaderKey):
        value = _variable(auth.value_env, is_header=True)
        return Secret({auth.name: value}, {}, [value])
    if isinstance(auth, QueryKey):
        value = _variable(auth.value_env, is_header=False)
        return Secret({}, {auth.name: value}, [value])
    user = _variable(auth.user_env, is_header=False)
    password = _variable(auth.password_env, is_header=False)
    both = base64.b64encode(f"{user}:{password}".encode()).decode()
    return Secret({"Authorization": f"Basic {both}"}, {}, [password, both])


def _variable(name: str, *, is_header: bool) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise RefusedAnswerError(f"its secret is missing: set the variable {name}", is_of_all=True)
    if not value.isprintable() or (is_header and not value.isascii()):
        raise RefusedAnswerError(
            f"the variable {name} has a character that cannot be sent in a header", is_of_all=True
        )
    return value


class AuthorizedTransport(httpx.BaseTransport):
    """Sends requests; those to the declared scheme, host and port with the secret and the declared headers.

    Proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`), which httpx leaves to its transport.
    """

    def __init__(self, api: Api, secret: Secret) -> None:
        self._own = origin(parsed(api.address))
        self._headers = api.headers
        self._secret = secret
        self._transports: dict[str | None, httpx.HTTPTransport] = {}
        # Its trace has the headers of answers, and an API may repeat a secret there.
        logging.getLogger("httpcore").setLevel(logging.INFO)
        # Certificates are read here, not between two requests that keep to a rate.
        self._transport(parsed(api.address))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it.

        Raises:
            RefusedAnswerError: the API has led from https to http.
            httpx.TransportError: it did not arrive, or no answer came.
        """
        sent = request
        if origin(request.url) == self._own:
            sent = self._secret.on(request)
            sent.headers.update(self._headers)
        elif self._own[0] == "https" and request.url.scheme == "http":
            raise RefusedAnswerError(f"it leads from https to http ({request.url.host}), for others to read")
        response = self._transport(request.url).handle_request(sent)
        if "location" in response.headers:
            # A redirect may repeat the secret, and httpx logs where it leads.
            location = httpx.URL(response.headers["location"])
            response.headers["location"] = str(self._secret.off(location))
        return response

    def close(self) -> None:
        """Close all connections."""
        for transport in self._transports.values():
            transport.close()

    def _transport(self, url: httpx.URL) -> httpx.HTTPTransport:
        proxies = getproxies()
        is_direct = bool(proxy_bypass(url.netloc.decode()))
        proxy = None if is_direct else proxies.get(url.scheme) or proxies.get("all")
        if proxy not in self._transports:
            self._transports[proxy] = httpx.HTTPTransport(proxy=proxy)
        return self._transports[proxy]
