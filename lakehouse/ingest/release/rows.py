"""In one of Spark's tasks: of a batch's unreadable rows, writes those that can be read now as a file.

A row is taken if it is one row by itself, all of whose values are as the source declares them today. It is
written as it was delivered, behind the header that its file had.
"""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

import codecs
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.fs

from lakehouse.ingest.declared import Declared
from lakehouse.ingest.read import csv, json
from lakehouse.ingest.read.columns import check_names
from lakehouse.ingest.read.content import Content
from lakehouse.ingest.read.encoding import Transcoder, without_bom
from lakehouse.ingest.read.problems import ProblemError
from lakehouse.ingest.read.records import line_end
from lakehouse.ingest.source import Source
from lakehouse.ingest.stage import at

_READ_BYTES = 2**20
# Of such a row the quarantine has no bytes, only what people can read of them.
_UNDECODABLE = re.compile(r"is not (UTF-8|[a-z0-9_-]+)")


class Asked(Declared):
    """Which file is to be written.

    Args:
        path: of the file.
        original: the delivery that the rows came from, whose header the file gets; None where it needs none.
        digest: SHA-256 of that delivery.
        taken_up: type of each undeclared column that bronze already took up.
    """

    source: Source
    path: str
    original: str | None
    digest: str
    taken_up: dict[str, str]

    def as_json(self) -> str:
        """As `model_validate_json` reads it: a declaration with just what it says."""
        return self.model_dump_json(by_alias=True, exclude_unset=True)


class Written(Declared):
    """What was written.

    Args:
        rows: how many.
        left: how many rows still cannot be read.
        digest: SHA-256 of the file.
        problem: why there is no such file.
    """

    rows: int = 0
    left: int = 0
    digest: str = ""
    problem: str | None = None


def write_rows(batches: Iterable[pa.RecordBatch], asked: str) -> Iterator[pa.RecordBatch]:
    """For `mapInArrow`, by one task: the rows come in the order of the file that they were delivered in.

    Args:
        batches: `raw`, `reason`.
        asked: an `Asked`, as JSON.
    """
    wanted = Asked.model_validate_json(asked)
    try:
        written = _write(wanted, batches)
    except ProblemError as problem:
        written = Written(problem=str(problem))
    yield pa.record_batch({"written": pa.array([written.model_dump_json()], pa.string())})


def _write(asked: Asked, batches: Iterable[pa.RecordBatch]) -> Written:
    source = asked.source
    names, prefix = _header(asked)
    names_found: set[str] = set()
    rows = left = 0
    filesystem, path = at(asked.path)
    with filesystem.open_output_stream(path) as stream:
        sink = _Sink(cast(BinaryIO, stream), _encoding(source))
        sink.write(prefix)
        for batch in batches:
            raws = batch.column("raw").to_pylist()
            reasons = batch.column("reason").to_pylist()
            is_lost = [_UNDECODABLE.fullmatch(reason) is not None for reason in reasons]
            offered = [None if lost else raw for raw, lost in zip(raws, is_lost, strict=True)]
            for raw, content in zip(offered, readable(asked, names, offered), strict=True):
                if raw is None or content is None or not sink.takes(raw):
                    left += 1
                    continue
                names_found |= content
                sink.write(raw + line_end(source.csv).decode() if source.format == "csv" else f"{raw}\n")
                rows += 1
    if rows and source.format == "jsonl":
        # A file must have each declared field in some row.
        check_names(source, sorted(names_found))
    return Written(rows=rows, left=left, digest=sink.digest)


