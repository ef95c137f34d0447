"""The files of a version of a Delta table on a local disk, read by Arrow."""

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, DeltaProtocolError, TableNotFoundError

from lakehouse.delta.log import live_files
from lakehouse.delta.table import TableVersion
from lakehouse.errors import LakehouseError
from ml.encoding.arrow import ArrowColumn, ArrowRows, ArrowTable


@contextmanager
def readable(folder: Path, pinned: TableVersion) -> Generator[None]:
    """Say which version it was that could not be read.

    Raises:
        LakehouseError: within the block, the version or one of its files is gone, or it uses a Delta feature
            that the Arrow reader lacks.
    """
    try:
        yield
    except DeltaProtocolError as error:
        raise LakehouseError(
            f"{pinned} in {folder} cannot be read by Arrow: {error}",
            "keep deletion vectors and column mapping off on it, as this project's macros do",
        ) from error
    except (DeltaError, TableNotFoundError, FileNotFoundError) as error:
        raise LakehouseError(
            f"{pinned} in {folder} cannot be read: {error}",
            "its files may have been vacuumed; `lakehouse reproduce` tells what is left",
        ) from error


def open_version(folder: Path, pinned: TableVersion, wanted: Sequence[str]) -> Any:
    """A version as Arrow's dataset.

    Args:
        folder: where the table lies.
        wanted: columns that it must have.

    Raises:
        LakehouseError: another table lies there, or it lacks a column.
    """
    table = DeltaTable(folder, version=pinned.version)
    found = str(table.metadata().id)
    if found != pinned.table_id:
        raise LakehouseError(
            f"{folder} holds table {found}, not {pinned.table_id} ({pinned.name})",
            "the table was dropped and recreated since",
        )
    dataset = table.to_pyarrow_dataset()
    missing = sorted(set(wanted) - set(dataset.schema.names))
    if missing:
        raise LakehouseError(
            f"{pinned} has no column {', '.join(missing)}",
            "is it named right in the spec? A column that is new in dbt must be built and released first: "
            "docs/add-a-feature.md, step 5",
        )
    return dataset


def day_of(dataset: Any, column: str) -> Any:
    """An expression of a column with local days, to be compared with dates."""
    day = ds.field(column)
    return day if pa.types.is_date32(dataset.schema.field(column).type) else day.cast(pa.date32())


def as_dictionary(field: Any) -> Any:
    """A column of text as a dictionary, which it is in most files: faster to read than text."""
    text = field.type
    return field.with_type(pa.dictionary(pa.int32(), text)) if pa.types.is_string(text) else field


@dataclass(frozen=True)
class Piece:
    """A row group of a version, read wherever the version's files can be seen.

    Args:
        path: of the Parquet file.
        row_group: its number there.
        rows: how many it holds.
        constants: columns that stand in Delta's log, not in the file, as partitions do.
    """

    path: str
    row_group: int
    rows: int
    constants: Mapping[str, Any]


def pieces(folder: Path, dataset: Any, chosen: Any, each: Callable[..., Iterable[Any]] = map) -> list[Piece]:
    """The row groups of a dataset that may hold a chosen row, those with most rows first.

    What is read last then keeps fewer cores waiting.

    Args:
        chosen: an Arrow expression.
        each: `map`, or that of a pool which shall look into the files.
    """

    def of_file(fragment: Any) -> list[Piece]:
        constants = ds.get_partition_keys(fragment.partition_expression)
        groups = fragment.subset(chosen, schema=dataset.schema).row_groups
        return [Piece(str(folder / fragment.path), group.id, group.num_rows, constants) for group in groups]

    found = chain.from_iterable(each(of_file, dataset.get_fragments(chosen)))
    return sorted(found, key=lambda piece: piece.rows, reverse=True)


class PieceReader:
    """A piece's file, open.

    Args:
        schema: columns that may be read, as the table has them; text may be wanted as a dictionary, which is
            faster to read than text.
        flat: take little memory, whatever the row group's size, and a little longer.
        footer: of another reader of this piece.
    """

    def __init__(self, piece: Piece, schema: Any, *, flat: bool = False, footer: Any = None) -> None:
        self.piece, self.schema = piece, schema
        self.footer = footer or pq.read_metadata(piece.path)
        self._there = set(self.footer.schema.to_arrow_schema().names)
        dictionaries = [field.name for field in schema if pa.types.is_dictionary(field.type)]
        self._file = pq.ParquetFile(
            piece.path,
            metadata=self.footer,
            read_dictionary=[name for name in dictionaries if name in self._there],
            buffer_size=_BUFFER_BYTES if flat else 0,
            pre_buffer=False,
            coerce_int96_timestamp_unit="us",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, names: Sequence[str]) -> ArrowTable:
        """Some columns of all rows, decoded on the core that asks."""
        there = self._in_file(names)
        return self._table(self._file.read_row_group(self.piece.row_group, there, use_threads=False), names)

    def batches(self, batch_rows: int) -> Iterator[ArrowTable]:
        """All columns, decoded batch by batch: Arrow's own scanner would decode a row group at once.

        Args:
            batch_rows: rows of a batch, at most.
        """
        names = self.schema.names
        for batch in self._file.iter_batches(batch_rows, [self.piece.row_group], self._in_file(names)):
            yield self._table(batch, names)

    def _in_file(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if name in self._there]

    def _table(self, rows: ArrowRows, names: Sequence[str]) -> ArrowTable:
        return pa.table({name: self._column(rows, self.schema.field(name)) for name in names})

    def _column(self, rows: ArrowRows, field: Any) -> ArrowColumn:
        if field.name in self._there:
            column = rows.column(field.name)
            return column if column.type == field.type else column.cast(field.type)
        # What the file lacks is a partition of the table, or was added to the table later.
        return pa.repeat(pa.scalar(self.piece.constants.get(field.name)).cast(field.type), rows.num_rows)


# Of each column that is read so much is buffered.
_BUFFER_BYTES = 2**16


def file_list_hash(folder: Path, version: int) -> str:
    """SHA-256 over the paths and sizes of the files that make up a version, sorted by path.

    Raises:
        LakehouseError: the version's log is gone.
    """
    try:
        actions = live_files(DeltaTable(folder, version=version))
    except (DeltaError, TableNotFoundError) as error:
        raise LakehouseError(f"version {version} of {folder} cannot be read: {error}") from error
    files = sorted(
        zip(actions.column("path").to_pylist(), actions.column("size_bytes").to_pylist(), strict=True)
    )
    return hashlib.sha256("".join(f"{path} {size}\n" for path, size in files).encode()).hexdigest()
