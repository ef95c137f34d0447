"""Encoded rows, and those that are whole-table tensors."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from lakehouse.errors import LakehouseError
from ml.data.arrow import ArrowTable
from ml.data.encoding import Encoding, Positions, encode


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
    """Encoded rows.

    Args:
        numeric: `(rows, numeric)` float32, NaN where missing.
        codes: `(rows, categorical)` int64.
        labels: `(rows,)` float32, 0 or 1.
    """

    numeric: Tensor
    codes: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, batch_rows: int, part: int = 0, parts: int = 1) -> Iterator[Batch]:
        """See `EncodedRows`."""
        order = torch.randperm(len(self))
        starts = range(0, len(self) - batch_rows + 1, batch_rows)
        return (self._rows(order[start : start + batch_rows].tensor_split(parts)[part]) for start in starts)

    def in_order(self, batch_rows: int) -> Iterator[Batch]:
        """See `EncodedRows`."""
        parts = (part.split(batch_rows) for part in (self.numeric, self.codes, self.labels))
        return (Batch(*batch) for batch in zip(*parts, strict=True))

    def part(self, start: int, end: int) -> "Tensors":
        """The rows from one position up to another, not copied."""
        return Tensors(self.numeric[start:end], self.codes[start:end], self.labels[start:end])

    def _rows(self, rows: Tensor) -> Batch:
        return Batch(self.numeric[rows], self.codes[rows], self.labels[rows])


def to_tensors(encoding: Encoding, rows: ArrowTable, label: str, order: Positions | None = None) -> Tensors:
    """Encode rows once, for all epochs, on as many threads as torch has.

    Args:
        order: positions of the rows that are wanted, as they are wanted; by default all as they are.

    Raises:
        LakehouseError: a label is missing or neither 0 nor 1, or a feature can't be encoded.
    """
    numeric, codes = encode(encoding, rows, order, torch.get_num_threads())
    labels = rows.select([label])
    labels = labels_of(labels if order is None else labels.take(pa.array(order)), label)
    return Tensors(torch.from_numpy(numeric), torch.from_numpy(codes), torch.from_numpy(labels))


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
