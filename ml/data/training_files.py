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
    folder: Path, pinned: TrainingSet, names: tuple[str, ...], end: date | None = None
) -> tuple[ArrowTable, npt.NDArray[np.int64]]:
    """The same, without moving a row: the table as it lies, and which of its rows follow upon which.

    The order makes training independent of how the table lies on disk. Categorical columns of text come as
    dictionaries, as they lie in the files.

    Args:
        end: only rows of the local days before this one.

    Returns:
        rows, up to a fifth of them not wanted; positions of those that are, ordered by entity.

    Raises:
        LakehouseError: another table lies there, it lacks a column, the version or one of its files is gone,
            or it uses a Delta feature that the Arrow reader lacks.
    """
    columns = pinned.columns
    wanted = list(dict.fromkeys((*columns.entity, *names)))
    times = (str(columns.label_time), str(columns.label_end))
    day = () if end is None else (columns.partition,)
    keys = list(dict.fromkeys((*columns.entity, *times, *day)))
    others = [name for name in wanted if name not in keys]
    with readable(folder, pinned.table), ThreadPoolExecutor(pa.cpu_count()) as pool:
        dataset = open_version(folder, pinned.table, wanted)
        schema = pa.schema([_wanted_as(dataset, name, columns.categorical) for name in (*keys, *others)])
        empty = schema.empty_table()
        chosen = _known(pinned)
        if end is not None:
            chosen = chosen & (day_of(dataset, columns.partition) < pa.scalar(end))
        found = pieces(folder, dataset, chosen, pool.map)
        read = list(pool.map(partial(_Rows.of, schema, keys, chosen), found))
        of_keys = pa.concat_tables([empty.select(keys), *(each.keys for each in read)])
        # Sorting takes one core for a while: the others decode meanwhile.
        order = pool.submit(_order, of_keys, chosen, columns.entity)
        of_others = pa.concat_tables(
            [empty.select(others), *pool.map(partial(_Rows.read, schema=schema, names=others), read)]
        )
        column = dict(zip((*keys, *others), (*of_keys.columns, *of_others.columns), strict=True))
        return pa.table({name: column[name] for name in wanted}).unify_dictionaries(), order.result()


def _wanted_as(dataset: Any, name: str, categorical: Sequence[str]) -> Any:
    field = dataset.schema.field(name).with_nullable(True)
    return as_dictionary(field) if name in categorical else field


_MOST = 0.8
_POSITION = "_position"


@dataclass(frozen=True)
class _Rows:
    """A piece without the rows that are not wanted where these are many: it takes a copy.

    Args:
        keys: entity, label times and day.
        kept: positions of the rows that are left; None for all.
    """

    piece: Piece
    footer: Any
    keys: ArrowTable
    kept: Any | None

    @staticmethod
    def of(schema: Any, keys: Sequence[str], chosen: Any, piece: Piece) -> "_Rows":
        with PieceReader(piece, schema) as reader:
            rows = reader.read(keys)
        positions = _numbered(rows).filter(chosen).column(_POSITION)
        if len(positions) > _MOST * rows.num_rows:
            return _Rows(piece, reader.footer, rows, None)
        return _Rows(piece, reader.footer, rows.take(positions), positions)

    def read(self, schema: Any, names: Sequence[str]) -> ArrowTable:
        with PieceReader(self.piece, schema, footer=self.footer) as reader:
            rows = reader.read(names)
        return rows if self.kept is None else rows.take(self.kept)


def _order(keys: ArrowTable, chosen: Any, entity: Sequence[str]) -> npt.NDArray[np.int64]:
    """Positions of the chosen rows, ordered by entity."""
    # In one piece they are sorted in half the time.
    found = _numbered(keys).filter(chosen).combine_chunks()
    places = compute.sort_indices(found, sort_keys=[(name, "ascending") for name in entity])
    return np.array(found.column(_POSITION).take(places))


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
