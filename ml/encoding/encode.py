"""How raw columns become numbers, by statistics that are kept as JSON beside the weights."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from lakehouse.errors import LakehouseError
from ml.encoding.arrow import ArrowColumn, ArrowRows

# Codes of a categorical feature; the known categories follow.
UNSEEN = 0
MISSING = 1

# Arrow makes these functions when it is imported, where no type checker sees them.
compute: Any = pyarrow.compute

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]
# Of rows within a table.
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cross:
    """Two categorical features taken together, such as carrier and destination.

    Args:
        left, right: names of the two.
        pairs: the pairs seen often enough, ascending, each `left code * number of right codes + right code`.
    """

    left: str
    right: str
    pairs: tuple[int, ...]


@dataclass(frozen=True)
class Encoding:
    """Statistics of the training rows.

    Args:
        edges: for each numeric feature the ends of its pieces, ascending, at least two.
        categories: for each categorical feature the values seen often enough, ascending.
        crosses: pairs of categorical features that get codes of their own.
    """

    edges: dict[str, tuple[float, ...]]
    categories: dict[str, tuple[str, ...]]
    crosses: tuple[Cross, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """The raw columns that are encoded."""
        return (*self.edges, *self.categories)

    @property
    def code_counts(self) -> tuple[int, ...]:
        """How many codes each categorical feature has, then each cross; unseen and missing are counted."""
        single = [len(known) + 2 for known in self.categories.values()]
        return (*single, *(len(cross.pairs) + 2 for cross in self.crosses))

    def to_json(self) -> str:
        """As text; floats come back to the same bits."""
        return json.dumps(
            {
                "numeric": self.edges,
                "categorical": self.categories,
                "crosses": [
                    {"left": cross.left, "right": cross.right, "pairs": cross.pairs} for cross in self.crosses
                ],
            },
            indent=1,
            allow_nan=False,
        )

    @staticmethod
    def from_json(text: str) -> "Encoding":
        """The inverse of `to_json`."""
        data: dict[str, Any] = json.loads(text)
        return Encoding(
            edges={name: tuple(edges) for name, edges in data["numeric"].items()},
            categories={name: tuple(known) for name, known in data["categorical"].items()},
            crosses=tuple(Cross(c["left"], c["right"], tuple(c["pairs"])) for c in data["crosses"]),
        )


def numbers(rows: ArrowRows, name: str) -> Floats:
    """One numeric feature, shape `(rows,)`; missing is NaN."""
    found = np.empty(rows.num_rows, np.float32)
    _put(partial(_put_numbers, name), _raw(rows, name), found)
    return found


def category_codes(encoding: Encoding, rows: ArrowRows, name: str) -> Codes:
    """One categorical feature, shape `(rows,)`: 0 unseen or rare, 1 missing, then the known categories."""
    found = np.empty(rows.num_rows, np.int64)
    _put(partial(_put_codes, encoding.categories[name]), _raw(rows, name), found)
    return found


@dataclass(frozen=True)
class Numbers:
    """Numeric features as they are encoded, which takes nothing that is learned.

    Args:
        values: `(names, rows)`, NaN where missing.
    """

    names: tuple[str, ...]
    values: Floats

    @staticmethod
    def empty(names: Sequence[str], rows: int) -> "Numbers":
        """To be filled."""
        return Numbers(tuple(names), np.empty((len(names), rows), np.float32))

    def fill(self, rows: ArrowRows, names: Sequence[str], start: int) -> None:
        """Put some features of some rows in their place.

        Args:
            start: the place of the first row.

        Raises:
            LakehouseError: a feature is missing, or is no number.
        """
        for name in names:
            into = self.values[self.names.index(name), start : start + rows.num_rows]
            _put(partial(_put_numbers, name), _raw(rows, name), into)


def encode(encoding: Encoding, rows: ArrowRows, made: Numbers | None = None) -> tuple[Floats, Codes]:
    """Raw columns to numbers, row by row independent of each other.

    Args:
        made: the numeric features of the rows, if they were made already; if they are not the encoding's, in
            its order, they are made again.

    Returns:
        numeric features `(rows, numeric)`, NaN where missing; codes `(rows, categorical + crosses)`. Both lie
        column by column in memory: turning them round would take as long as encoding.
    """
    if made is None or made.names != tuple(encoding.edges):
        made = Numbers.empty(tuple(encoding.edges), rows.num_rows)
        made.fill(rows, made.names, 0)
    codes = np.empty((len(encoding.code_counts), rows.num_rows), np.int64)
    of_category = dict(zip(encoding.categories, codes, strict=False))
    for name, into in of_category.items():
        _put(partial(_put_codes, encoding.categories[name]), _raw(rows, name), into)
    for cross, into in zip(encoding.crosses, codes[len(of_category) :], strict=True):
        into[:] = cross_codes(encoding, of_category, cross)
    return made.values.T, codes.T


def _put(how: Callable[[ArrowColumn, npt.NDArray[Any]], None], column: Any, into: npt.NDArray[Any]) -> None:
    """Put a column's values into an array, chunk by chunk."""
    start = 0
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        if len(chunk):
            how(chunk, into[start : start + len(chunk)])
        start += len(chunk)


