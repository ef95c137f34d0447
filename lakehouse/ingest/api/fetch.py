"""Fetches what APIs have and the landing zone lacks, as ordinary deliveries: a file and its manifest.

What lands them, the ledger, the quarantine and the frontier know nothing of APIs.
"""

import fcntl
import shutil
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from lakehouse.ingest.api.client import Client
from lakehouse.ingest.api.declared import Api
from lakehouse.ingest.api.delivery import DeliveryFetch
from lakehouse.ingest.api.lacking import lacking
from lakehouse.ingest.api.places import delivery_path, is_whole, pages_folder
from lakehouse.ingest.api.problems import LaterError, RefusedAnswerError
from lakehouse.ingest.ledger import Ledger
from lakehouse.ingest.periods import Period, parse_period
from lakehouse.ingest.report import IngestReport, Refusal, Waiting
from lakehouse.ingest.source import Source
from lakehouse.progress import Progress, silent

# One period may be broken; when several are, the API is, and is not asked for a year of them.
_FAILURES_PER_CALL = 3
_IN_PART = (
    "some hours of this day were delivered, others not, and api.period is day: fetch those with period: hour"
)


def _nothing() -> None:
    pass


def fetch_lacking(
    sources: Iterable[Source],
    landing: Path,
    ledger: Ledger,
    report: IngestReport,
    *,
    days: tuple[date, date] | None = None,
    now: datetime | None = None,
    keep_alive: Callable[[], None] = _nothing,
    progress: Progress = silent,
) -> None:
    """Fetch the deliveries that lack, of the sources that are declared with an API.

    An API that is out of order does not stop the others: what could not be fetched goes to the report, as
    refused, or as waiting where the API asked for patience; the next call asks for it again.

    Args:
        ledger: what landed, or never comes.
        report: gets what was fetched, and what was not and why.
        days: only of these local days, both included.
        now: UTC; the wall clock by default.
        keep_alive: called between pages.
        progress: is told in a line what is being done.
    """
    at = now or datetime.now(UTC)
    for source in sources:
        if source.api is not None:
            fetch = _SourceFetch(source, source.api, landing, report, keep_alive, progress)
            try:
                fetch.run(ledger, at, days)
            except OSError as error:
                report.refused.append(Refusal(str(source.path), f"cannot be fetched: {error}"))


@dataclass(frozen=True)
class _SourceFetch:
    """The fetch of one source's deliveries."""

    source: Source
    api: Api
    landing: Path
    report: IngestReport
    keep_alive: Callable[[], None]
    progress: Progress

    def run(self, ledger: Ledger, now: datetime, days: tuple[date, date] | None) -> None:
        """Fetch what lacks, unless another process does."""
        pages = pages_folder(self.source, self.landing)
        pages.mkdir(parents=True, exist_ok=True)
        with _alone(pages) as is_alone:
            if not is_alone:
                name = str(pages.relative_to(self.landing))
                self.report.waiting.append(Waiting(name, "another process is fetching it"))
                return
            found = lacking(self.source, self.api, self.landing, ledger, now, days)
            self._tidy(pages, ledger, found.periods)
            self.report.refused.extend(Refusal(self._file(period), _IN_PART) for period in found.in_part)
            if found.periods:
                self._fetch(found.periods)

    def _fetch(self, periods: list[Period]) -> None:
        """Fetch deliveries one after the other, until there is a reason why the others would fail, too."""
        try:
            client = Client(self.api, self._say)
        except RefusedAnswerError as error:
            self._refuse(periods[0], error, len(periods) - 1)
            return
        failures = 0
        with client:
            for left, period in zip(reversed(range(len(periods))), periods, strict=True):
                try:
                    self._fetch_one(client, period, left)
                except LaterError as error:
                    reason = f"{error}; what was fetched is kept"
                    self.report.waiting.append(Waiting(self._file(period), reason))
                    return
                except RefusedAnswerError as error:
                    failures += 1
                    is_enough = error.is_of_all or failures == _FAILURES_PER_CALL
                    self._refuse(period, error, left if is_enough else 0)
                    if is_enough:
                        return
                except OSError as error:
                    self._refuse(period, error, left)
                    return

    def _fetch_one(self, client: Client, period: Period, left: int) -> None:
        fetch = DeliveryFetch(self.source, self.api, client, self.landing, period, self.keep_alive, self._say)
        fetched = fetch.run()
        self.report.fetched.append(fetched)
        said = "nothing new" if fetched.is_unchanged else f"{fetched.rows} rows on {fetched.pages} pages"
        self._say(f"fetched {period}: {said}" + (f", {left} to go" if left else ""))

    def _refuse(self, period: Period, error: Exception, left: int) -> None:
        more = f"; {left} later ones were not asked for" if left else ""
        self.report.refused.append(Refusal(self._file(period), f"cannot be fetched: {error}{more}"))

    def _file(self, period: Period) -> str:
        return str(delivery_path(self.source, self.landing, period).relative_to(self.landing))

    def _say(self, text: str) -> None:
        self.progress(f"{self.source.name}: {text}")

    def _tidy(self, pages: Path, ledger: Ledger, periods: list[Period]) -> None:
        """Remove pages that are of no use: of a delivery that is whole or never comes, or an old snapshot."""
        for folder in pages.iterdir():
            try:
                period = parse_period(folder.name)
            except ValueError:
                continue
            if (
                is_whole(delivery_path(self.source, self.landing, period))
                or ledger.overlapping(self.source.name, period, "missing")
                or (self.source.arrives == "snapshot" and period not in periods)
            ):
                shutil.rmtree(folder)


@contextmanager
def _alone(folder: Path) -> Generator[bool]:
    """Whether this is the one process that fetches into a folder; the lock ends with its holder."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
