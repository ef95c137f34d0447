"""Pages that were fetched, kept until their delivery is whole: a fetch that was killed goes on after them.

One folder per delivery, `.pages/SOURCE/PERIOD` beside the deliveries; one file per page, whole or not there.
Its first line says what was asked and what comes next, and each other line is a record as the API gave it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from lakehouse.engine.state import sync_folder
from lakehouse.ingest.api.pages import Page
from lakehouse.ingest.api.places import manifest_of, validators_of

_CHUNK = 2**20


@dataclass(frozen=True)
class Head:
    """The first line of a kept page.

    Args:
        form: digest of what the declaration asks for; pages of another one are of no use.
        url: where the page was asked for, without secrets.
        next: where the next page is; None where this was the last.
        rows: how many records it has.
        sha256: of their lines.
        total: how many records there are on all pages, where the API says it.
        validators: what the API said by which to ask whether it has changed.
    """

    form: str
    url: str
    next: str | None
    rows: int
    sha256: str
    total: int | None
    validators: dict[str, str]


@dataclass
class Progressed:
    """How far a delivery has been fetched.

    Args:
        pages, rows: that are kept.
        next: where to go on; None where all pages are there.
        asked: digests of the addresses that were asked, to notice a circle.
        last: the last page.
    """

    pages: int
    rows: int
    next: str | None
    asked: set[bytes]
    last: Head | None


class KeptPages:
    """The pages of one delivery."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def progressed(self, form: str, first: httpx.URL) -> Progressed:
        """How far a fetch came before; pages of another declaration, and what follows a damaged one, go.

        Args:
            form: see `Head`.
            first: the first page's address.
        """
        found = Progressed(0, 0, str(first), set(), None)
        while found.next is not None:
            head = self._head(found.pages)
            if head is None or (head.form, head.url) != (form, found.next):
                break
            self.count(found, head)
        self._drop_from(found.pages)
        return found

    @staticmethod
    def count(found: Progressed, head: Head) -> None:
        """Take up one more page."""
        found.pages += 1
        found.rows += head.rows
        found.next = head.next
        found.asked.add(digest_of(head.url))
        found.last = head

    def add(self, number: int, head: Head, lines: bytes) -> None:
        """Keep a page. It is not brought to disk: what a power cut takes is asked for again.

        Raises:
            OSError: it cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        chunks = [json.dumps(asdict(head)).encode(), b"\n", lines]
        _write_whole(self._path(number), chunks, is_durable=False)

    def lines(self, count: int) -> Iterator[bytes]:
        """The records of the first pages, some bytes at a time."""
        for number in range(count):
            with self._path(number).open("rb") as file:
                file.readline()
                while chunk := file.read(_CHUNK):
                    yield chunk

    def drop(self) -> None:
        """Remove them all."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:05}.jsonl"

    def _head(self, number: int) -> Head | None:
        path = self._path(number)
        try:
            with path.open("rb") as file:
                head = Head(**json.loads(file.readline()))
                return head if hashlib.file_digest(file, "sha256").hexdigest() == head.sha256 else None
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _drop_from(self, number: int) -> None:
        if number == 0:
            self.drop()
            return
        kept = {self._path(each).name for each in range(number)}
        for path in self._folder.iterdir():
            if path.name not in kept:
                path.unlink()


def head_of(form: str, asked: str, page: Page, lines: bytes, validators: dict[str, str]) -> Head:
    """The first line of a page, whose records are these lines."""
    return Head(
        form=form,
        url=asked,
        next=None if page.next is None else str(page.next),
        rows=len(page.records),
        sha256=hashlib.sha256(lines).hexdigest(),
        total=page.total,
        validators=validators,
    )


def digest_of(url: str) -> bytes:
    """A short digest of an address."""
    return hashlib.blake2b(url.encode(), digest_size=16).digest()


def write_delivery(path: Path, chunks: Iterable[bytes], rows: int, validators: dict[str, Any] | None) -> None:
    """Write a delivery and its manifest, which comes last: what is killed in between is not taken for whole.

    Args:
        validators: by which the next one is asked for, if they are of use.

    Raises:
        OSError: it cannot be written.
    """
    manifest = manifest_of(path)
    manifest.unlink(missing_ok=True)
    digest = hashlib.sha256()

    def digested() -> Iterator[bytes]:
        for chunk in chunks:
            digest.update(chunk)
            yield chunk

    _write_whole(path, digested())
    beside = validators_of(path)
    if validators is None:
        beside.unlink(missing_ok=True)
    else:
        _write_whole(beside, [json.dumps(validators).encode()])
    _write_whole(manifest, [json.dumps({"rows": rows, "sha256": digest.hexdigest()}).encode()])


def _write_whole(path: Path, chunks: Iterable[bytes], *, is_durable: bool = True) -> None:
    """Write a file that is there whole or not at all; if it is durable, also after a power cut."""
    scratch = path.with_name(f".{path.name}.part")
    with scratch.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
        if is_durable:
            file.flush()
            os.fsync(file.fileno())
    scratch.replace(path)
    if is_durable:
        sync_folder(path.parent)