def _put_numbers(name: str, column: ArrowColumn, into: Floats) -> None:
    """Each value is touched once; Arrow would copy it for its type, for its NULLs and into its place."""
    kind = column.type
    if pa.types.is_null(kind):
        # A frame's column without any value has no type.
        into[:] = np.nan
        return
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise LakehouseError(f"feature {name} is {kind}, not a number", "cast it in SQL, or change its role")
    validity, values = column.buffers()
    end = column.offset + len(column)
    # What a float32 can't hold is rounded; where NULL is, anything may stand.
    with np.errstate(over="ignore", invalid="ignore"):
        into[:] = np.frombuffer(values, _dtype(column.type), end)[column.offset :]
        if column.null_count:
            bits = np.frombuffer(validity, np.uint8)[column.offset // 8 : (end + 7) // 8]
            factors = np.take(_FACTORS, bits, axis=0, mode="clip").reshape(-1)
            into *= factors[column.offset % 8 :][: len(column)]


def _dtype(kind: Any) -> np.dtype[Any]:
    """NumPy's type of a number; Arrow's own answer needs pandas, which not all that scores has."""
    letter = "f" if pa.types.is_floating(kind) else "i" if pa.types.is_signed_integer(kind) else "u"
    return np.dtype(f"{letter}{kind.bit_width // 8}")


# For each byte of a bitmap what its bits stand for: 1 for a value, NaN for NULL.
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
_FACTORS = np.where(_BITS == 1, 1, np.nan).astype(np.float32)


def _put_codes(categories: Sequence[str], column: ArrowColumn, into: Codes) -> None:
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    code_of: dict[str | None, int] = {name: code for code, name in enumerate(categories, start=MISSING + 1)}
    code_of[None] = MISSING
    # Places of NULL get the last one.
    codes = [code_of.get(value, UNSEEN) for value in column.dictionary.cast(pa.string()).to_pylist()]
    places = column.indices.cast(pa.int64()).fill_null(len(codes)).to_numpy()
    np.take(np.array([*codes, MISSING]), places, out=into, mode="clip")


def column_of(rows: ArrowRows, name: str) -> Any:
    """A raw column, in one piece, and text as text.

    Raises:
        LakehouseError: there is none.
    """
    column = _raw(rows, name)
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _raw(rows: ArrowRows, name: str) -> Any:
    if rows.schema.get_field_index(name) < 0:
        raise LakehouseError(f"feature {name} is missing", f"there is: {', '.join(rows.schema.names)}")
    return rows.column(name)


def pair_codes(encoding: Encoding, codes: dict[str, Codes], left: str, right: str) -> Codes:
    """Two categorical features as one number, as `Cross.pairs` has it."""
    return codes[left] * (len(encoding.categories[right]) + 2) + codes[right]


def cross_codes(encoding: Encoding, codes: dict[str, Codes], cross: Cross) -> Codes:
    """The codes of a cross, shape `(rows,)`, from those of its two features by name."""
    pairs = pair_codes(encoding, codes, cross.left, cross.right)
    known = np.asarray(cross.pairs, dtype=np.int64)
    left, right = (len(encoding.categories[name]) + 2 for name in (cross.left, cross.right))
    if left * right <= _TABLE:
        code_of = np.full(left * right, UNSEEN)
        code_of[known] = np.arange(2, known.size + 2)
        return np.take(code_of, pairs, mode="clip")
    if known.size == 0:
        return np.full_like(pairs, UNSEEN)
    at = np.minimum(np.searchsorted(known, pairs), known.size - 1)
    return np.where(known[at] == pairs, at + 2, UNSEEN)


# Up to so many pairs a table of all of them tells codes ten times as fast as a search.
_TABLE = 2**20
