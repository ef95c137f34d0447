"""What Spark's tasks are asked of delivered files, and what they answer: no rows, only counts and names."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import Field

from lakehouse.ingest.declared import Declared
from lakehouse.ingest.source import Source


class Offer(Declared):
    """A file that is to be read: a delivery, or a part of one.

    Args:
        path: where it lies: a URI, or a path that the workers have.
        file: the same below the landing zone.
        delivered_until: UTC; None where its delivery completes no period.
        is_known: its delivery landed before, so only its digest is asked for.
    """

    source: str
    batch_id: str
    path: str
    file: str
    delivered_until: datetime | None = None
    is_known: bool = False


class Work(Declared):
    """What one job is asked.

    Args:
        staging: the folder into which rows are written, as Parquet.
        at: the instant of this ingestion, UTC.
        taken_up: by source, type of each undeclared column that bronze already took up.
        tasks: the files of each task.
    """

    sources: dict[str, Source]
    staging: str
    at: datetime
    taken_up: dict[str, dict[str, str]]
    tasks: list[list[Offer]]

    def as_json(self) -> str:
        """As `model_validate_json` reads it: a declaration with just what it says."""
        return self.model_dump_json(by_alias=True, exclude_unset=True)


class Found(Declared):
    """What was found in a file.

    Args:
        digest: SHA-256 of its bytes; empty where they were not read to the end.
        rows: how many of its rows are as declared.
        unreadable: how many are not.
        new_columns: type of each column that is not declared.
        staged: the Parquet files in which its rows are, among those of other files.
        set_aside: the same of its unreadable rows, as text with the reason.
        refused: why it is not what its source declares.
        waiting: why it is not whole yet.
    """

    offer: Offer
    digest: str = ""
    rows: int = 0
    unreadable: int = 0
    new_columns: Mapping[str, str] = Field(default_factory=dict[str, str])
    staged: frozenset[str] = frozenset()
    set_aside: frozenset[str] = frozenset()
    refused: str | None = None
    waiting: str | None = None
