"""Rows made from an encoding alone, and the proof by them that smaller blocks give batch scoring's bits.

A matrix product's last bits depend on the CPU's kernel, and the kernel on the number of rows. So nobody can
promise that 16 or 64 rows are added up as 1,024 are: it is tried on this machine, with this model, before the
first answer.
"""

from collections.abc import Sequence

import numpy as np

from ml.encoding.encode import MISSING, Codes, Encoding, Floats
from ml.model.bundle import BLOCK_ROWS, Bundle

# One row costs half as much in a block of 16 as in one of 64; many cost less in the larger one.
SMALL_BLOCKS = (16, 64)
_ROWS = 1024
_ALONE = 32
_MISSING_SHARE = 0.1
_SEED = 1


def golden_rows(encoding: Encoding, rows: int = _ROWS) -> tuple[Floats, Codes]:
    """Encoded rows, always the same: within and past each feature's ends, and missing; all codes.

    Returns:
        numeric features `(rows, numeric)`; codes `(rows, categorical + crosses)`.
    """
    random = np.random.default_rng(_SEED)
    low = np.array([edges[0] for edges in encoding.edges.values()])
    high = np.array([edges[-1] for edges in encoding.edges.values()])
    shares = random.uniform(-0.2, 1.2, (rows, len(low)))
    numeric = (low + shares * (high - low)).astype(np.float32)
    numeric[random.random(numeric.shape) < _MISSING_SHARE] = np.nan
    codes = [random.integers(0, count, rows) for count in encoding.code_counts]
    codes = np.stack(codes, axis=1) if codes else np.empty((rows, 0), np.int64)
    codes[random.random(codes.shape) < _MISSING_SHARE] = MISSING
    return numeric, codes


def proven_blocks(bundle: Bundle) -> tuple[int, ...]:
    """The block sizes that are proven to give batch scoring's bits here, ascending; else batch scoring's own.

    Each golden row is scored among others at two places of a block, and some alone.
    """
    numeric, codes = golden_rows(bundle.encoding)

    def bits(some: slice, block_rows: int) -> list[int]:
        scores = bundle.score_encoded(numeric[some], codes[some], block_rows)
        return scores.probability.view(np.int32).tolist()

    wanted = bits(slice(None), BLOCK_ROWS)

    def is_same(size: int) -> bool:
        shift = size // 2 - 5
        return (
            bits(slice(None), size) == wanted
            and bits(slice(shift, None), size) == wanted[shift:]
            and all(bits(slice(row, row + 1), size) == wanted[row : row + 1] for row in range(_ALONE))
        )

    return tuple(filter(is_same, SMALL_BLOCKS)) or (BLOCK_ROWS,)


def block_for(sizes: Sequence[int], rows: int) -> int:
    """The smallest block that holds so many rows, or the largest.

    >>> [block_for((16, 64), rows) for rows in (1, 16, 17, 100)]
    [16, 16, 64, 64]
    """
    return next((size for size in sizes if size >= rows), sizes[-1])
