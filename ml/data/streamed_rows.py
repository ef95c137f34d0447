"""Training rows that are read anew each time they are needed, and encoded into a spill."""

import shutil
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakehouse.errors import LakehouseError
from lakehouse.progress import Progress
from lakehouse.settings import settings
from ml.data.read import scan_arrow
from ml.data.spill import (
    BUCKETS,
    Blocks,
    BlockWriter,
    SpilledRows,
    buckets,
    entity_hashes,
    row_kind,
    to_rows,
)
from ml.data.training_set import TrainingSet, split_at
from ml.encoding.arrow import ArrowTable
from ml.encoding.encode import Encoding, encode, numbers
from ml.encoding.tensors import EncodedRows, labels_of


@dataclass(frozen=True)
class Counted:
    """How many rows there are; see `Parts`.

    Args:
        train, validation: rows in each bucket of the entity's hash.
    """

    train: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]
    validation_start: date
    validation_end: date

    @property
    def train_rows(self) -> int:
        return int(self.train.sum())

    @property
    def validation_rows(self) -> int:
        return int(self.validation.sum())

    def without_validation(self) -> "Counted":
        """All rows of both parts, to be trained on."""
        end = self.validation_end
        return Counted(self.train + self.validation, np.zeros_like(self.validation), end, end)


# How a streaming training divides its memory: the share of the budget that each holds, and when.
_SAMPLE = 1 / 4  # while the encoding is learned
_BUFFER = 1 / 8  # twice, while the spill is written
_BLOCK = 1 / 32  # `BLOCKS_AT_ONCE` of them, while it is trained
# So many rows are read from files at once, whatever the budget.
_PIECE_ROWS = 8192
# Pieces of few rows each are mostly overhead: so many become one.
_MOST_PIECES = 64


@dataclass(frozen=True)
class StreamedRows:
    """Rows that are read from the table's files each time that they are needed, and encoded into a spill.

    Args:
        folder: where the table lies.
        names: the columns that training needs, besides the entity.
        codes: categorical features and crosses.
        budget: bytes that may be held at once.
    """

    folder: Path
    pinned: TrainingSet
    names: tuple[str, ...]
    codes: int
    parts: Counted
    budget: int

    @property
    def _kind(self) -> np.dtype[Any]:
        return row_kind(len(self.pinned.columns.numeric), self.codes)

    def without_validation(self) -> "StreamedRows":
        """See `TrainingRows`."""
        return replace(self, parts=self.parts.without_validation())

    def to_learn_from(self) -> tuple[ArrowTable, float]:
        """Those with the smallest hashes of their entity, as many as a part of the budget holds."""
        rows = self._rows_in(_SAMPLE)
        # At least the first bucket that has any.
        wanted = (np.cumsum(self.parts.train) <= rows) | (np.cumsum(self.parts.train) <= self.parts.train)
        found = self._chosen(None, self.parts.validation_start, wanted)
        return found, found.num_rows / self.parts.train_rows

    @contextmanager
    def encoded(self, encoding: Encoding, progress: Progress) -> Generator[tuple[EncodedRows, EncodedRows]]:
        """In a file of the warehouse without a name, which is gone with this process, however it ends.

        Raises:
            LakehouseError: the disk lacks room for it.
        """
        kind, folder = self._kind, settings().warehouse
        block_rows = self._rows_in(_BLOCK)
        train, validation = (
            Blocks.cut(counted, block_rows) for counted in (self.parts.train, self.parts.validation)
        )
        needed = (self.parts.train_rows + self.parts.validation_rows) * kind.itemsize
        folder.mkdir(parents=True, exist_ok=True)
        _check_room(folder, needed)
        progress(f"writing {needed >> 20} MB of encoded rows to {folder}, in blocks")
        with tempfile.TemporaryFile(dir=folder) as file:
            sizes = np.concatenate([train.sizes, validation.sizes])
            self._write(encoding, train, validation, BlockWriter(file, kind, sizes, self._rows_in(_BUFFER)))
            yield (
                SpilledRows(file, kind, 0, train.sizes),
                SpilledRows(file, kind, self.parts.train_rows, validation.sizes),
            )

    def validation(self) -> Iterator[ArrowTable]:
        """Read anew."""
        return self._scan(self.names, self.parts.validation_start, self.parts.validation_end)

    def validation_sample(self, count: int, seed: int) -> ArrowTable:
        """Chosen by the hash of their entity, from a bucket on that the seed says."""
        first = seed % BUCKETS
        rolled = np.roll(self.parts.validation, -first)
        wanted = np.roll(np.cumsum(rolled) - rolled < count, first)
        found = self._chosen(self.parts.validation_start, self.parts.validation_end, wanted)
        return found.sort_by([(name, "ascending") for name in self.pinned.columns.entity]).slice(0, count)

    def _chosen(self, first: date | None, end: date, wanted: npt.NDArray[np.bool_]) -> ArrowTable:
        """The rows of some buckets."""
        columns = self.pinned.columns
        found: list[ArrowTable] = []
        pieces: list[ArrowTable] = []
        for piece in self._scan(self.names, first, end):
            bucket = buckets(entity_hashes(piece, columns.entity))
            pieces.append(_small(piece.filter(pa.array(wanted[bucket])), columns.numeric))
            if len(pieces) == _MOST_PIECES:
                found.append(pa.concat_tables(pieces).combine_chunks())
                pieces = []
        return pa.concat_tables([*found, *pieces])

    def _write(self, encoding: Encoding, train: Blocks, validation: Blocks, writer: BlockWriter) -> None:
        columns = self.pinned.columns
        for piece in self._scan(self.names, None, self.parts.validation_end):
            hashes = entity_hashes(piece, columns.entity)
            validates = split_at(
                piece.column(columns.partition), self.parts.validation_start, self.parts.validation_end
            ).validation
            bucket = buckets(hashes)
            blocks = np.where(
                validates, len(train.sizes) + validation.of_bucket[bucket], train.of_bucket[bucket]
            )
            labels = labels_of(piece, str(columns.label))
            writer.add(to_rows(writer.kind, hashes, *encode(encoding, piece), labels), blocks)
        writer.flush()

    def _scan(self, names: Sequence[str], first: date | None, end: date) -> Iterator[ArrowTable]:
        return scan_arrow(self.folder, self.pinned, tuple(names), first, end, _PIECE_ROWS)

    def _rows_in(self, share: float) -> int:
        return max(1, int(self.budget * share) // self._kind.itemsize)


def count_rows(folder: Path, pinned: TrainingSet, start: date, end: date) -> Counted:
    """One pass over entity and day."""
    columns = pinned.columns
    train, validation = np.zeros(BUCKETS, np.int64), np.zeros(BUCKETS, np.int64)
    for piece in scan_arrow(folder, pinned, (columns.partition,), None, end, _PIECE_ROWS):
        bucket = buckets(entity_hashes(piece, columns.entity))
        split = split_at(piece.column(columns.partition), start, end)
        train += np.bincount(bucket[split.train], minlength=BUCKETS)
        validation += np.bincount(bucket[split.validation], minlength=BUCKETS)
    return Counted(train, validation, start, end)


def _small(rows: ArrowTable, numeric: Sequence[str]) -> ArrowTable:
    """The rows with their numbers as the encoding reads them, 4 bytes each; NULL where missing."""
    for name in numeric:
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, name, pa.array(numbers(rows, name), from_pandas=True))
    return rows


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise LakehouseError(
            f"the encoded rows take {needed >> 20} MB in {folder}, where {free >> 20} MB are free",
            "free some, or raise training.memory_mb in the spec if this machine has the memory",
        )
