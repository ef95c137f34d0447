"""Values of a column as they came out, and those that could not be read."""

# pyarrow ships no types, and makes its functions when it is imported.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Mask = npt.NDArray[np.bool_]


@dataclass
class Typed:
    """Values of the wanted type.

    Args:
        values: null where there was no value, and where it could not be read.
        bad: what is wrong with each value that could not be read, by its index; an empty text where it is
            just not of the type.
    """

    values: pa.Array
    bad: dict[int, str] = field(default_factory=dict)


def characters(texts: pa.Array) -> bytes:
    """What the texts are made of, to see quickly that some character is in none of them."""
    buffer = texts.buffers()[2]
    return b"" if buffer is None else buffer.to_pybytes()


def cast_all(texts: pa.Array, wanted: pa.DataType) -> pa.Array | None:
    """All texts as Arrow casts them; None where it cannot cast one."""
    try:
        return texts.cast(wanted)
    except pa.ArrowException:
        return None


def matches(texts: pa.Array, pattern: str) -> Mask:
    """Which texts match a regular expression; a missing one does not."""
    return as_mask(pc.match_substring_regex(texts, pattern))


def as_mask(flags: pa.Array) -> Mask:
    """Flags as numpy has them; a missing one is false."""
    return pc.fill_null(flags, False).to_numpy(zero_copy_only=False)


def indices(mask: Mask) -> list[int]:
    """Where a mask is set."""
    return np.flatnonzero(mask).tolist()


def unread(texts: pa.Array, read: Mask) -> Mask:
    """The values that are there, and were not read."""
    return as_mask(texts.is_valid()) & ~read


def only(texts: pa.Array, read: Mask) -> pa.Array:
    """Texts that a mask selects; the others are missing."""
    return pc.if_else(pa.array(read), texts, pa.scalar(None, texts.type))


def one(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    return (
        column.chunk(0)
        if column.num_chunks == 1
        else pa.concat_arrays(column.chunks or [pa.array([], column.type)])
    )


def with_gaps(table: pa.Table, gaps: Collection[int], total: int) -> pa.Table:
    """A table with rows of missing values put in, so that some indices of `total` are theirs."""
    if not gaps:
        return table
    there = np.ones(total, dtype=bool)
    there[list(gaps)] = False
    places = np.cumsum(there) - 1
    return table.take(pa.array(places, pa.int64(), mask=~there))