def readable(asked: Asked, names: list[str], raws: Sequence[str | None]) -> list[frozenset[str] | None]:
    """Of each row that can be read by itself the fields that it has; None of each other.

    Args:
        names: of the header.
        raws: rows as text; None of those that are not to be tried.
    """
    found: list[frozenset[str] | None] = [None] * len(raws)
    alone = {index: raw for index, raw in enumerate(raws) if raw is not None}
    if asked.source.format == "csv":
        # Lines that are rows, whatever stands beside them, are read together.
        plain = [index for index, raw in alone.items() if _is_plain(asked.source, raw)]
        together = _read(asked, names, [alone[index] for index in plain])
        if together is not None and together.delivered == len(plain):
            bad = {row.line for row in together.unreadable}
            for line, index in enumerate(plain, 1):
                found[index] = None if line in bad else together.names
                del alone[index]
    for index, raw in alone.items():
        if asked.source.format == "csv" and _has_stray_quote(asked.source, raw):
            continue
        content = _read(asked, names, [raw])
        if content is not None and content.rows.num_rows == 1 and not content.unreadable:
            found[index] = content.names
    return found


def _is_plain(source: Source, raw: str) -> bool:
    signs = ["\n", "\r", source.csv.quote, source.csv.escape]
    return bool(raw.strip()) and not any(sign in raw for sign in signs if sign)


def _has_stray_quote(source: Source, raw: str) -> bool:
    """Whether a quote stands within a value: the row may be the end of a value over several lines."""
    dialect = source.csv
    if dialect.quote is None or dialect.escape is not None:
        return False
    quote, delimiter = re.escape(dialect.quote), re.escape(dialect.delimiter)
    quoted = rf"(?:^|(?<={delimiter})){quote}(?:[^{quote}]|{quote}{quote})*{quote}(?={delimiter}|$)"
    return dialect.quote in re.sub(quoted, "", raw)


def _read(asked: Asked, names: list[str], raws: Sequence[str]) -> Content | None:
    """Rows as a block of a file; None where they are none."""
    source = asked.source
    if not raws:
        return None
    try:
        if source.format == "csv":
            end = line_end(source.csv)
            block = b"".join(raw.encode() + end for raw in raws)
            return csv.read_block(source, names, block, 1, asked.taken_up)
        return json.read_block(source, "".join(f"{raw}\n" for raw in raws).encode(), 1, asked.taken_up)
    except (ProblemError, UnicodeEncodeError):
        return None


def _header(asked: Asked) -> tuple[list[str], str]:
    """The names of the columns in the order of the rows' values, and what stands before the rows.

    Raises:
        ProblemError: the delivery has not the columns that its source declares today, or is another one.
    """
    source = asked.source
    if asked.original is None:
        skipped = line_end(source.csv).decode() * source.csv.skip_lines if source.format == "csv" else ""
        return list(source.delivered_names), skipped
    filesystem, path = at(asked.original)
    first = _first_bytes(filesystem, path, asked.digest)
    text = Transcoder(source.csv.encoding).decode(first, final=len(first) <= csv.LONGEST_HEADER)
    found = csv.header(source, text)
    return found.names, text[without_bom(text) : found.size].decode(errors="replace")


def _first_bytes(filesystem: pyarrow.fs.FileSystem, path: str, digest: str) -> bytes:
    hashed = hashlib.sha256()
    first = b""
    try:
        with filesystem.open_input_stream(path, compression=None) as stream:
            while block := stream.read(_READ_BYTES):
                hashed.update(block)
                first = first if len(first) > csv.LONGEST_HEADER else first + block
    except OSError as error:
        raise ProblemError(f"the file that has their header cannot be read: {error}") from error
    if hashed.hexdigest() != digest:
        raise ProblemError("the file that has their header has other content now")
    return first


def _encoding(source: Source) -> str:
    return source.csv.encoding if source.format == "csv" else source.json_lines.encoding


class _Sink:
    """A file of text in an encoding, and its SHA-256."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream, self._name = stream, encoding
        self._encoder = codecs.getincrementalencoder(encoding)()
        self._hash = hashlib.sha256()

    def takes(self, text: str) -> bool:
        """Whether the encoding has all characters of a text."""
        try:
            text.encode(self._name)
        except UnicodeEncodeError:
            return False
        return True

    def write(self, text: str) -> None:
        content = self._encoder.encode(text)
        self._hash.update(content)
        self._stream.write(content)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()
