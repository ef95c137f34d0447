"""What an ingestion does before it looks at the landing zone: it has APIs bring what lacks there."""

import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from lakehouse.ingest.ledger import Ledger
from lakehouse.ingest.report import IngestReport
from lakehouse.ingest.source import Source
from lakehouse.progress import Progress

# Unused for an hour, a session is forgotten by its server, and a fetch may take longer.
_HEARD_EVERY_SECONDS = 600


def fetch_before_landing(
    spark: SparkSession,
    sources: Sequence[Source],
    landing: Path,
    ledger: Ledger,
    days: tuple[date, date] | None,
    report: IngestReport,
    progress: Progress,
) -> None:
    """Fetch what lacks, of those sources that have an API; see `fetch_lacking`."""
    if not any(source.api for source in sources):
        return
    # Half a second that only a source with an API takes.
    from lakehouse.ingest.api.fetch import fetch_lacking

    fetch_lacking(
        sources, landing, ledger, report, days=days, keep_alive=_keep_alive(spark), progress=progress
    )


def _keep_alive(spark: SparkSession) -> Callable[[], None]:
    """A function that is called often, and makes itself heard by the server now and then."""
    heard = time.monotonic()

    def be_heard() -> None:
        nonlocal heard
        if time.monotonic() - heard > _HEARD_EVERY_SECONDS:
            spark.conf.get("spark.sql.session.timeZone")
            heard = time.monotonic()

    return be_heard
