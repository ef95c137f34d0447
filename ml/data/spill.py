"""Encoded rows on disk, in blocks by a hash of their entity, for a training that doesn't fit into memory."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import torch

from lakehouse.errors import LakehouseError
from ml.encoding.arrow import ArrowRows
from ml.encoding.encode import Codes, Floats
from ml.encoding.tensors import Batch

Hashes = npt.NDArray[np.uint64]
# Rows as `row_kind` has them.
Rows = npt.NDArray[Any]
Kind: TypeAlias = np.dtype[Any]

# Rows are counted by the first bits of their hash; a block is some neighbouring buckets.
_BUCKET_BITS = 16
BUCKETS = 2**_BUCKET_BITS
# So many blocks are in memory at once, and rows are shuffled among them. Each is a random sample of all rows,
# as what stands in a row doesn't decide on its block: so this is as good as shuffling all.
BLOCKS_AT_ONCE = 8
# pandas ships types without these.
_pandas: Any = pd


def entity_hashes(rows: ArrowRows, entity: Sequence[str]) -> Hashes:
    """A hash of each row's entity, shape `(rows,)`; the same in every process."""
    names = _pandas.DataFrame(
        {name: rows.column(name).cast(pa.string()).to_numpy(zero_copy_only=False) for name in entity}
    )
    return _pandas.util.hash_pandas_object(names, index=False, categorize=False).to_numpy()


def buckets(hashes: Hashes) -> npt.NDArray[np.int64]:
    """The bucket of each hash, from 0 to `BUCKETS` - 1."""
    return (hashes >> np.uint64(64 - _BUCKET_BITS)).astype(np.int64)


def row_kind(numeric: int, codes: int) -> Kind:
    """One encoded row on disk."""
    return np.dtype(
        [("hash", "<u8"), ("label", "<f4"), ("numeric", "<f4", (numeric,)), ("codes", "<i4", (codes,))]
    )


def to_rows(kind: Kind, hashes: Hashes, numeric: Floats, codes: Codes, labels: Floats) -> Rows:
    rows = np.empty(len(hashes), kind)
    rows["hash"], rows["label"], rows["numeric"], rows["codes"] = hashes, labels, numeric, codes
    return rows


@dataclass(frozen=True)
class Blocks:
    """Which buckets make up which block.

    Args:
        of_bucket: `(BUCKETS,)`, the block's number.
        sizes: rows of each block.
    """

    of_bucket: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]

    @staticmethod
    def cut(bucket_rows: npt.NDArray[np.int64], block_rows: int) -> "Blocks":
        """Blocks of about `block_rows` rows, from how many rows each bucket has: never from where they lie.

        >>> Blocks.cut(np.array([2, 2, 0, 3, 1]), 4)
        Blocks(of_bucket=array([0, 0, 1, 1, 1]), sizes=array([4, 4]))
        """
        of_bucket = (np.cumsum(bucket_rows) - bucket_rows) // block_rows
        _, of_bucket = np.unique(of_bucket, return_inverse=True)
        return Blocks(of_bucket, np.bincount(of_bucket, bucket_rows).astype(np.int64))


class BlockWriter:
    """Sorts rows that come in any order into blocks of a file.

    Args:
        file: empty, open for reading and writing.
        sizes: rows of each block, one behind the other in the file.
        buffer_rows: so many rows are collected before they are written; while they are, twice as many.
    """

    def __init__(self, file: IO[bytes], kind: Kind, sizes: npt.NDArray[np.int64], buffer_rows: int) -> None:
        self.file, self.kind = file, kind
        self._next = np.cumsum(sizes) - sizes
        self._rows, self._blocks = np.empty(buffer_rows, kind), np.empty(buffer_rows, np.int64)
        self._filled = 0

    def add(self, rows: Rows, blocks: npt.NDArray[np.int64]) -> None:
        """Take rows, each with the number of its block."""
        done = 0
        while done < len(rows):
            count = min(len(rows) - done, len(self._rows) - self._filled)
            here = slice(self._filled, self._filled + count)
            self._rows[here], self._blocks[here] = rows[done : done + count], blocks[done : done + count]
            self._filled += count
            done += count
            if self._filled == len(self._rows):
                self.flush()

    def flush(self) -> None:
        """Write what is collected."""
        order = np.argsort(self._blocks[: self._filled], kind="stable")
        rows = self._rows[order]
        blocks, starts = np.unique(self._blocks[order], return_index=True)
        ends = [*starts[1:], len(rows)]
        for block, start, end in zip(blocks, starts, ends, strict=True):
            self.file.seek(int(self._next[block]) * self.kind.itemsize)
            self.file.write(rows[start:end].view(np.uint8).data)
            self._next[block] += end - start
        self.file.flush()
        self._filled = 0


