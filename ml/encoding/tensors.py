"""Encoded rows, and those that are whole-table tensors."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from lakehouse.errors import LakehouseError
from ml.encoding.arrow import ArrowTable
from ml.encoding.encode import Encoding, Numbers, Positions, encode


class Batch(NamedTuple):
    """Some encoded rows; fields as in `Tensors`."""

    numeric: Tensor
    codes: Tensor
    labels: Tensor


class EncodedRows(Protocol):
    """Encoded rows, wherever they are kept."""

    def __len__(self) -> int: ...

    def batches(self, batch_rows: int, part: int = 0, parts: int = 1) -> Iterator[Batch]:
        """One pass over the rows in whole batches, those left over not seen.

        The order is drawn from torch's random numbers by this call; the batches draw none.

        Args:
            part, parts: cut each batch into parts, equal but for a row, and give this one of each.
        """
        ...

    def in_order(self, batch_rows: int) -> Iterator[Batch]:
        """All rows in an order that is always the same, in batches of at most so many."""
        ...


@dataclass(frozen=True)
class Tensors:
    """Encoded rows, as they lie in their table, and which of them count.

    Args:
        numeric: `(rows, numeric)` float32, NaN where missing.
        codes: `(rows, categorical)` int64.
        labels: `(rows,)` float32, 0 or 1.
        order: `(rows that count,)` int64, their positions one after another. Batches are picked row by row
            anyway: moving all rows once into an order of their own would take half as long as reading them.
    """

    numeric: Tensor
    codes: Tensor
    labels: Tensor
    order: Tensor

    @staticmethod
    def of(numeric: Tensor, codes: Tensor, labels: Tensor) -> "Tensors":
        """All rows, as they are."""
        return Tensors(numeric, codes, labels, torch.arange(len(labels)))

    def __len__(self) -> int:
        return len(self.order)

    def batches(self, batch_rows: int, part: int = 0, parts: int = 1) -> Iterator[Batch]:
        """See `EncodedRows`."""
        order = torch.randperm(len(self))
        starts = range(0, len(self) - batch_rows + 1, batch_rows)
        return (self._rows(order[start : start + batch_rows].tensor_split(parts)[part]) for start in starts)

    def in_order(self, batch_rows: int) -> Iterator[Batch]:
        """See `EncodedRows`."""
        return map(self._rows, torch.arange(len(self)).split(batch_rows))

    def part(self, start: int, end: int) -> "Tensors":
        """The rows from one place in the order up to another, not copied."""
        return replace(self, order=self.order[start:end])

    def in_place(self) -> Batch:
        """All rows that count, copied into their order."""
        return self._rows(torch.arange(len(self)))

    def _rows(self, places: Tensor) -> Batch:
        rows = self.order[places]
        return Batch(self.numeric[rows], self.codes[rows], self.labels[rows])


def to_tensors(
    encoding: Encoding,
    rows: ArrowTable,
    label: str,
    order: Positions | None = None,
    numbers: Numbers | None = None,
) -> Tensors:
    """Encode rows once, for all epochs.

    Args:
        order: positions of the rows that count, as they are wanted; by default all as they are.
        numbers: the numeric features of all rows, if they were made already: not copied.

    Raises:
        LakehouseError: a label is missing or neither 0 nor 1, or a feature can't be encoded.
    """
    order = np.arange(rows.num_rows) if order is None else order
    numeric, codes = encode(encoding, rows, numbers)
    labels = np.full(rows.num_rows, np.nan, np.float32)
    # Those of rows that don't count may be anything.
    labels[order] = labels_of(rows.select([label]).take(pa.array(order)), label)
    return Tensors(*map(torch.from_numpy, (numeric, codes, labels, order)))


def labels_of(rows: ArrowTable, label: str) -> npt.NDArray[np.float32]:
    """The label column, shape `(rows,)`.

    Raises:
        LakehouseError: a label is missing or neither 0 nor 1.
    """
    column = rows.column(label)
    if column.null_count:
        raise LakehouseError(
            f"{column.null_count} rows have no {label}", "rows without a label can't be trained on"
        )
    values = pc.cast(pc.cast(column, pa.int8()), pa.float32()).to_numpy()
    if not np.isin(values, (0.0, 1.0)).all():
        raise LakehouseError(
            f"{label} has values other than 0 and 1", f"found {np.unique(values)[:5].tolist()}"
        )
    return np.array(values)
