"""What is in a file, or in a block of it: rows as declared, and those that cannot be read so."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Unreadable:
    """A row that cannot be read as its source declares it.

    Args:
        line: the line of the file at which it begins, from 1; of Parquet, the number of the row.
        raw: the row as text; of Parquet, as JSON.
        row: which row of the file, or of the block, it is, from 1.
    """

    line: int
    raw: str
    reason: str
    row: int = 0


@dataclass(frozen=True)
class Content:
    """What is in a file or block.

    Args:
        rows: typed as declared.
        unreadable: the others, in the file's order.
        names: of JSON lines, the fields that any row has: a file must have each declared one.
    """

    rows: pa.Table
    unreadable: Sequence[Unreadable] = ()
    names: frozenset[str] = frozenset()

    @property
    def delivered(self) -> int:
        """How many rows there are, readable or not."""
        return self.rows.num_rows + len(self.unreadable)
