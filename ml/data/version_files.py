"""The files of a version of a Delta table on a local disk, read by Arrow."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, DeltaProtocolError, TableNotFoundError

from lakehouse.delta.table import TableVersion
from lakehouse.errors import LakehouseError
from ml.data.arrow import ArrowTable


@contextmanager
def readable(folder: Path, pinned: TableVersion) -> Generator[None]:
    """Say which version it was that could not be read.

    Raises:
        LakehouseError: within the block, the version or one of its files is gone, or it uses a Delta feature
            that the Arrow reader lacks.
    """
    try:
        yield
    except (DeltaError, DeltaProtocolError, TableNotFoundError, FileNotFoundError) as error:
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
            "the table was dropped and made anew since",
        )
    missing = sorted(set(wanted) - {field.name for field in table.schema().fields})
    if missing:
        raise LakehouseError(
            f"{pinned} has no column {', '.join(missing)}", "is it named right in the spec, or in the YAML?"
        )
    return table.to_pyarrow_dataset()


def day_of(dataset: Any, column: str) -> Any:
    """An expression of a column with local days, to be compared with dates."""
    day = ds.field(column)
    return day if pa.types.is_date32(dataset.schema.field(column).type) else day.cast(pa.date32())


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


def pieces(folder: Path, dataset: Any, chosen: Any) -> Iterator[Piece]:
    """The row groups of a dataset that may hold a chosen row.

    Args:
        chosen: an Arrow expression.
    """
    for fragment in dataset.get_fragments(chosen):
        constants = ds.get_partition_keys(fragment.partition_expression)
        for group in fragment.subset(chosen, schema=dataset.schema).row_groups:
            yield Piece(str(folder / fragment.path), group.id, group.num_rows, constants)


# Of each column that is read so much is buffered.
_BUFFER_BYTES = 2**16


def read_piece(piece: Piece, schema: Any, batch_rows: int) -> Iterator[ArrowTable]:
    """A piece's rows in batches, decoded page by page: Arrow's own scanner would decode a row group at once.

    Args:
        schema: the columns that are wanted, as the table has them.
        batch_rows: rows of a batch, at most.
    """
    with pq.ParquetFile(
        piece.path, buffer_size=_BUFFER_BYTES, pre_buffer=False, coerce_int96_timestamp_unit="us"
    ) as file:
        there = set(file.schema_arrow.names)
        read = [name for name in schema.names if name in there]
        for batch in file.iter_batches(batch_rows, row_groups=[piece.row_group], columns=read):
            # What the file lacks is a partition of the table, or was added to the table later.
            yield pa.table(
                [
                    batch.column(field.name).cast(field.type)
                    if field.name in there
                    else pa.repeat(
                        pa.scalar(piece.constants.get(field.name)).cast(field.type), batch.num_rows
                    )
                    for field in schema
                ],
                schema=schema,
            )
