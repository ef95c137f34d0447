"""Fetches one delivery: its pages one after the other, each kept, then the file and its manifest."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx

from lakehouse.ingest.api.address import parsed
from lakehouse.ingest.api.client import Answer, Client
from lakehouse.ingest.api.declared import Api, Offset, PageNumber
from lakehouse.ingest.api.kept import (
    KeptPages,
    Progressed,
    digest_of,
    head_of,
    write_delivery,
)
from lakehouse.ingest.api.pages import first_url, read_page
from lakehouse.ingest.api.places import delivery_path, is_whole, pages_folder, validators_of
from lakehouse.ingest.api.problems import RefusedAnswerError
from lakehouse.ingest.api.template import fill
from lakehouse.ingest.periods import Period
from lakehouse.ingest.report import Fetched
from lakehouse.ingest.source import Source
from lakehouse.progress import Progress

_SECONDS_BETWEEN_LINES = 10
# What of a declaration says which records are asked for, and where an answer has them.
_FORM = frozenset({"url", "params", "records", "total", "pagination", "empty_status"})


class DeliveryFetch:
    """The fetch of one delivery."""

    def __init__(
        self,
        source: Source,
        api: Api,
        client: Client,
        landing: Path,
        period: Period,
        keep_alive: Callable[[], None],
        progress: Progress,
    ) -> None:
        """Nothing is asked yet.

        Args:
            api: the source's.
            keep_alive: called between pages.
        """
        self._source, self._api, self._client = source, api, client
        self._landing, self._period = landing, period
        self._keep_alive, self._progress = keep_alive, progress
        self._path = delivery_path(source, landing, period)
        self._kept = KeptPages(pages_folder(source, landing) / str(period))
        self._form = form_of(api)
        self._first = first_url(api, url_of(api, period, source.time_zone))

    def run(self) -> Fetched:
        """Fetch it.

        Raises:
            RefusedAnswerError: an answer is not what is declared; nothing is written.
            LaterError: the API asks for patience; the pages are kept.
            OSError: a file cannot be written.
        """
        requests = self._client.requests
        done = self._kept.progressed(self._form, self._first)
        resumed = done.pages
        try:
            is_new = self._fetch_pages(done)
        except RefusedAnswerError as error:
            if not (error.is_of_address and resumed == done.pages > 0):
                raise
            # A cursor may live for an hour only: without this, what was killed could never be continued.
            self._progress(f"{error}; asking for {self._period} from its first page again")
            self._kept.drop()
            done, resumed = self._kept.progressed(self._form, self._first), 0
            is_new = self._fetch_pages(done)
        if is_new:
            self._check(done)
            validators = self._validators_to_keep(done)
            write_delivery(self._path, self._kept.lines(done.pages), done.rows, validators)
            self._kept.drop()
        return Fetched(
            source=self._source.name,
            file=str(self._path.relative_to(self._landing)),
            rows=done.rows,
            pages=done.pages,
            resumed_pages=resumed,
            requests=self._client.requests - requests,
            is_unchanged=not is_new,
        )

    def _fetch_pages(self, done: Progressed) -> bool:
        """Fetch the pages that lack; False where the API has nothing else than it had before."""
        reported = time.monotonic()
        while done.next is not None:
            if digest_of(done.next) in done.asked:
                self._kept.drop()
                raise self._refusal(done, "has an address that was asked before: the pages run in a circle")
            if done.pages >= self._api.max_pages:
                raise self._refusal(done, f"is more than api.max_pages ({self._api.max_pages})")
            url = httpx.URL(done.next)
            answer = self._client.get(url, self._validators() if done.pages == 0 else None)
            if answer.status == 304:
                return False
            self._take(done, url, answer)
            self._keep_alive()
            if time.monotonic() - reported > _SECONDS_BETWEEN_LINES:
                reported = time.monotonic()
                self._progress(f"{self._period}: {done.rows} rows on {done.pages} pages so far")
        return True

    def _take(self, done: Progressed, url: httpx.URL, answer: Answer) -> None:
        """Keep a page."""
        try:
            page = read_page(self._api, url, answer, done.rows)
        except RefusedAnswerError as error:
            raise self._refusal(done, str(error)) from None
        if page.next is not None:
            page = replace(page, next=self._client.without_secret(page.next))
        lines = b"".join(record + b"\n" for record in page.records)
        said = {"If-None-Match": answer.etag, "If-Modified-Since": answer.last_modified}
        head = head_of(
            self._form, done.next or "", page, lines, {name: value for name, value in said.items() if value}
        )
        pages = self._api.pagination
        if isinstance(pages, PageNumber | Offset) and lines and done.last and done.last.sha256 == head.sha256:
            raise self._refusal(done, f"is the one before it: the API does not heed {pages.parameter}")
        self._kept.add(done.pages, head, lines)
        self._kept.count(done, head)

    def _check(self, done: Progressed) -> None:
        """Compare what came with what the API and the declaration say; it is asked for again another time."""
        total = done.last.total if done.last else None
        delivery = self._source.delivery(self._path)
        least = self._source.least_rows(delivery) if delivery else 0
        if total is not None and total != done.rows:
            reason = f"the API says that there are {total} records (api.total), and gave {done.rows}"
        elif done.rows < least and not (done.rows == 0 and self._source.may_be_empty):
            gave = f"{done.rows or 'no'} {'record' if done.rows == 1 else 'records'}"
            reason = f"the API gave {gave}, but {self._source.name} declares at least {least} (min_rows)"
        else:
            return
        self._kept.drop()
        raise RefusedAnswerError(reason)

    def _validators(self) -> dict[str, str]:
        """Those of the newest snapshot, if the same was asked for; a period is asked for once."""
        if self._source.arrives != "snapshot":
            return {}
        for delivery in reversed(self._source.deliveries(self._landing)):
            if delivery.note is None and is_whole(delivery.path):
                try:
                    said = json.loads(validators_of(delivery.path).read_bytes())
                except (FileNotFoundError, ValueError):
                    return {}
                return said["validators"] if said["form"] == self._form else {}
        return {}

    def _validators_to_keep(self, done: Progressed) -> dict[str, object] | None:
        """Those of a snapshot on one page: of several, the first may be the same and another not."""
        last = done.last
        if self._source.arrives != "snapshot" or done.pages != 1 or last is None or not last.validators:
            return None
        return {"form": self._form, "validators": last.validators}

    def _refusal(self, done: Progressed, reason: str) -> RefusedAnswerError:
        return RefusedAnswerError(f"page {done.pages + 1}: {reason}")


def form_of(api: Api) -> str:
    """A digest of what a declaration asks for: pages and validators of another one are of no use."""
    asked = api.model_dump(mode="json", include=set(_FORM))
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def url_of(api: Api, period: Period, zone: str) -> httpx.URL:
    """Where a period is asked for, without the secret.

    Raises:
        RefusedAnswerError: that is no address.
    """
    params = {name: fill(template, period, zone) for name, template in api.params.items()}
    url = parsed(fill(api.url, period, zone))
    return url.copy_merge_params(params) if params else url
