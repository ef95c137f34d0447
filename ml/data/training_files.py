"""The rows of a training set from its table's own files, by Arrow."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds

from ml.data.arrow import ArrowTable
from ml.data.encoding import compute
from ml.data.training_set import TrainingSet
from ml.data.version_files import (
    Piece,
    PieceReader,
    as_dictionary,
    day_of,
    open_version,
    pieces,
    readable,
)


def read_arrow(folder: Path, pinned: TrainingSet, names: tuple[str, ...]) -> ArrowTable:
    """Some columns of the training set, from the table's own files, ordered by entity.

    Args:
        folder: where the table lies.
        names: the columns to read, besides the entity.

    Raises:
        LakehouseError: as `read_unordered`.
    """
    rows, order = read_unordered(folder, pinned, names)
    return rows.take(pa.array(order))


def read_unordered(
    folder: Path, pinned: TrainingSet, names: tuple[str, ...]
) -> tuple[ArrowTable, npt.NDArray[np.int64]]:
    """The same, without moving a row: the table as it lies, and which of its rows follow upon which.

    The order makes training independent of how the table lies on disk. Categorical columns of text come as
    dictionaries, as they lie in the files.

    Returns:
        rows, up to a fifth of them not in the training set; positions of those that are, ordered by entity.

    Raises:
        LakehouseError: another table lies there, it lacks a column, the version or one of its files is gone,
            or it uses a Delta feature that the Arrow reader lacks.
    """
    columns = pinned.columns
    wanted = list(dict.fromkeys((*columns.entity, *names)))
    keys = list(dict.fromkeys((*columns.entity, str(columns.label_time), str(columns.label_end))))
    others = [name for name in wanted if name not in keys]
    with readable(folder, pinned.table), ThreadPoolExecutor(pa.cpu_count()) as pool:
        dataset = open_version(folder, pinned.table, wanted)
        schema = pa.schema([_wanted_as(dataset, name, columns.categorical) for name in (*keys, *others)])
        empty = schema.empty_table()
        found = pieces(folder, dataset, _known(pinned), pool.map)
        read = list(pool.map(partial(_Rows.of, pinned, schema, keys), found))
        of_keys = pa.concat_tables([empty.select(keys), *(each.keys for each in read)])
        # Sorting takes one core for a while: the others decode meanwhile.
        order = pool.submit(_order, pinned, of_keys)
        of_others = pa.concat_tables(
            [empty.select(others), *pool.map(partial(_Rows.read, names=others), read)]
        )
        column = dict(zip((*keys, *others), (*of_keys.columns, *of_others.columns), strict=True))
        return pa.table({name: column[name] for name in wanted}).unify_dictionaries(), order.result()


def _wanted_as(dataset: Any, name: str, categorical: Sequence[str]) -> Any:
    field = dataset.schema.field(name)
    return as_dictionary(field) if name in categorical else field


_MOST = 0.8
_POSITION = "_position"


@dataclass(frozen=True)
class _Rows:
    """A piece without the rows that are not in the training set where these are many: it takes a copy.

    Args:
        keys: entity and label times.
        kept: positions of the rows that are left; None for all.
    """

    reader: PieceReader
    keys: ArrowTable
    kept: Any | None

    @staticmethod
    def of(pinned: TrainingSet, schema: Any, keys: Sequence[str], piece: Piece) -> "_Rows":
        reader = PieceReader(piece, schema)
        rows = reader.read(keys)
        known = _numbered(rows).filter(_known(pinned)).column(_POSITION)
        if len(known) > _MOST * rows.num_rows:
            return _Rows(reader, rows, None)
        return _Rows(reader, rows.take(known), known)

    def read(self, names: Sequence[str]) -> ArrowTable:
        with self.reader as reader:
            rows = reader.read(names)
        return rows if self.kept is None else rows.take(self.kept)


def _order(pinned: TrainingSet, keys: ArrowTable) -> npt.NDArray[np.int64]:
    """Positions of the rows in the training set, ordered by entity."""
    # In one piece they are sorted in half the time.
    known = _numbered(keys).filter(_known(pinned)).combine_chunks()
    places = compute.sort_indices(known, sort_keys=[(name, "ascending") for name in pinned.columns.entity])
    return known.column(_POSITION).take(places).to_numpy()


def _numbered(rows: ArrowTable) -> ArrowTable:
    return rows.append_column(_POSITION, pa.array(np.arange(rows.num_rows)))


def scan_arrow(
    folder: Path,
    pinned: TrainingSet,
    names: tuple[str, ...],
    first: date | None,
    end: date,
    piece_rows: int,
) -> Iterator[ArrowTable]:
    """What `read_arrow` reads, in pieces, in no order that is promised.

    Files are decoded page by page, never a row group at once: what it takes in memory depends on
    `piece_rows` and on the number of columns, not on how the table lies on disk.

    Args:
        first, end: only rows from the first of these local days up to the day before the second.
        piece_rows: rows of a piece, at most.

    Raises:
        LakehouseError: as `read_arrow`.
    """
    columns = pinned.columns
    wanted = list(dict.fromkeys((*columns.entity, *names)))
    needed = (*wanted, columns.partition, str(columns.label_time), str(columns.label_end))
    with readable(folder, pinned.table):
        dataset = open_version(folder, pinned.table, wanted)
        day = day_of(dataset, columns.partition)
        chosen = _known(pinned) & (day < pa.scalar(end))
        if first is not None:
            chosen = chosen & (day >= pa.scalar(first))
        schema = pa.schema([dataset.schema.field(name) for name in dict.fromkeys(needed)])
        for piece in pieces(folder, dataset, chosen):
            with PieceReader(piece, schema, flat=True) as reader:
                for rows in reader.batches(piece_rows):
                    yield rows.filter(chosen).select(wanted)


def _known(pinned: TrainingSet) -> Any:
    """`_as_known`, for Arrow."""
    as_of = pa.scalar(pinned.as_of_at, pa.timestamp("us", "UTC"))
    ends = ds.field(str(pinned.columns.label_end))
    return (ds.field(str(pinned.columns.label_time)) <= as_of) & (ends.is_null() | (ends > as_of))