@dataclass(frozen=True)
class SpilledRows:
    """Encoded rows in blocks of a file; see `ml.encoding.tensors.EncodedRows`.

    Blocks are read by plain reads: pages of a mapped file would count as memory.

    Args:
        first_row: of the first block, within the file.
        sizes: rows of each block.
    """

    file: IO[bytes]
    kind: Kind
    first_row: int
    sizes: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.sizes.sum())

    def batches(self, batch_rows: int, part: int = 0, parts: int = 1) -> Iterator[Batch]:
        """Some blocks at a time, in another order each time, their rows shuffled; batches span blocks."""
        random = torch.Generator().manual_seed(int(torch.randint(2**63 - 1, ())))
        blocks = torch.randperm(len(self.sizes), generator=random).tolist()
        whole = self._shuffled(blocks, random, batch_rows)
        return (Batch(*(column.tensor_split(parts)[part] for column in batch)) for batch in whole)

    def in_order(self, batch_rows: int) -> Iterator[Batch]:
        """By hash."""
        for block in range(len(self.sizes)):
            rows = self._read([block], self._no_rows())
            for start in range(0, len(rows), batch_rows):
                yield _batch(rows[start : start + batch_rows])

    def _shuffled(self, blocks: list[int], random: torch.Generator, batch_rows: int) -> Iterator[Batch]:
        left = self._no_rows()
        for start in range(0, len(blocks), BLOCKS_AT_ONCE):
            left = yield from self._some_blocks(
                blocks[start : start + BLOCKS_AT_ONCE], left, random, batch_rows
            )

    def _some_blocks(
        self, blocks: list[int], left: Rows, random: torch.Generator, batch_rows: int
    ) -> Generator[Batch, None, Rows]:
        """The batches of some blocks and of what earlier ones left; returns what these leave.

        A function of its own: its rows are gone before the next blocks are read.
        """
        rows = self._read(blocks, left)
        order = torch.randperm(len(rows), generator=random).numpy()
        whole = len(rows) - len(rows) % batch_rows
        for start in range(0, whole, batch_rows):
            yield _batch(rows[order[start : start + batch_rows]])
        return rows[order[whole:]]

    def _read(self, blocks: list[int], left: Rows) -> Rows:
        """The rows of some blocks, each ordered by hash, behind those that are left over."""
        starts = self.first_row + np.cumsum(self.sizes) - self.sizes
        rows = np.empty(len(left) + int(self.sizes[blocks].sum()), self.kind)
        rows[: len(left)] = left
        filled = len(left)
        for block in blocks:
            count = int(self.sizes[block])
            self.file.seek(int(starts[block]) * self.kind.itemsize)
            found = np.fromfile(self.file, self.kind, count)
            if len(found) != count:
                raise LakehouseError("the training's file of encoded rows ends too early", "train again")
            rows[filled : filled + count] = found[np.argsort(found["hash"], kind="stable")]
            filled += count
        return rows

    def _no_rows(self) -> Rows:
        return np.empty(0, self.kind)


def _batch(rows: Rows) -> Batch:
    return Batch(
        torch.from_numpy(np.ascontiguousarray(rows["numeric"])),
        torch.from_numpy(rows["codes"].astype(np.int64)),
        torch.from_numpy(np.ascontiguousarray(rows["label"])),
    )
