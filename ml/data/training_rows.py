"""The rows of a training: in memory, or past a budget streamed from the table's files and from a spill."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from lakehouse.progress import Progress
from ml.data.columns import Columns
from ml.data.read import read_rows
from ml.data.streamed_rows import StreamedRows, count_rows
from ml.data.training_set import Parts, Split, TrainingSet, split_at
from ml.encoding.arrow import ArrowRows, ArrowTable
from ml.encoding.encode import Encoding, Floats, Numbers, Positions, compute
from ml.encoding.tensors import EncodedRows, to_tensors

MB = 2**20


class TrainingRows(Protocol):
    """Raw rows that are trained on, and raw rows that choose the best epoch."""

    @property
    def parts(self) -> Parts: ...

    def without_validation(self) -> "TrainingRows":
        """The same rows, those that validate to be trained on as well."""
        ...

    def to_learn_from(self) -> tuple[ArrowTable, float]:
        """Training rows that the encoding is learned from, and which share of all training rows they are."""
        ...

    def encoded(
        self, encoding: Encoding, progress: Progress
    ) -> AbstractContextManager[tuple[EncodedRows, EncodedRows]]:
        """Training rows and validation rows, encoded once for all epochs."""
        ...

    def validation(self) -> Iterator[ArrowTable]:
        """The validation rows, in pieces, in any order."""
        ...

    def validation_sample(self, count: int, seed: int) -> ArrowTable:
        """Up to `count` validation rows, ordered by entity; the same ones however the table lies on disk."""
        ...


@dataclass(frozen=True)
class InMemoryRows:
    """All rows as one Arrow table.

    Args:
        order: positions of its rows that count, ordered by entity; the masks of `parts` are over these.
        numbers: the numeric features of all its rows, if they were read as such.
    """

    table: ArrowTable
    parts: Split
    columns: Columns
    order: Positions
    numbers: Numbers | None = None

    @staticmethod
    def of(table: ArrowTable, parts: Split, columns: Columns) -> "InMemoryRows":
        """A table that is ordered by entity already."""
        return InMemoryRows(table, parts, columns, np.arange(table.num_rows))

    def without_validation(self) -> "InMemoryRows":
        """See `TrainingRows`."""
        return replace(self, parts=self.parts.without_validation())

    def to_learn_from(self) -> tuple[ArrowTable, float]:
        """All training rows."""
        return self.table.take(pa.array(self._train)), 1.0

    @contextmanager
    def encoded(self, encoding: Encoding, progress: Progress) -> Generator[tuple[EncodedRows, EncodedRows]]:
        """As whole-table tensors."""
        both = np.concatenate([self._train, self._validation])
        encoded = to_tensors(encoding, self.table, str(self.columns.label), both, self.numbers)
        yield encoded.part(0, len(self._train)), encoded.part(len(self._train), len(both))

    def validation(self) -> Iterator[ArrowTable]:
        """In one piece."""
        yield self.table.take(pa.array(self._validation))

    def validation_sample(self, count: int, seed: int) -> ArrowTable:
        """Chosen by their place."""
        rows = self._validation
        chosen = np.random.default_rng(seed).permutation(len(rows))[:count]
        return self.table.take(pa.array(rows[np.sort(chosen)]))

    @property
    def _train(self) -> Positions:
        return self.order[self.parts.train]

    @property
    def _validation(self) -> Positions:
        return self.order[self.parts.validation]


def training_rows(
    folder: Path,
    pinned: TrainingSet,
    also: tuple[str, ...],
    validation_start: date,
    validation_end: date,
    crosses: int,
    memory_mb: int | None,
) -> TrainingRows:
    """The rows of a training, in memory if they take no more than a budget when they are encoded.

    What decides is how many rows there are, never how they lie on disk.

    Args:
        folder: where the table lies.
        also: columns to read as they are, besides entity, day, label and features.
        crosses: how many pairs of categorical features are encoded, too.
        memory_mb: the budget; None: no limit.

    Raises:
        LakehouseError: as `read_rows`.
    """
    columns = pinned.columns
    kept = (columns.partition, str(columns.label), *columns.categorical, *also)
    if memory_mb is not None:
        budget = memory_mb * MB
        codes = len(columns.categorical) + crosses
        in_memory = len(columns.numeric) * 4 + codes * 8 + 4
        counted = count_rows(folder, pinned, validation_start, validation_end)
        if (counted.train_rows + counted.validation_rows) * in_memory > budget:
            return StreamedRows(folder, pinned, (*kept, *columns.numeric), codes, counted, budget)
    rows = read_rows(folder, pinned, kept, columns.numeric, validation_end)
    days = rows.table.column(columns.partition).take(pa.array(rows.order))
    parts = split_at(days, validation_start, validation_end)
    return InMemoryRows(rows.table, parts, columns, rows.order, rows.numbers)


def scored(
    rows: TrainingRows, columns: Columns, names: Sequence[str], predict: Callable[[ArrowRows], Floats]
) -> tuple[ArrowTable, Floats]:
    """Score the validation rows.

    Returns:
        entity, label and the columns of `names` of each row, ordered by entity; its score.
    """
    kept = list(dict.fromkeys((*columns.entity, str(columns.label), *names)))
    pieces: list[ArrowTable] = []
    scores: list[Floats] = []
    for piece in rows.validation():
        pieces.append(piece.select(kept))
        scores.append(predict(piece))
    table = pa.concat_tables(pieces)
    order = compute.sort_indices(table, sort_keys=[(name, "ascending") for name in columns.entity])
    return table.take(order), np.concatenate(scores)[order.to_numpy()]
