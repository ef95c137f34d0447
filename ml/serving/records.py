"""The journal, read again: its segments, and the rows that were scored, each once."""

import fcntl
import os
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import count, islice
from pathlib import Path
from typing import Any

import orjson

from lakehouse.errors import LakehouseError
from ml.serving.journal import SUFFIX, UNMADE, used_bytes

# Two numbers of eight hexadecimal digits stand before the JSON, each with a blank behind it.
_HEAD = 18


@dataclass(frozen=True)
class Scored:
    """A row that was scored online.

    Args:
        score_id: names this row of this request; the prediction's id is the same for the same score.
        role: champion, canary or shadow.
        key: of the entity; None of a row that came with its values, which `given` has.
        table: name, id and version of the features, and the release.
        milliseconds: from the request's arrival until its record was handed to the journal.
    """

    score_id: str
    asked_at: datetime
    spec: str
    model_name: str
    model_version: str
    role: str
    key: dict[str, Any] | None
    event_time: datetime | None
    day: date | None
    score: float
    missing_features: int
    unseen_categories: str | None
    table: tuple[str, str, int, str] | None
    given: dict[str, Any] | None
    broken_rules: str | None
    prediction_id: str
    milliseconds: float


@dataclass(frozen=True)
class Segments:
    """The files of a journal.

    Args:
        closed: those that no service writes any more; they are locked, so that they stay as they are.
        written: those that one still writes, and has begun to.
    """

    closed: tuple[Path, ...]
    written: tuple[Path, ...]

    def records(self) -> Iterator[dict[str, Any]]:
        """The records of all of them; see `records`."""
        for path in self.closed:
            yield from records(path)
        for path in self.written:
            yield from records(path, is_written=True)


@contextmanager
def segments(folder: Path) -> Generator[Segments]:
    """The segments that are there now; the closed ones may be removed within the block."""
    closed: list[Path] = []
    written: list[Path] = []
    with ExitStack() as stack:
        # Those too that a service was making when it was killed.
        for path in sorted([*folder.glob(f"*{SUFFIX}"), *folder.glob(f"*{UNMADE}")]):
            try:
                descriptor = os.open(path, os.O_RDWR)
            except FileNotFoundError:
                # Made meanwhile: it has another name, and no record yet.
                continue
            stack.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if used_bytes(descriptor):
                    written.append(path)
            else:
                closed.append(path)
        yield Segments(tuple(closed), tuple(written))


def rows(found: Segments) -> Iterator[Scored]:
    """All rows of some segments, in order.

    Raises:
        LakehouseError: a segment is damaged before its end.
    """
    for record in found.records():
        yield from _rows(record)


def records(path: Path, *, is_written: bool = False) -> Iterator[dict[str, Any]]:
    """The records of a segment; what is not whole of the last write was never answered, and is left out.

    Args:
        is_written: whether a service may append meanwhile; what it does is for the next call.

    Raises:
        LakehouseError: a line before the last write is not as it was written.
    """
    with path.open("rb") as lines:
        descriptor = lines.fileno()
        left = used_bytes(descriptor) if is_written else os.fstat(descriptor).st_size
        at, torn = 0, None
        for number in count(1):
            line = lines.readline(left)
            left -= len(line)
            if not line:
                return
            if torn is None and _is_whole(line):
                yield orjson.loads(line[_HEAD:])
            elif torn is None:
                torn = number, at
            elif _is_whole(line) and int(line[9:17], 16) > torn[1]:
                raise LakehouseError(
                    f"line {torn[0]} of {path} is not as it was written",
                    "the disk has damaged it; restore the file, or remove that line, whose scores are lost",
                )
            at += len(line)


def _is_whole(line: bytes) -> bool:
    return line.endswith(b"\n") and line[:8] == b"%08x" % zlib.crc32(line[9:-1])


def blocks(found: Iterable[Scored], size: int) -> Iterator[tuple[Scored, ...]]:
    """Rows in blocks that fit into memory."""
    left = iter(found)
    while block := tuple(islice(left, size)):
        yield block


def _rows(record: dict[str, Any]) -> Iterator[Scored]:
    asked_at = datetime.fromisoformat(record["at"]).astimezone(UTC)
    for place, row in enumerate(record["rows"]):
        at, day, table = row.get("event_time"), row.get("day"), row.get("table")
        kind = "s" if row["role"] == "shadow" else ""
        yield Scored(
            score_id=f"{record['request']}-{kind}{place}",
            asked_at=asked_at,
            spec=record["spec"],
            model_name=record["model"],
            model_version=row["version"],
            role=row["role"],
            key=row.get("key"),
            event_time=datetime.fromisoformat(at) if at else None,
            day=date.fromisoformat(day) if day else None,
            score=row["score"],
            missing_features=row["missing"],
            unseen_categories=", ".join(row["unseen"]) or None,
            table=tuple(table) if table else None,
            given=row.get("given"),
            broken_rules=", ".join(row["rules"]) or None,
            prediction_id=row["id"],
            milliseconds=record["ms"],
        )
