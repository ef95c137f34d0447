"""How raw columns become numbers, by statistics that are kept as JSON beside the weights."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from lakehouse.errors import LakehouseError
from ml.data.arrow import ArrowRows

# Codes of a categorical feature; the known categories follow.
UNSEEN = 0
MISSING = 1

# Arrow makes these functions when it is imported, where no type checker sees them.
compute: Any = pyarrow.compute

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]
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
    column = _raw(rows, name)
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        if not pa.types.is_boolean(kind):
            raise LakehouseError(
                f"feature {name} is {kind}, not a number", "cast it in SQL, or change its role"
            )
        column = column.cast(pa.int8())
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    # Not safe: what a float32 can't hold is rounded.
    return column.cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False)


def category_codes(encoding: Encoding, rows: ArrowRows, name: str) -> Codes:
    """One categorical feature, shape `(rows,)`: 0 unseen or rare, 1 missing, then the known categories."""
    column = column_of(rows, name).cast(pa.string())
    known = pa.array(encoding.categories[name], pa.string())
    found = compute.add(compute.index_in(column, value_set=known).cast(pa.int64()), 2)
    codes = compute.if_else(compute.is_null(column), MISSING, compute.fill_null(found, UNSEEN))
    return codes.cast(pa.int64()).to_numpy(zero_copy_only=False)


def encode(
    encoding: Encoding, rows: ArrowRows, order: Positions | None = None, threads: int = 1
) -> tuple[Floats, Codes]:
    """Raw columns to numbers, row by row independent of each other.

    Args:
        order: positions of the rows that are wanted, as they are wanted; by default all as they are.
        threads: so many columns are encoded at once.

    Returns:
        numeric features `(rows, numeric)`, NaN where missing; codes `(rows, categorical + crosses)`. Both lie
        column by column in memory: turning them round would take as long as encoding.
    """
    count = rows.num_rows if order is None else len(order)
    numeric = np.empty((len(encoding.edges), count), np.float32)
    codes = np.empty((len(encoding.code_counts), count), np.int64)

    def number(name: str, into: Floats) -> None:
        _put(numbers(rows, name), order, into)

    def category(name: str, into: Codes) -> None:
        _put(category_codes(encoding, rows, name), order, into)

    with ThreadPoolExecutor(threads) as pool:
        # Handing a column to another thread costs as much as encoding a thousand rows of it.
        each = pool.map if threads > 1 else map
        _all_done(each(category, encoding.categories, codes))
        _all_done(each(number, encoding.edges, numeric))
    of_category = dict(zip(encoding.categories, codes, strict=False))
    for cross, into in zip(encoding.crosses, codes[len(of_category) :], strict=True):
        into[:] = _cross_codes(encoding, of_category, cross)
    return numeric.T, codes.T


def _put(values: npt.NDArray[Any], order: Positions | None, into: npt.NDArray[Any]) -> None:
    if order is None:
        into[:] = values
    else:
        # All are in range; with mode="raise" NumPy would buffer them.
        np.take(values, order, out=into, mode="clip")


def _all_done(work: Iterator[None]) -> None:
    """Wait for work, and raise what it raised."""
    for _ in work:
        pass


def column_of(rows: ArrowRows, name: str) -> Any:
    """A raw column, in one piece.

    Raises:
        LakehouseError: there is none.
    """
    column = _raw(rows, name)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _raw(rows: ArrowRows, name: str) -> Any:
    if name not in rows.schema.names:
        raise LakehouseError(f"feature {name} is missing", f"there is: {', '.join(rows.schema.names)}")
    return rows.column(name)


def pair_codes(encoding: Encoding, codes: dict[str, Codes], left: str, right: str) -> Codes:
    """Two categorical features as one number, as `Cross.pairs` has it."""
    return codes[left] * (len(encoding.categories[right]) + 2) + codes[right]


def _cross_codes(encoding: Encoding, codes: dict[str, Codes], cross: Cross) -> Codes:
    known = np.asarray(cross.pairs, dtype=np.int64)
    pairs = pair_codes(encoding, codes, cross.left, cross.right)
    if known.size == 0:
        return np.full_like(pairs, UNSEEN)
    at = np.minimum(np.searchsorted(known, pairs), known.size - 1)
    return np.where(known[at] == pairs, at + 2, UNSEEN)
