"""The rows of a training set from its table's own files, by Arrow."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from ml.data.parquet import (
    Piece,
    PieceReader,
    as_dictionary,
    day_of,
    open_version,
    pieces,
    readable,
)
from ml.data.training_set import TrainingSet
from ml.encoding.arrow import ArrowTable
from ml.encoding.encode import Numbers, Positions, compute


@dataclass(frozen=True)
class ReadRows:
    """Rows as they lie in their table, none moved.

    Args:
        table: up to a fifth of its rows are not wanted. Text that is categorical is a dictionary, as it is in
            the files.
        order: positions of those that are, ordered by entity: training does not depend on how the table lies.
        numbers: the numeric features that were asked for, of all rows. The table's columns share this memory,
            but for those that were wanted as they are as well.
    """

    table: ArrowTable
    order: Positions
    numbers: Numbers


def read_arrow(folder: Path, pinned: TrainingSet, names: tuple[str, ...]) -> ArrowTable:
    """Some columns of the training set, from the table's own files, ordered by entity.

    Args:
        folder: where the table lies.
        names: the columns to read, besides the entity.

    Raises:
        LakehouseError: as `read_rows`.
    """
    rows = read_rows(folder, pinned, names)
    return rows.table.take(pa.array(rows.order))


def read_rows(
    folder: Path,
    pinned: TrainingSet,
    names: tuple[str, ...],
    numeric: tuple[str, ...] = (),
    end: date | None = None,
) -> ReadRows:
    """Columns of the training set as they are, and numeric features as a network takes them; no row is moved.

    Args:
        names: the columns to read as they are, besides the entity.
        numeric: features to read as numbers of 4 bytes, NaN where missing: decoded some columns at a time,
            they never lie in memory as the file has them.
        end: only rows of the local days before this one.

    Raises:
        LakehouseError: another table lies there, it lacks a column, the version or one of its files is gone,
            it uses a Delta feature that the Arrow reader lacks, or a feature in `numeric` is no number.
    """
    columns = pinned.columns
    wanted = list(dict.fromkeys((*columns.entity, *names)))
    times = (str(columns.label_time), str(columns.label_end))
    day = () if end is None else (columns.partition,)
    keys = list(dict.fromkeys((*columns.entity, *times, *day)))
    others = [name for name in wanted if name not in keys]
    with readable(folder, pinned.table), ThreadPoolExecutor(pa.cpu_count()) as pool:
        dataset = open_version(folder, pinned.table, (*wanted, *numeric))
        every = dict.fromkeys((*keys, *others, *numeric))
        schema = pa.schema([_wanted_as(dataset, name, columns.categorical) for name in every])
        empty = schema.empty_table()
        known = _known(pinned)
        if end is not None:
            known = known & (day_of(dataset, columns.partition) < pa.scalar(end))
        found = pieces(folder, dataset, known, pool.map)
        paths = list(dict.fromkeys(piece.path for piece in found))
        # A footer tells of all row groups: were it read for each, that would be their square.
        footer = dict(zip(paths, pool.map(pq.read_metadata, paths), strict=True))
        read_keys = partial(_Rows.of, schema=schema, keys=keys, entity=columns.entity, known=known)
        read = list(pool.map(read_keys, found, [footer[piece.path] for piece in found]))
        of_keys = pa.concat_tables([empty.select(keys), *(each.keys for each in read)])
        starts = np.cumsum([0, *(rows.keys.num_rows for rows in read)])[:-1].tolist()
        # Sorting takes one core for a while: the others decode meanwhile.
        counting = [start + rows.chosen for start, rows in zip(starts, read, strict=True)]
        order = pool.submit(_order, of_keys.select(columns.entity), counting)
        numbers = Numbers.empty(numeric, of_keys.num_rows)
        read_others = partial(_Rows.read, schema=schema, names=others, numbers=numbers)
        of_others = pa.concat_tables([empty.select(others), *pool.map(read_others, read, starts)])
        column = dict(zip((*keys, *others), (*of_keys.columns, *of_others.columns), strict=True))
        table = pa.table({name: column[name] for name in wanted}).unify_dictionaries()
        for name, values in zip(numeric, numbers.values, strict=True):
            if name not in wanted:
                table = table.append_column(name, pa.array(values))
        return ReadRows(table, order.result(), numbers)


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
        chosen: which of those that are left are wanted.
    """

    piece: Piece
    footer: Any
    keys: ArrowTable
    kept: Any | None
    chosen: Positions

    @staticmethod
    def of(
        piece: Piece, footer: Any, schema: Any, keys: Sequence[str], entity: Sequence[str], known: Any
    ) -> "_Rows":
        with PieceReader(piece, schema, footer=footer) as reader:
            rows = reader.read(keys)
        numbered = rows.drop_columns(list(entity)).append_column(
            _POSITION, pa.array(np.arange(rows.num_rows))
        )
        positions = numbered.filter(known).column(_POSITION).to_numpy()
        if len(positions) > _MOST * rows.num_rows:
            return _Rows(piece, footer, rows, None, positions)
        kept = pa.array(positions)
        return _Rows(piece, footer, rows.take(kept), kept, np.arange(len(positions)))

    def read(self, start: int, schema: Any, names: Sequence[str], numbers: Numbers) -> ArrowTable:
        """Some columns as they are; the numbers are put into their place, from `start` on."""
        with PieceReader(self.piece, schema, footer=self.footer) as reader:
            for first in range(0, len(numbers.names), _COLUMNS):
                some = numbers.names[first : first + _COLUMNS]
                numbers.fill(self._kept(reader.read(some)), some, start)
            return self._kept(reader.read(names))

    def _kept(self, rows: ArrowTable) -> ArrowTable:
        return rows if self.kept is None else rows.take(self.kept)


# So many columns of a row group are decoded at once: their memory is used again for the next ones.
_COLUMNS = 16


def _order(entities: ArrowTable, chosen: Sequence[Positions]) -> Positions:
    """Positions of the chosen rows, ordered by entity."""
    positions = np.concatenate([np.empty(0, np.int64), *chosen])
    found = entities if len(positions) == entities.num_rows else entities.take(pa.array(positions))
    # In one piece they are sorted in half the time.
    keys = [(name, "ascending") for name in entities.schema.names]
    return positions[compute.sort_indices(found.combine_chunks(), sort_keys=keys).to_numpy()]


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
