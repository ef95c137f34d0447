"""One Spark job that reads delivered files: its tasks do, and the client hears what was found in each."""

import shutil
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pyspark.sql import SparkSession

from lakehouse.engine import there
from lakehouse.engine.server import is_foreign
from lakehouse.engine.worker_code import in_workers
from lakehouse.ingest.offer import Found, Offer, Work
from lakehouse.ingest.send import Sent, send_unseen
from lakehouse.ingest.source import Source
from lakehouse.owned_folders import abandoned, folder_name
from lakehouse.settings import settings

# A task reads files of so many bytes, and so many files, at least; a larger file is one of its own.
_TASK_BYTES, _TASK_FILES = 32 * 2**20, 200
_STAGED = "ingest"


@contextmanager
def staging_folder(spark: SparkSession) -> Generator[str]:
    """A folder that Spark's tasks and the engine share; gone afterwards.

    What a killed process of this machine left there goes, too.
    """
    if not is_foreign():
        root = settings().engine_dir / "scratch"
        for dead in dead_folders(root):
            # A task of a killed process may still write there: that goes the next time.
            shutil.rmtree(dead, ignore_errors=True)
        folder = root / folder_name(_STAGED)
        folder.mkdir(parents=True, mode=0o700)
        try:
            yield str(folder)
        finally:
            shutil.rmtree(folder)
        return
    there_root = f"{str(spark.conf.get('spark.sql.warehouse.dir')).rstrip('/')}/_staging"
    for name in abandoned(_STAGED, there.folders(spark, there_root)):
        there.remove_folder(spark, f"{there_root}/{name}")
    place = f"{there_root}/{folder_name(_STAGED)}"
    there.make_folder(spark, place)
    try:
        yield place
    finally:
        there.remove_folder(spark, place)


def dead_folders(root: Path) -> list[Path]:
    """Staging folders of this machine's processes that are no more."""
    return [root / name for name in abandoned(_STAGED, (path.name for path in root.glob(f"{_STAGED}-*")))]


def scan(
    spark: SparkSession,
    sources: Iterable[Source],
    offers: Sequence[tuple[Offer, int]],
    taken_up: Mapping[str, Mapping[str, str]],
    at: datetime,
    staging: str,
) -> dict[str, Found]:
    """Read files strictly, and stage their rows.

    Args:
        offers: each file, with its size in bytes; those of a source one after the other.
        taken_up: by source, type of each undeclared column that bronze already took up.
        at: the instant of this ingestion, UTC.
        staging: see `staging_folder`.

    Returns:
        what was found, by the file's path.
    """
    if not offers:
        return {}
    # Our engine sees what this machine sees.
    sent = send_unseen(spark, [offer for offer, _ in offers]) if is_foreign() else Sent({}, {})
    work = Work(
        sources={source.name: source for source in sources},
        staging=staging,
        at=at,
        taken_up={name: dict(types) for name, types in taken_up.items()},
        tasks=list(tasks_of((sent.as_sent(offer), size) for offer, size in offers)),
    )
    numbers = spark.range(0, len(work.tasks), 1, len(work.tasks))
    found = numbers.mapInArrow(in_workers("lakehouse.ingest.stage", "stage", work.as_json()), "found string")
    answers = (Found.model_validate_json(text) for text in found.toArrow().column("found").to_pylist())
    return {each.offer.path: each for each in (sent.as_offered(each) for each in answers)}


def tasks_of(offers: Iterable[tuple[Offer, int]]) -> Generator[list[Offer]]:
    """Files that one task reads, one after the other: small ones together."""
    task: list[Offer] = []
    gathered = 0
    for offer, size in offers:
        if task and (gathered + size > _TASK_BYTES or len(task) >= _TASK_FILES):
            yield task
            task, gathered = [], 0
        task.append(offer)
        gathered += size
    if task:
        yield task
