"""An exported version as it scores inside Triton: two tensors in, the bundle's scores out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakehouse.errors import LakehouseError
from ml.encoding.arrow import ArrowColumn, ArrowTable
from ml.encoding.encode import Encoding, encode
from ml.model.bundle import Bundle, Scores
from ml.serving.golden import block_for, proven_blocks
from ml.serving.triton.golden import read_golden

BUNDLE, GOLDEN = "bundle", "golden.arrow"
# What NULL is in a tensor of text, as Triton has none: one zero byte, which JSON can say, too. An empty text
# is a value like any other.
NULL = b"\0"
# Another machine may sum in another order; a larger difference than this is not the same model.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Scorer:
    """A version that was proven on this machine.

    Args:
        blocks: rows of a forward pass, proven here.
        max_abs_difference: of the golden rows' scores from those at the export; 0.0: the same bits.
    """

    bundle: Bundle
    blocks: tuple[int, ...]
    max_abs_difference: float

    @staticmethod
    def load(folder: Path) -> "Scorer":
        """Read an exported version, and prove it by its golden rows.

        Raises:
            LakehouseError: a file is missing, or the scores differ from those at the export by more than
                `TOLERANCE`.
        """
        bundle = Bundle.load(folder / BUNDLE)
        rows, expected = read_golden(folder / GOLDEN)
        difference = float(np.abs(bundle.predict(rows) - expected).max())
        # NaN is not within it, either.
        if not difference <= TOLERANCE:
            raise LakehouseError(
                f"the golden rows' scores differ by {difference:.1e} from those at the export",
                "the files were changed, or this machine's libraries are others: "
                "install deploy/triton/requirements.lock, and export again",
            )
        return Scorer(bundle, proven_blocks(bundle), difference)

    def score(self, numeric: npt.NDArray[np.float64], categorical: npt.NDArray[np.object_]) -> Scores:
        """Scores of rows as Triton hands them over.

        Args:
            numeric: `(rows, numeric)`, in the encoding's order; NaN where NULL.
            categorical: `(rows, categorical)` of bytes in UTF-8, in the encoding's order; `NULL` where NULL.

        Raises:
            LakehouseError: a text is not UTF-8.
        """
        encoding = self.bundle.encoding
        encoded = encode(encoding, rows_of(encoding, numeric, categorical))
        return self.bundle.score_encoded(*encoded, block_for(self.blocks, len(encoded[0])))


def rows_of(encoding: Encoding, numeric: npt.NDArray[Any], categorical: npt.NDArray[Any]) -> ArrowTable:
    """The tensors as the raw columns that an encoding reads; see `Scorer.score`."""
    numbers = np.ascontiguousarray(numeric.T)
    columns: dict[str, ArrowColumn] = dict(zip(encoding.edges, map(pa.array, numbers), strict=True))
    for name, texts in zip(encoding.categories, categorical.T, strict=True):
        columns[name] = _texts(name, texts.tolist())
    return pa.table(columns)


def _texts(name: str, values: list[bytes]) -> ArrowColumn:
    try:
        return pa.array([None if value == NULL else value for value in values], pa.binary()).cast(pa.string())
    except pa.ArrowInvalid as error:
        raise LakehouseError(f"categorical feature {name} is not UTF-8", "send text as UTF-8") from error
