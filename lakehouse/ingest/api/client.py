"""Asks an API: gently, again where that may help, and never longer or more than declared."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Self

import httpx
import tenacity

from lakehouse.ingest.api.address import origin, parsed, shown
from lakehouse.ingest.api.declared import Api
from lakehouse.ingest.api.problems import LaterError, RefusedAnswerError
from lakehouse.ingest.api.secrets import AuthorizedTransport, read_secret
from lakehouse.progress import Progress, silent

# A server that sends a byte now and then would hold a page for ever: it may take so many times the timeout.
_TIMEOUTS_PER_PAGE = 10
_FIRST_BACKOFF_SECONDS = 0.5
# With other words, the request would be the same.
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429})
_MAY_ASK_TO_WAIT = frozenset({429, 503})
_NOT_ALLOWED = frozenset({401, 403, 407})
_SHOWN_OF_ANSWER = 200


@dataclass(frozen=True)
class Answer:
    """What an API answered with a status that was expected.

    Args:
        url: where the answer came from, at the end of redirects.
        body: decompressed.
        encoding: that the header `Content-Type` names, if it does.
        links: address by relation, of the header `Link`.
    """

    status: int
    url: httpx.URL
    body: bytes
    encoding: str | None
    links: Mapping[str, str]
    etag: str | None
    last_modified: str | None


class _TemporaryError(Exception):
    """Another try may help, after as many seconds as the API asks for, if it does."""

    def __init__(self, reason: str, wait: float | None = None, *, is_throttled: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.is_throttled = is_throttled


class Client:
    """One source's API.

    Args:
        requests: how many were sent, those that were tried again included, redirects aside.
    """

    def __init__(self, api: Api, progress: Progress = silent) -> None:
        """Read the secret; nothing is sent yet.

        Raises:
            RefusedAnswerError: the secret's variable is not set.
        """
        self._api = api
        self._progress = progress
        self._secret = read_secret(api.auth)
        self._not_before = 0.0
        self.requests = 0
        self._client = httpx.Client(
            transport=AuthorizedTransport(api, self._secret),
            timeout=api.timeout_seconds,
            follow_redirects=True,
            headers={"Accept": "application/json", "User-Agent": "lakehouse"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, url: httpx.URL, validators: Mapping[str, str] | None = None) -> Answer:
        """Ask for one page.

        Args:
            url: without the secret.
            validators: headers by which the answer may be 304, if nothing has changed.

        Raises:
            RefusedAnswerError: it answered with another status, or not at all, as often as it was asked.
            LaterError: it asks to wait for longer than declared.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TemporaryError),
            stop=tenacity.stop_after_attempt(self._api.max_retries + 1),
            wait=self._wait,
            before_sleep=self._say,
            reraise=True,
        )
        try:
            return retrying(self._ask, url, validators or {})
        except _TemporaryError as error:
            reason = f"{error}, {_times(self._api.max_retries + 1)}"
            if error.is_throttled:
                raise LaterError(reason) from None
            raise RefusedAnswerError(reason) from None

    def without_secret(self, url: httpx.URL) -> httpx.URL:
        """An address that the API has given, fit to be kept."""
        return self._secret.off(url)

    def _ask(self, url: httpx.URL, validators: Mapping[str, str]) -> Answer:
        self._pace()
        self.requests += 1
        try:
            with self._client.stream("GET", url, headers=dict(validators)) as response:
                body = self._body(response)
                _check_whole(response, body)
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.TooManyRedirects) as error:
            raise RefusedAnswerError(f"{shown(url)}: {self._shown(error)}", is_of_address=True) from None
        except httpx.InvalidURL as error:
            raise RefusedAnswerError(f"{shown(url)} leads to no address: {self._shown(error)}") from None
        except httpx.HTTPError as error:
            # Their traces name the address that was sent.
            raise _TemporaryError(f"{shown(url)}: {self._shown(error)}") from None
        return self._answer(url, response, body, validators)

    def _body(self, response: httpx.Response) -> bytes:
        limit = self._api.max_page_mb * 2**20
        ends = self._now() + self._api.timeout_seconds * _TIMEOUTS_PER_PAGE
        body = bytearray()
        # As they come: parts of one size would be waited for.
        for part in response.iter_bytes():
            body += part
            if len(body) > limit:
                raise RefusedAnswerError(
                    f"{shown(response.request.url)}: the answer is larger than {self._api.max_page_mb} MiB "
                    "(api.max_page_mb); ask for smaller pages"
                )
            if self._now() > ends:
                raise httpx.ReadTimeout("the answer comes too slowly")
        return bytes(body)

    def _answer(
        self, url: httpx.URL, response: httpx.Response, body: bytes, validators: Mapping[str, str]
    ) -> Answer:
        status = response.status_code
        if status == HTTPStatus.OK or status in self._api.empty_status or (status == 304 and validators):
            return Answer(
                status,
                response.url,
                body,
                response.charset_encoding,
                {kind: link["url"] for kind, link in response.links.items() if kind and "url" in link},
                response.headers.get("etag"),
                response.headers.get("last-modified"),
            )
        said = f"{shown(url)} answered {_status(status)}{self._excerpt(response, body)}"
        if status >= 500 or status in _WORTH_ANOTHER_TRY:
            wait = _asked_wait(response.headers) if status in _MAY_ASK_TO_WAIT else None
            if wait is not None and wait > self._api.max_wait_seconds:
                raise LaterError(
                    f"{said}, and asks to wait for {wait:.0f} s, longer than "
                    f"api.max_wait_seconds ({self._api.max_wait_seconds:g})"
                )
            raise _TemporaryError(said, wait, is_throttled=status == 429)
        is_not_allowed = status in _NOT_ALLOWED
        if is_not_allowed and origin(response.url) != origin(parsed(self._api.address)):
            said += f"; it came from {shown(response.url)}, where the secret is not sent"
        is_of_address = 400 <= status < 500 and not is_not_allowed
        raise RefusedAnswerError(said, is_of_all=is_not_allowed, is_of_address=is_of_address)

    def _excerpt(self, response: httpx.Response, body: bytes) -> str:
        """The begin of what it said, if that is text that people may read."""
        kind = response.headers.get("content-type", "")
        if not body or not ("json" in kind or kind.startswith("text/plain")):
            return ""
        text = self._secret.hidden_in(body[: 2**16].decode(errors="replace"))
        return f": {' '.join(text.split())[:_SHOWN_OF_ANSWER]}"

    def _shown(self, error: Exception) -> str:
        return self._secret.hidden_in(str(error) or type(error).__name__)

    def _pace(self) -> None:
        """Wait until the next request may be sent, by the declared rate."""
        if self._api.requests_per_second is None:
            return
        wait = self._not_before - self._now()
        if wait > 0:
            time.sleep(wait)
        self._not_before = self._now() + 1 / self._api.requests_per_second

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, _TemporaryError) and error.wait is not None:
            return max(error.wait, _FIRST_BACKOFF_SECONDS / 2)
        backoff = tenacity.wait_random_exponential(_FIRST_BACKOFF_SECONDS, self._api.max_wait_seconds)
        return min(_FIRST_BACKOFF_SECONDS / 2 + backoff(state), self._api.max_wait_seconds)

    def _say(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self._progress(f"{error}; asking again in {state.upcoming_sleep:.1f} s")

    @staticmethod
    def _now() -> float:
        return time.monotonic()


def _check_whole(response: httpx.Response, body: bytes) -> None:
    """Of an answer whose length is not said, a connection that broke looks as one that was closed.

    Raises:
        httpx.RemoteProtocolError: it may have been cut off.
    """
    if "content-length" in response.headers or "transfer-encoding" in response.headers:
        return
    if response.status_code == HTTPStatus.OK:
        try:
            json.loads(body)
        except ValueError:
            raise httpx.RemoteProtocolError("the answer is cut off, or is not JSON") from None


def _asked_wait(headers: httpx.Headers) -> float | None:
    """For how many seconds `Retry-After` asks to wait; None where it does not, or not in words of HTTP.

    A date counts from the `Date` of the same answer, as the two clocks may differ.
    """
    said = headers.get("retry-after", "").strip()
    if said.isdecimal() and said.isascii():
        return float(said)
    try:
        until = _date(said)
        now = _date(headers["date"]) if "date" in headers else datetime.now(UTC)
    except ValueError:
        return None
    return max(0.0, (until - now).total_seconds())


def _date(text: str) -> datetime:
    parsed = parsedate_to_datetime(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _times(count: int) -> str:
    return "asked once" if count == 1 else f"asked {count} times"
